//! `isotherm verify`: whether a take is what its manifest says.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::{Failure, say};
use crate::record;

pub fn command() -> Command {
    Command::new("verify")
        .about("Checks everything that a take's manifest says: files, headers, lengths, sums, gaps, counts")
        .arg(Arg::new("take").required(true).value_name("TAKE").value_parser(value_parser!(PathBuf)).help("The take's folder"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = matches.get_one::<PathBuf>("take").ok_or_else(|| Failure::Usage("no take".into()))?;
    let record::Verified { manifest, problems, bytes, without_sum } = record::verify(folder).map_err(Failure::failed)?;
    if matches.get_flag("json") {
        say(json!({
            "folder": folder, "good": problems.is_empty(), "problems": problems, "bytes": bytes, "files_without_sum": without_sum,
            "frames": manifest.frames, "lost_frames": manifest.lost_frames(), "gaps": manifest.gaps, "error": manifest.error,
        }));
    } else {
        for problem in &problems {
            say(problem);
        }
        if problems.is_empty() {
            let lost = match manifest.lost_frames() {
                0 => "nothing was lost".into(),
                frames => format!("{frames} frames were lost in {} gaps, as it says", manifest.gaps.len()),
            };
            let unproven = if without_sum > 0 { format!("; {without_sum} files have no sum") } else { String::new() };
            say(format_args!(
                "good: {} stems of {} frames ({:.3} s), {:.1} MB; {lost}{unproven}",
                manifest.stems.len(),
                manifest.frames,
                manifest.seconds(),
                bytes as f64 / 1e6
            ));
            for stem in &manifest.stems {
                if let Some(note) = stem.desk.as_ref().and_then(|desk| desk.note.as_ref()) {
                    say(format_args!("stem {} '{}': track {} {note}", stem.number, stem.name, stem.channel));
                }
            }
            for gap in &manifest.gaps {
                let of = gap.stem.map_or("all stems".into(), |number| format!("stem {number}"));
                say(format_args!("gap of {} frames at frame {} of {of}: {}", gap.frames, gap.position, gap.reason));
            }
        }
    }
    match problems.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Err(Failure::Failed(format!("{}: {first}{more}", folder.display())))
        }
    }
}
