//! `isotherm verify`: checks takes against their manifests.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::{Failure, examples, print_line};
use crate::record;

pub fn command() -> Command {
    Command::new("verify")
        .about("Checks everything that a take's manifest says: files, headers, lengths, sums, gaps, changes, counts")
        .arg(takes_argument())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON; of several takes, a list"))
        .after_help(examples(&["isotherm verify takes/Drums", "isotherm verify takes/Drums takes/Voice --json"]))
}

/// The argument with the takes' folders.
pub fn takes_argument() -> Arg {
    Arg::new("take")
        .required(true)
        .num_args(1..)
        .value_name("TAKE")
        .value_parser(value_parser!(PathBuf))
        .help("The take's folder; or several")
}

/// The result of the check or the recovery of a take.
pub struct TakeReport {
    pub json: Value,
    /// The report as lines of text.
    pub lines: Vec<String>,
    /// The reason if the take failed, in one line without the folder.
    pub failure: Option<String>,
}

/// Calls `process` with the folder of every take and prints the reports.
///
/// # Errors
/// If a take fails. For a single take the error is its own; for several it has the number of failures and the first of them.
pub fn for_each_take<E: std::fmt::Display>(
    matches: &ArgMatches,
    process: impl Fn(&Path) -> Result<TakeReport, E>,
) -> Result<(), Failure> {
    let folders: Vec<&PathBuf> = matches.get_many("take").into_iter().flatten().collect();
    let as_json = matches.get_flag("json");
    if let [folder] = folders[..] {
        let TakeReport { json, lines, failure } = process(folder).map_err(Failure::failed)?;
        if as_json {
            print_line(json)
        } else {
            lines.iter().for_each(print_line)
        }
        return failure.map_or(Ok(()), |failure| Err(Failure::Failed(format!("{}: {failure}", folder.display()))));
    }
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for folder in &folders {
        let TakeReport { json, lines, failure } = process(folder).unwrap_or_else(|error| {
            let error = error.to_string();
            // The lines begin with the folder, so it is cut off the error.
            let failure = error.strip_prefix(&format!("{}: ", folder.display())).unwrap_or(&error).to_string();
            let json = json!({ "folder": folder.display().to_string(), "good": false, "problems": [error] });
            TakeReport { json, lines: vec![failure.clone()], failure: Some(failure) }
        });
        if as_json {
            all.push(json);
        } else {
            lines.iter().for_each(|line| print_line(format_args!("{}: {line}", folder.display())));
        }
        failures.extend(failure.map(|failure| format!("{}: {failure}", folder.display())));
    }
    if as_json {
        print_line(Value::from(all));
    }
    let count = failures.len();
    failures
        .into_iter()
        .next()
        .map_or(Ok(()), |first| Err(Failure::Failed(format!("{count} of {} takes failed; the first: {first}", folders.len()))))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    for_each_take(matches, |folder| record::verify(folder).map(|verified| report(folder, verified)))
}

/// Returns the report on a verified take: problems, or else its length, losses, gaps and changes.
fn report(folder: &Path, verified: record::VerifyReport) -> TakeReport {
    let record::VerifyReport { manifest, problems, bytes, files_without_checksum } = verified;
    let json = json!({
        "folder": folder.display().to_string(), "good": problems.is_empty(), "problems": problems, "bytes": bytes,
        "files_without_sum": files_without_checksum,
        "frames": manifest.frames, "lost_frames": manifest.lost_frames(), "gaps": manifest.gaps, "error": manifest.error,
        "unknown": manifest.unknown, "changes": manifest.changes,
    });
    let mut lines = problems.clone();
    if problems.is_empty() {
        let lost = manifest.loss_text().map(|loss| format!("{loss}, as it says"));
        let unknown = manifest.unknown_text().map(|unknown| format!("not known: {unknown}"));
        let losses: Vec<String> = lost.into_iter().chain(unknown).collect();
        let losses = if losses.is_empty() { "nothing was lost".into() } else { losses.join("; ") };
        let unproven =
            if files_without_checksum > 0 { format!("; {files_without_checksum} files have no sum") } else { String::new() };
        lines.push(format!(
            "good: {} stems of {} frames ({:.3} s), {:.1} MB; {losses}{unproven}",
            manifest.stems.len(),
            manifest.frames,
            manifest.seconds(),
            bytes as f64 / 1e6
        ));
        for stem in &manifest.stems {
            if let Some(note) = stem.desk.as_ref().and_then(|desk| desk.note.as_ref()) {
                lines.push(format!("stem {} '{}': track {} {note}", stem.number, stem.name, stem.channel));
            }
        }
        for gap in &manifest.gaps {
            let of = gap.stem.map_or("all stems".into(), |number| format!("stem {number}"));
            lines.push(format!("gap of {} frames at frame {} of {of}: {}", gap.frames, gap.position, gap.reason));
        }
        for change in &manifest.changes {
            let record::manifest::StemChange { position, since, stem, what, from, to } = change;
            let name = stem.checked_sub(1).and_then(|index| manifest.stems.get(index)).map_or("", |stem| stem.name.as_str());
            let when =
                since.map_or_else(|| format!("at frame {position}"), |since| format!("between frames {since} and {position}"));
            let quoted = |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("'{text}'"));
            lines.push(format!(
                "stem {stem} '{name}': {when} the desk changed its {what} from {} to {}",
                quoted(from),
                quoted(to)
            ));
        }
    }
    let more = if problems.len() > 1 { format!(" (and {} more)", problems.len() - 1) } else { String::new() };
    TakeReport { json, lines, failure: problems.first().map(|first| format!("{first}{more}")) }
}
