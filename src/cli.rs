//! The command line: one file per subcommand. Flags for parameters are made from the registry.

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
use crate::audio::wav::Format;
use crate::dsp::{Settings, ValueError};

/// What went wrong, and so how the program exits.
#[derive(Debug)]
pub enum Failure {
    /// The call itself is wrong: exit code 2.
    Usage(String),
    /// The work could not be done: exit code 1.
    Failed(String),
    /// The work is done, but something of a recording is missing: exit code 3.
    Lost(String),
}

impl Failure {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        let text = error.to_string();
        let (id, rest) = text.split_once(": ").unwrap_or((&text, ""));
        Self::Usage(format!("--{}: {rest}", flag(id)))
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

/// Runs the program. Errors are one line on standard error; the exit code is 0, 1 (failure), 2 (usage) or 3 (lost).
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
            // The first paragraph says it all; the rest is a usage text.
            let text = error.to_string();
            let line: Vec<&str> = text.lines().take_while(|l| !l.trim().is_empty()).map(str::trim).collect();
            return report(&Failure::Usage(line.join(" ").trim_start_matches("error: ").into()));
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
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    let (line, code) = match failure {
        Failure::Usage(line) => (line, 2),
        Failure::Failed(line) => (line, 1),
        Failure::Lost(line) => (line, 3),
    };
    let _ = writeln!(std::io::stderr(), "isotherm: {}", line.replace('\n', " "));
    ExitCode::from(code)
}

/// Prints a line; a closed pipe ends the program's output, not the program's work.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A parameter's id as a flag: `dc_blocker` is `dc-blocker`.
fn flag(id: &str) -> String {
    id.replace('_', "-")
}

/// `--algorithm` (or what else `algorithm` is called), and a flag for every parameter of every row.
fn with_parameters(command: Command, algorithm: Arg) -> Command {
    let ids: Vec<&str> = REGISTRY.iter().map(|r| r.id).collect();
    let algorithm = if algorithm.get_long().is_none() { algorithm.long("algorithm") } else { algorithm };
    let mut command = command.arg(algorithm.value_name("ID").help(format!("One of {}", ids.join(", "))));
    let mut known: Vec<&str> = Vec::new();
    for row in REGISTRY {
        for parameter in row.parameters {
            if known.contains(&parameter.id) {
                continue;
            }
            known.push(parameter.id);
            let of: Vec<String> = REGISTRY
                .iter()
                .filter_map(|r| {
                    let p = r.parameters.iter().find(|p| p.id == parameter.id)?;
                    Some(format!("{}: {} [{}]", r.id, p.expected(), p.text(p.default())))
                })
                .collect();
            command = command.arg(
                Arg::new(parameter.id)
                    .long(flag(parameter.id))
                    .value_name("VALUE")
                    .allow_hyphen_values(true)
                    .help(format!("{} ({})", parameter.doc, of.join("; ")))
                    .help_heading("Parameters"),
            );
        }
    }
    command
}

/// The settings that the flags make of an algorithm.
fn settings(matches: &ArgMatches, algorithm: &str) -> Result<Settings, Failure> {
    let row = find(algorithm)?;
    let mut settings = Settings::new(row);
    for other in REGISTRY.iter().flat_map(|r| r.parameters) {
        let Some(text) = matches.get_one::<String>(other.id) else { continue };
        let Some(index) = settings.index(other.id) else {
            let own: Vec<String> = row.parameters.iter().map(|p| format!("--{}", flag(p.id))).collect();
            return Err(Failure::Usage(format!(
                "--{} is no parameter of {}; expected {}",
                flag(other.id),
                row.id,
                own.join(", ")
            )));
        };
        settings.set(index, row.parameters[index].parse(text)?);
    }
    Ok(settings)
}

/// `--format`
fn format_argument() -> Arg {
    Arg::new("format").long("format").value_name("FORMAT").default_value("24").help("16, 24 or 32 (integer) or 32f (float)")
}

fn format(matches: &ArgMatches) -> Result<Format, Failure> {
    match matches.get_one::<String>("format").map_or("24", String::as_str) {
        "16" => Ok(Format::Int16),
        "24" => Ok(Format::Int24),
        "32" => Ok(Format::Int32),
        "32f" => Ok(Format::Float32),
        other => Err(Failure::Usage(format!("--format: '{other}' is no format; expected 16, 24, 32 or 32f"))),
    }
}

/// A whole number in a range.
fn whole(name: &str, text: &str, least: usize, most: usize) -> Result<usize, Failure> {
    let wrong = || Failure::Usage(format!("--{name}: '{text}' is no number from {least} to {most}"));
    text.trim().parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(wrong)
}

/// Whole numbers between commas.
fn list(name: &str, text: &str, least: usize, most: usize) -> Result<Vec<usize>, Failure> {
    text.split(',').map(|part| whole(name, part, least, most)).collect()
}

/// A number in a range.
fn number(name: &str, text: &str, least: f64, most: f64) -> Result<f64, Failure> {
    let wrong = || Failure::Usage(format!("--{name}: '{text}' is no number from {least} to {most}"));
    text.trim().parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(wrong)
}
