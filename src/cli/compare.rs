//! `isotherm compare`: compares two effects, or an effect and a file, on sounds, and writes a report.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, did_you_mean, effect_tip, examples, parse_number, print_line};
use crate::compare::{
    COMPARISON, CompareError, Finished, Limit, LimitError, LimitResult, ReportFolder, Request, SCALE, Side, SideError,
    SoundSource, WriteError, compare, write,
};
use crate::measure::bench::BenchSpec;
use crate::measure::{MEASURES, MeasureFn};

/// The folder of the report if none is named.
const DEFAULT_OUT: &str = "report";
/// The examples of the help.
const EXAMPLES: [&str; 3] = [
    "isotherm compare riff.wav --a saturator --b clipper --out report",
    "isotherm compare riff.wav --a saturator --b file:wet.wav --limit esr=1e-4 --limit nmr=-10",
    "isotherm compare --a saturator --b dry --cost-seconds 5 --json",
];
/// Steps of the progress bar.
const STEPS: u64 = 1000;
/// Time between two looks at Ctrl-C and the progress.
const LOOK: Duration = Duration::from_millis(50);

pub fn command() -> Command {
    Command::new("compare")
        .about("Compares two effects, or an effect and a file, by numbers, and writes a page about them")
        .arg(
            Arg::new("sounds")
                .num_args(0..)
                .value_name("SOUND")
                .value_parser(value_parser!(PathBuf))
                .help("WAV files, or folders of them; without any, the built-in material"),
        )
        .arg(side_argument("a", "Side A, the reference: an effect as 'saturator drive=24', file:WET.wav, or dry"))
        .arg(side_argument("b", "Side B: the same kinds"))
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("The report's folder [report; with --json: none]"),
        )
        .arg(
            Arg::new("cost_seconds")
                .long("cost-seconds")
                .value_name("S")
                .default_value("20")
                .help("Time for measuring time; 0 measures none"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("MEASURE=NUMBER")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help("A limit for any measure, or LOW..HIGH; if it is exceeded, the exit code is 4. Repeatable"),
        )
        .arg(Arg::new("force").long("force").action(ArgAction::SetTrue).help("Replace an earlier report"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON on standard output"))
        .after_help(examples(&EXAMPLES))
        .after_long_help(format!(
            "{}\n\nParameters of effects: isotherm algorithms\nMeasures for limits: {}",
            examples(&EXAMPLES),
            MEASURES.iter().map(|row| row.id).collect::<Vec<_>>().join(", ")
        ))
}

/// The flag of a side.
fn side_argument(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).required(true).value_name("SIDE").value_parser(value_parser!(OsString)).help(help)
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let (json, force) = (matches.get_flag("json"), matches.get_flag("force"));
    let limits = matches.get_many::<String>("limit").into_iter().flatten().map(|text| parse_limit(text));
    let limits: Vec<Limit> = limits.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let cost_seconds = parse_number("cost-seconds", text("cost_seconds"), 0.0, 86_400.0)?;
    let is_cost = |limit: &&Limit| matches!(limit.measure.function, MeasureFn::Cost(_));
    if cost_seconds == 0.0
        && let Some(limit) = limits.iter().find(is_cost)
    {
        let id = limit.measure.id;
        return Err(Failure::Usage(format!("--limit {id}: no time is measured with --cost-seconds 0; expected more seconds")));
    }
    let out = matches.get_one::<PathBuf>("out").cloned().or_else(|| (!json).then(|| DEFAULT_OUT.into()));
    let (a, b) = (parse_side(matches, "a")?, parse_side(matches, "b")?);
    let paths: Vec<PathBuf> = matches.get_many::<PathBuf>("sounds").into_iter().flatten().cloned().collect();
    let sounds = if paths.is_empty() {
        check_needs_no_sound(&a, &b)?;
        SoundSource::built_in()
    } else {
        SoundSource::of_paths(&paths).map_err(Failure::failed)?
    };
    if let Some(out) = &out {
        ReportFolder::check(&COMPARISON, out, force).map_err(Failure::failed)?;
    }
    let request = Request {
        a,
        b,
        sounds,
        blocks: BenchSpec::default().blocks,
        cost_seconds,
        in_detail: true,
        limits,
        command: command_line(),
    };

    let finished = work(request, out.clone(), force)?;
    if json {
        print_line(finished.report.to_json().map_err(Failure::failed)?.trim_end());
    } else {
        print_summary(&finished);
        if let Some(out) = &out {
            print_line(format_args!("The page: {}", out.join("index.html").display()));
        }
    }
    let lines: Vec<String> = finished.report.limits.iter().filter(|limit| !limit.passed).map(LimitResult::line).collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::Limits(lines)) }
}

/// Reads a side; a misspelt name is answered with the nearest one.
fn parse_side(matches: &ArgMatches, name: &str) -> Result<Side, Failure> {
    let text = matches.get_one::<OsString>(name).ok_or_else(|| Failure::Usage(format!("--{name}: no side")))?;
    Side::from_os_text(text).map_err(|error| {
        let tip = match &error {
            SideError::Effect(error) => effect_tip(error),
            SideError::Unknown(unknown) => did_you_mean(&unknown.found, unknown.expected.split(", ").chain(["dry"])),
            _ => String::new(),
        };
        Failure::Usage(format!("--{name}: {error}{tip}"))
    })
}

/// Checks that no side is a single file, which can only be compared on the sound that it was made from.
fn check_needs_no_sound(a: &Side, b: &Side) -> Result<(), Failure> {
    let mut files: Vec<&Path> = Vec::new();
    for side in [a, b] {
        match side {
            Side::File(path) if !path.is_dir() => files.push(path),
            _ => {}
        }
    }
    match files[..] {
        [a, b] => Err(Failure::Usage(format!(
            "no sound was named; expected the dry sound that both files were made from: \
             isotherm compare DRY.wav --a ... --b ...; without one, compare the files themselves: \
             isotherm compare {0} --a dry --b file:{1}",
            a.display(),
            b.display()
        ))),
        [file] => Err(Failure::Usage(format!(
            "no sound was named; expected the dry sound that {} was made from: isotherm compare DRY.wav --a ... --b ...",
            file.display()
        ))),
        _ => Ok(()),
    }
}

/// Reads a limit, or both of a range; a misspelt measure is answered with the nearest one, or with all of them.
fn parse_limit(text: &str) -> Result<Vec<Limit>, Failure> {
    Limit::parse(text).map_err(|error| {
        let line = match &error {
            LimitError::Unknown { found } => match did_you_mean(found, MEASURES.iter().map(|row| row.id)) {
                tip if tip.is_empty() => error.to_string(),
                tip => format!("no measure '{found}'{tip}"),
            },
            _ => error.to_string(),
        };
        Failure::Usage(format!("--limit: {line}"))
    })
}

/// Compares and writes on another thread, so that Ctrl-C ends the program at once.
fn work(request: Request, out: Option<PathBuf>, force: bool) -> Result<Finished, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst));
    let is_writing = Arc::new(AtomicBool::new(false));
    let progress = Arc::new(AtomicU64::new(0));
    let (sender, receiver) = channel();
    let (stop, writing, done) = (interrupted.clone(), is_writing.clone(), progress.clone());
    std::thread::spawn(move || {
        let watch = |share: f64| {
            done.fetch_max((share * STEPS as f64) as u64, Ordering::Relaxed);
            !stop.load(Ordering::SeqCst)
        };
        let result = compare(&request, &watch).map_err(compare_failure).and_then(|finished| {
            // Each thread first tells its own flag, then reads the other's, in one order for both: so either this one sees the
            // interruption, or the other one waits for the files.
            writing.store(true, Ordering::SeqCst);
            if stop.load(Ordering::SeqCst) {
                return Err(interruption());
            }
            if let Some(out) = out {
                write(&finished, &out, force, &|| !stop.load(Ordering::SeqCst)).map_err(write_failure)?;
            }
            Ok(finished)
        });
        // The receiver is gone only if the program ends.
        let _ = sender.send(result);
    });
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(STEPS) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left") {
        bar.set_style(style);
    }
    let result = loop {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => break result,
            Err(RecvTimeoutError::Disconnected) => break Err(Failure::Failed("the comparison ended without a result".into())),
            // The files of a report are removed by the thread that writes them, which looks at the flag itself.
            Err(RecvTimeoutError::Timeout) if interrupted.load(Ordering::SeqCst) && !is_writing.load(Ordering::SeqCst) => {
                break Err(interruption());
            }
            Err(RecvTimeoutError::Timeout) => bar.set_position(progress.load(Ordering::Relaxed)),
        }
    };
    bar.finish_and_clear();
    result
}

/// The failure for Ctrl-C.
fn interruption() -> Failure {
    Failure::Failed("interrupted; nothing was written".into())
}

fn compare_failure(error: CompareError) -> Failure {
    if matches!(error, CompareError::Cancelled) { interruption() } else { Failure::failed(error) }
}

fn write_failure(error: WriteError) -> Failure {
    if matches!(error, WriteError::Cancelled) { interruption() } else { Failure::failed(error) }
}

/// Prints the verdict, its numbers and the remarks.
fn print_summary(finished: &Finished) {
    let report = &finished.report;
    let verdict = &report.verdict;
    print_line(format_args!("{}. {}", verdict.title, verdict.text()));
    let steps = SCALE.iter().map(|step| if step.title == verdict.step { format!("[{}]", step.title) } else { step.title.into() });
    print_line(format_args!("Scale: {}.", steps.collect::<Vec<String>>().join(", ")));
    if report.sounds.len() > 1 {
        print_line(format_args!("Each sound alone: {}.", report.tally()));
    }
    for number in &verdict.deciding {
        print_line(format_args!("  {}: {} ({}; {})", number.name, number.text, number.sound, number.note));
    }
    if let Some(trap) = &report.trap {
        print_line(trap.text());
    }
    if let Some(ratio) = report.cost_sentence() {
        print_line(format_args!("Cost: {ratio}"));
    }
    report.warnings.iter().for_each(print_line);
    report.refused.iter().for_each(|refused| print_line(format_args!("Not compared: {}", refused.reason)));
}

/// The command line of this process, with quotation marks where a shell needs them.
pub(super) fn command_line() -> String {
    let words = std::env::args_os().enumerate().map(|(index, word)| {
        let word = word.to_string_lossy().into_owned();
        if index == 0 { "isotherm".into() } else { shell_word(&word) }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A word as a shell reads it: in quotation marks where it needs them.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:,+%@".contains(c));
    if is_plain { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
