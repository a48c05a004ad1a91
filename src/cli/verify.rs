//! `isotherm verify`: whether takes are what their manifests say.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::{Failure, say};
use crate::record;

pub fn command() -> Command {
    Command::new("verify")
        .about("Checks everything that a take's manifest says: files, headers, lengths, sums, gaps, changes, counts")
        .arg(takes())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON; of several takes, a list"))
}

/// The takes' folders.
pub fn takes() -> Arg {
    Arg::new("take")
        .required(true)
        .num_args(1..)
        .value_name("TAKE")
        .value_parser(value_parser!(PathBuf))
        .help("The take's folder; or several")
}

/// A take that was looked at.
pub struct Report {
    pub json: Value,
    pub lines: Vec<String>,
    /// In one line, without the folder.
    pub failure: Option<String>,
}

/// Looks at every take, tells of each, and fails if one fails.
///
/// # Errors
/// Those of `look` for a take alone; else how many failed, and the first of them.
pub fn each(matches: &ArgMatches, look: impl Fn(&Path) -> Result<Report, record::TakeError>) -> Result<(), Failure> {
    let folders: Vec<&PathBuf> = matches.get_many("take").into_iter().flatten().collect();
    let as_json = matches.get_flag("json");
    if let [folder] = folders[..] {
        let Report { json, lines, failure } = look(folder).map_err(Failure::failed)?;
        if as_json {
            say(json)
        } else {
            lines.iter().for_each(say)
        }
        return failure.map_or(Ok(()), |failure| Err(Failure::Failed(format!("{}: {failure}", folder.display()))));
    }
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for folder in &folders {
        let Report { json, lines, failure } = look(folder).unwrap_or_else(|error| {
            let error = error.to_string();
            // The folder is said in front of it.
            let failure = error.strip_prefix(&format!("{}: ", folder.display())).unwrap_or(&error).to_string();
            let json = json!({ "folder": folder.display().to_string(), "good": false, "problems": [error] });
            Report { json, lines: vec![failure.clone()], failure: Some(failure) }
        });
        if as_json {
            all.push(json);
        } else {
            lines.iter().for_each(|line| say(format_args!("{}: {line}", folder.display())));
        }
        failures.extend(failure.map(|failure| format!("{}: {failure}", folder.display())));
    }
    if as_json {
        say(Value::from(all));
    }
    let count = failures.len();
    failures
        .into_iter()
        .next()
        .map_or(Ok(()), |first| Err(Failure::Failed(format!("{count} of {} takes failed; the first: {first}", folders.len()))))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    each(matches, |folder| Ok(report(folder, record::verify(folder)?)))
}

fn report(folder: &Path, verified: record::Verified) -> Report {
    let record::Verified { manifest, problems, bytes, without_sum } = verified;
    let json = json!({
        "folder": folder.display().to_string(), "good": problems.is_empty(), "problems": problems, "bytes": bytes, "files_without_sum": without_sum,
        "frames": manifest.frames, "lost_frames": manifest.lost_frames(), "gaps": manifest.gaps, "error": manifest.error,
        "unknown": manifest.unknown, "changes": manifest.changes,
    });
    let mut lines = problems.clone();
    if problems.is_empty() {
        let lost = manifest.loss().map(|loss| format!("{loss}, as it says"));
        let unknown = manifest.not_known().map(|what| format!("not known: {what}"));
        let lacks: Vec<String> = lost.into_iter().chain(unknown).collect();
        let lacks = if lacks.is_empty() { "nothing was lost".into() } else { lacks.join("; ") };
        let unproven = if without_sum > 0 { format!("; {without_sum} files have no sum") } else { String::new() };
        lines.push(format!(
            "good: {} stems of {} frames ({:.3} s), {:.1} MB; {lacks}{unproven}",
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
            let record::manifest::Change { position, since, stem, what, from, to } = change;
            let name = stem.checked_sub(1).and_then(|index| manifest.stems.get(index)).map_or("", |stem| stem.name.as_str());
            let when =
                since.map_or_else(|| format!("at frame {position}"), |since| format!("between frames {since} and {position}"));
            let said = |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("'{text}'"));
            lines.push(format!("stem {stem} '{name}': {when} the desk changed its {what} from {} to {}", said(from), said(to)));
        }
    }
    let more = if problems.len() > 1 { format!(" (and {} more)", problems.len() - 1) } else { String::new() };
    Report { json, lines, failure: problems.first().map(|first| format!("{first}{more}")) }
}
