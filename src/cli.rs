//! The command line: one file per subcommand, each with `command`, which describes its arguments, and `run`, which does its work.
//! The flags of parameters are made from the registry of algorithms.

mod algorithms;
#[cfg(feature = "standalone")]
mod app;
mod bench;
mod circuit;
mod desk;
mod devices;
mod generate;
mod model;
mod record;
mod recover;
mod render;
mod train;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

use crate::algorithm::{REGISTRY, UnknownAlgorithm, find};
use crate::audio::wav::WavFormat;
use crate::dsp::{Settings, ValueError};

/// The failure of a subcommand, with the line for standard error. The variant decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// The work could not be done: exit code 1.
    Failed(String),
    /// The work is done, but something of a recording is missing: exit code 3.
    Lost(String),
}

impl Failure {
    /// Makes a [`Failure::Failed`] with the text of an error.
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        let text = error.to_string();
        let (id, rest) = text.split_once(": ").unwrap_or((&text, ""));
        Self::Usage(format!("--{}: {rest}", flag_name(id)))
    }
}

impl From<UnknownAlgorithm> for Failure {
    fn from(error: UnknownAlgorithm) -> Self {
        Self::Usage(error.to_string())
    }
}

fn command() -> Command {
    let command = Command::new("isotherm")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Exact DSP and neural networks on the same sound, side by side")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(algorithms::command())
        .subcommand(render::command())
        .subcommand(generate::command())
        .subcommand(circuit::command())
        .subcommand(bench::command())
        .subcommand(model::command())
        .subcommand(devices::command())
        .subcommand(record::command())
        .subcommand(desk::command())
        .subcommand(verify::command())
        .subcommand(recover::command())
        .subcommand(train::command());
    #[cfg(feature = "standalone")]
    let command = command.subcommand(app::command());
    command
}

/// Runs the program with its arguments, of which the first is the program's name. Results go to standard output, an error as one
/// line to standard error. The exit code is 0, or that of the [`Failure`]. [main thread]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => {
            // The first paragraph is the error; the rest is a usage text.
            let text = error.to_string();
            let line: Vec<&str> = text.lines().take_while(|l| !l.trim().is_empty()).map(str::trim).collect();
            return report_failure(&Failure::Usage(line.join(" ").trim_start_matches("error: ").into()));
        }
    };
    let done = match matches.subcommand() {
        Some(("algorithms", m)) => algorithms::run(m),
        Some(("render", m)) => render::run(m),
        Some(("generate", m)) => generate::run(m),
        Some(("circuit", m)) => circuit::run(m),
        Some(("bench", m)) => bench::run(m),
        Some(("model", m)) => model::run(m),
        Some(("devices", m)) => devices::run(m),
        Some(("record", m)) => record::run(m),
        Some(("desk", m)) => desk::run(m),
        Some(("verify", m)) => verify::run(m),
        Some(("recover", m)) => recover::run(m),
        Some(("train", m)) => train::run(m),
        #[cfg(feature = "standalone")]
        Some(("app", m)) => app::run(m),
        _ => Err(Failure::Usage("no such command".into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report_failure(&failure),
    }
}

/// Writes the failure's line to standard error and returns the exit code.
fn report_failure(failure: &Failure) -> ExitCode {
    let (line, code) = match failure {
        Failure::Usage(line) => (line, 2),
        Failure::Failed(line) => (line, 1),
        Failure::Lost(line) => (line, 3),
    };
    let _ = writeln!(std::io::stderr(), "isotherm: {}", line.replace('\n', " "));
    ExitCode::from(code)
}

/// Writes a line to standard output. Errors are ignored: if the output is a closed pipe, the program still finishes its work.
fn print_line(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Returns a parameter's id as the name of a flag: `dc_blocker` becomes `dc-blocker`.
fn flag_name(id: &str) -> String {
    id.replace('_', "-")
}

/// Adds the flag `--algorithm`, unless `algorithm` has a name of its own, and a flag for every parameter of every algorithm.
fn with_parameter_flags(command: Command, algorithm: Arg) -> Command {
    let ids: Vec<&str> = REGISTRY.iter().map(|r| r.id).collect();
    let algorithm = if algorithm.get_long().is_none() { algorithm.long("algorithm") } else { algorithm };
    let mut command = command.arg(algorithm.value_name("ID").help(format!("One of {}", ids.join(", "))));
    let mut added: Vec<&str> = Vec::new();
    for row in REGISTRY {
        for parameter in row.parameters {
            if added.contains(&parameter.id) {
                continue;
            }
            added.push(parameter.id);
            let ranges: Vec<String> = REGISTRY
                .iter()
                .filter_map(|r| {
                    let p = r.parameters.iter().find(|p| p.id == parameter.id)?;
                    Some(format!("{}: {} [{}]", r.id, p.expected(), p.text(p.default())))
                })
                .collect();
            command = command.arg(
                Arg::new(parameter.id)
                    .long(flag_name(parameter.id))
                    .value_name("VALUE")
                    .allow_hyphen_values(true)
                    .help(format!("{} ({})", parameter.doc, ranges.join("; ")))
                    .help_heading("Parameters"),
            );
        }
    }
    command
}

/// Returns an algorithm's settings with the values of the flags.
fn parse_settings(matches: &ArgMatches, algorithm: &str) -> Result<Settings, Failure> {
    let row = find(algorithm)?;
    let mut settings = Settings::new(row);
    for other in REGISTRY.iter().flat_map(|r| r.parameters) {
        let Some(text) = matches.get_one::<String>(other.id) else { continue };
        let Some(index) = settings.index(other.id) else {
            let own: Vec<String> = row.parameters.iter().map(|p| format!("--{}", flag_name(p.id))).collect();
            return Err(Failure::Usage(format!(
                "--{} is no parameter of {}; expected {}",
                flag_name(other.id),
                row.id,
                own.join(", ")
            )));
        };
        settings.set(index, row.parameters[index].parse(text)?);
    }
    Ok(settings)
}

/// The flag `--format`.
fn format_argument() -> Arg {
    Arg::new("format").long("format").value_name("FORMAT").default_value("24").help("16, 24 or 32 (integer) or 32f (float)")
}

/// Returns the value of `--format`.
fn parse_format(matches: &ArgMatches) -> Result<WavFormat, Failure> {
    match matches.get_one::<String>("format").map_or("24", String::as_str) {
        "16" => Ok(WavFormat::Int16),
        "24" => Ok(WavFormat::Int24),
        "32" => Ok(WavFormat::Int32),
        "32f" => Ok(WavFormat::Float32),
        other => Err(Failure::Usage(format!("--format: '{other}' is no format; expected 16, 24, 32 or 32f"))),
    }
}

/// Parses the value of the flag `name`: an integer from `min` to `max`.
fn parse_integer(name: &str, text: &str, min: usize, max: usize) -> Result<usize, Failure> {
    let error = || Failure::Usage(format!("--{name}: '{text}' is no number from {min} to {max}"));
    text.trim().parse().ok().filter(|n| (min..=max).contains(n)).ok_or_else(error)
}

/// Parses the value of the flag `name`: integers from `min` to `max`, separated by commas.
fn parse_integers(name: &str, text: &str, min: usize, max: usize) -> Result<Vec<usize>, Failure> {
    text.split(',').map(|part| parse_integer(name, part, min, max)).collect()
}

/// Parses the value of the flag `name`: a decimal number from `min` to `max`.
fn parse_number(name: &str, text: &str, min: f64, max: f64) -> Result<f64, Failure> {
    let error = || Failure::Usage(format!("--{name}: '{text}' is no number from {min} to {max}"));
    text.trim().parse().ok().filter(|n| (min..=max).contains(n)).ok_or_else(error)
}
