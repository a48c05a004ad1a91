//! The command line: one file per subcommand, each with `command`, which describes its arguments, and `run`, which does its work.
//! The flags of parameters are made from the registry of algorithms.

mod algorithms;
#[cfg(feature = "standalone")]
mod app;
mod bench;
mod circuit;
mod compare;
mod completions;
mod desk;
mod devices;
mod generate;
mod input;
mod listen;
mod man;
mod model;
mod output;
mod record;
mod recover;
mod render;
mod study;
mod train;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::algorithm::{REGISTRY, UnknownAlgorithm, find};
use crate::audio::wav::WavFormat;
use crate::dsp::{self, Algorithm, SettingError, Settings, ValueError};
use crate::effect::EffectError;

/// The failure of a subcommand, with the line or lines for standard error. The variant decides the exit code.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// The work could not be done: exit code 1.
    Failed(String),
    /// The work is done, but something of it is missing, as frames of a recording or rows of a table: exit code 3.
    Lost(String),
    /// The work is done, but limits were exceeded, a line for each: exit code 4.
    Limits(Vec<String>),
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
        Self::Usage(format!("--{}: {rest}{}", flag_name(id), value_tip(&error)))
    }
}

/// Returns the end of the line of an error in a value, with the nearest choice.
fn value_tip(error: &ValueError) -> String {
    match error {
        ValueError::NoSuchChoice { found, expected, .. } => {
            did_you_mean(found, expected.split(", ").flat_map(|names| names.split(" or ")))
        }
        _ => String::new(),
    }
}

/// Returns the end of the line of an error in the text of an effect, with the nearest algorithm, parameter or choice.
fn effect_tip(error: &EffectError) -> String {
    match error {
        EffectError::Algorithm(UnknownAlgorithm { found, expected })
        | EffectError::Setting(SettingError::Parameter { found, expected, .. }) => did_you_mean(found, expected.split(", ")),
        EffectError::Setting(SettingError::Value(error)) => value_tip(error),
        _ => String::new(),
    }
}

/// Returns the failure of `--set` for an error in its value.
fn settings_failure(error: SettingError) -> Failure {
    match error {
        SettingError::Value(error) => error.into(),
        SettingError::Parameter { ref found, ref expected, .. } => {
            let tip = did_you_mean(found, expected.split(", "));
            Failure::Usage(format!("--set: {error}{tip}"))
        }
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
        .subcommand(compare::command())
        .subcommand(study::command())
        .subcommand(listen::command())
        .subcommand(model::command())
        .subcommand(devices::command())
        .subcommand(record::command())
        .subcommand(desk::command())
        .subcommand(verify::command())
        .subcommand(recover::command())
        .subcommand(train::command())
        .subcommand(completions::command())
        .subcommand(man::command())
        .after_help(examples(&[
            "isotherm generate guitar riff.wav",
            "isotherm render riff.wav hot.wav --algorithm saturator --drive 24",
            "isotherm help render",
        ]));
    #[cfg(feature = "standalone")]
    let command = command.subcommand(app::command());
    command
}

/// Runs the program with its arguments, of which the first is the program's name. Results go to standard output, an error as one
/// line to standard error (a line for each limit). The exit code is 0, or that of the [`Failure`]; 1 if standard output cannot
/// be written for another reason than that nobody reads it any more. [main thread]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let matches = match command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            note_output(error.print());
            return finish(ExitCode::SUCCESS);
        }
        Err(error) if error.kind() == ErrorKind::InvalidUtf8 => return report_failure(&not_utf8(&arguments)),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => {
            // The first paragraph is the error; the rest is a usage text.
            let text = error.to_string();
            let line: Vec<&str> = text.lines().take_while(|l| !l.trim().is_empty()).map(str::trim).collect();
            let line = format!("{}{}", line.join(" ").trim_start_matches("error: "), suggestion(&error));
            return report_failure(&Failure::Usage(line));
        }
    };
    let done = match matches.subcommand() {
        Some(("algorithms", m)) => algorithms::run(m),
        Some(("render", m)) => render::run(m),
        Some(("generate", m)) => generate::run(m),
        Some(("circuit", m)) => circuit::run(m),
        Some(("bench", m)) => bench::run(m),
        Some(("compare", m)) => compare::run(m),
        Some(("study", m)) => study::run(m),
        Some(("listen", m)) => listen::run(m),
        Some(("model", m)) => model::run(m),
        Some(("devices", m)) => devices::run(m),
        Some(("record", m)) => record::run(m),
        Some(("desk", m)) => desk::run(m),
        Some(("verify", m)) => verify::run(m),
        Some(("recover", m)) => recover::run(m),
        Some(("train", m)) => train::run(m),
        Some(("completions", m)) => completions::run(m),
        Some(("man", m)) => man::run(m),
        #[cfg(feature = "standalone")]
        Some(("app", m)) => app::run(m),
        _ => Err(Failure::Usage("no such command".into())),
    };
    finish(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report_failure(&failure),
    })
}

/// The failure of a call with arguments that are not UTF-8 where text is expected. Paths may be anything.
fn not_utf8(arguments: &[OsString]) -> Failure {
    let odd = arguments.iter().filter(|argument| argument.to_str().is_none());
    let odd: Vec<String> = odd.map(|argument| format!("'{}'", argument.to_string_lossy())).collect();
    Failure::Usage(format!("{}: not UTF-8 where a text is expected; only a path may be anything", odd.join(", ")))
}

/// The first error while standard output was written.
static OUTPUT_ERROR: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Keeps the error of a write to standard output for [`finish`], so that the program still finishes its work. A closed pipe is
/// no error: whoever read it has enough.
fn note_output(written: std::io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() != std::io::ErrorKind::BrokenPipe
        && let Ok(mut first) = OUTPUT_ERROR.lock()
    {
        first.get_or_insert(error);
    }
}

/// Ends the output. Returns the exit code, or that of a failure if standard output could not be written.
fn finish(code: ExitCode) -> ExitCode {
    note_output(std::io::stdout().flush());
    match OUTPUT_ERROR.lock().ok().and_then(|mut error| error.take()) {
        None => code,
        Some(error) => report_failure(&Failure::Failed(format!("standard output: {error}"))),
    }
}

/// Returns a command's examples as the last paragraph of its help.
fn examples(calls: &[&str]) -> String {
    format!("Examples:\n  {}", calls.join("\n  "))
}

/// Returns the end of an error line, with the nearest of the names that are expected; an empty text if none is near.
fn did_you_mean<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    // The measure and the limit are those that clap has for its own suggestions.
    let rated = names.into_iter().map(|name| (strsim::jaro(&found.to_lowercase(), name), name)).filter(|(score, _)| *score > 0.7);
    rated.max_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"))
}

/// Returns the end of the line of an error of clap, with its nearest suggestion; an empty text without one.
fn suggestion(error: &clap::Error) -> String {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let name = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(name) => Some(name.as_str()),
        // The last is the nearest.
        ContextValue::Strings(names) => names.last().map(String::as_str),
        _ => None,
    });
    name.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// Writes the failure's lines to standard error and returns the exit code.
fn report_failure(failure: &Failure) -> ExitCode {
    let (lines, code) = match failure {
        Failure::Usage(line) => (std::slice::from_ref(line), 2),
        Failure::Failed(line) => (std::slice::from_ref(line), 1),
        Failure::Lost(line) => (std::slice::from_ref(line), 3),
        Failure::Limits(lines) => (lines.as_slice(), 4),
    };
    for line in lines {
        let _ = writeln!(std::io::stderr(), "isotherm: {}", line.replace('\n', " "));
    }
    ExitCode::from(code)
}

/// Writes a line about the work to standard error.
fn print_error_line(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "isotherm: {line}");
}

/// Writes a line to standard output. An error becomes the exit code at the end of the work, see [`note_output`].
fn print_line(line: impl std::fmt::Display) {
    note_output(writeln!(std::io::stdout(), "{line}"));
}

/// Returns a path as text for JSON, which is UTF-8: what of the path is not becomes U+FFFD.
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns a parameter's id as the name of a flag: `dc_blocker` becomes `dc-blocker`.
fn flag_name(id: &str) -> String {
    id.replace('_', "-")
}

/// Returns a flag whose value is the id of an algorithm, or one of `others`.
fn algorithm_argument(long: &'static str, rows: impl Iterator<Item = &'static Algorithm>, others: &[&'static str]) -> Arg {
    let ids: Vec<&str> = rows.map(|row| row.id).chain(others.iter().copied()).collect();
    Arg::new("algorithm").long(long).value_name("ID").value_parser(PossibleValuesParser::new(ids))
}

/// Adds a flag for every parameter of every algorithm, grouped by algorithm. The short help, `-h`, leaves them out.
fn with_parameter_flags(mut command: Command) -> Command {
    for row in REGISTRY {
        for parameter in row.parameters {
            let owners: Vec<(&Algorithm, String)> = REGISTRY
                .iter()
                .filter_map(|r| {
                    let p = r.parameters.iter().find(|p| p.id == parameter.id)?;
                    Some((*r, format!("{} [{}]", p.expected(), p.text(p.default()))))
                })
                .collect();
            if owners.first().is_none_or(|(first, _)| first.id != row.id) {
                continue;
            }
            let (heading, range) = match &owners[..] {
                [(owner, range)] => (format!("Parameters of {}", owner.id), range.clone()),
                all => {
                    let is_same = all.iter().all(|(_, range)| *range == all[0].1);
                    let each =
                        || all.iter().map(|(owner, range)| format!("{}: {range}", owner.id)).collect::<Vec<_>>().join("; ");
                    let ids: Vec<&str> = all.iter().map(|(owner, _)| owner.id).collect();
                    let range = match (is_same, ids.len() == REGISTRY.len()) {
                        (true, true) => all[0].1.clone(),
                        (true, false) => format!("{}: {}", ids.join(", "), all[0].1),
                        (false, _) => each(),
                    };
                    ("Parameters of several algorithms".into(), range)
                }
            };
            command = command.arg(
                Arg::new(parameter.id)
                    .long(flag_name(parameter.id))
                    .value_name("VALUE")
                    .allow_hyphen_values(true)
                    .help(format!("{} ({range})", parameter.doc))
                    .help_heading(heading)
                    .hide_short_help(true),
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

/// The flag `--force`.
fn force_argument() -> Arg {
    Arg::new("force").long("force").action(ArgAction::SetTrue).help("Overwrite a file that is there already")
}

/// Checks that a WAV file can be written at `path`: that its name ends in `.wav`, and that it is not there yet or `--force` is
/// given.
fn check_output(matches: &ArgMatches, path: &Path) -> Result<(), Failure> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
        let name = path.display();
        return Err(Failure::Usage(format!("{name}: WAV is the only format that is written; expected a name that ends in .wav")));
    }
    if path.is_file() && !matches.get_flag("force") {
        return Err(Failure::Failed(format!(
            "{}: exists already; expected a new name, or --force to overwrite it",
            path.display()
        )));
    }
    Ok(())
}

/// Parses the value of the flag `name`: an integer from `min` to `max`.
fn parse_integer(name: &str, text: &str, min: usize, max: usize) -> Result<usize, Failure> {
    let error = || Failure::Usage(format!("--{name}: '{text}' is no number from {min} to {max}"));
    let whole = |number: f64| (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then_some(number as usize);
    let number = text.trim().parse().ok().or_else(|| dsp::parse_number(text).and_then(whole));
    number.filter(|n| (min..=max).contains(n)).ok_or_else(error)
}

/// Parses the value of the flag `name`: integers from `min` to `max`, separated by commas.
fn parse_integers(name: &str, text: &str, min: usize, max: usize) -> Result<Vec<usize>, Failure> {
    text.split(',').map(|part| parse_integer(name, part, min, max)).collect()
}

/// Parses the value of the flag `name`: a decimal number from `min` to `max`.
fn parse_number(name: &str, text: &str, min: f64, max: f64) -> Result<f64, Failure> {
    let error = || Failure::Usage(format!("--{name}: '{text}' is no number from {min} to {max}"));
    dsp::parse_number(text).filter(|n| (min..=max).contains(n)).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a call, as a shell splits it; white space between single quotation marks belongs to a word.
    fn words(call: &str) -> Vec<String> {
        let mut is_quoted = false;
        let is_space = |c: char| {
            is_quoted ^= c == '\'';
            c == ' ' && !is_quoted
        };
        call.split(is_space).filter(|word| !word.is_empty()).map(|word| word.replace('\'', "")).collect()
    }

    /// Checks that the command's examples, and those of its subcommands, are calls that the parser accepts.
    fn check_examples(command: &Command, path: &str) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let calls: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert!(!calls.is_empty(), "{path}: no examples");
        for call in calls {
            // Redirection (`> FILE`) belongs to the shell: the parser gets the words before it.
            let words = words(call.split(" > ").next().unwrap_or(call));
            match super::command().try_get_matches_from(words) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{call}: {error}"),
            }
        }
        for subcommand in command.get_subcommands() {
            check_examples(subcommand, &format!("{path} {}", subcommand.get_name()));
        }
    }

    #[test]
    fn every_command_has_examples_that_are_accepted() {
        command().debug_assert();
        check_examples(&command(), "isotherm");
    }
}
