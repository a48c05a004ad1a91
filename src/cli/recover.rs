//! `isotherm recover`: recovers takes that a crash left unfinished, and verifies them.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::verify::{TakeReport, for_each_take, takes_argument};
use super::{Failure, examples};
use crate::record;

pub fn command() -> Command {
    Command::new("recover")
        .about(
            "Makes an unfinished take whole: stems of one length, headers, sums and manifest; \
             checks it, and says what is missing",
        )
        .arg(takes_argument())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON; of several takes, a list"))
        .after_help(examples(&["isotherm recover takes/Drums", "isotherm recover takes/Drums takes/Voice --json"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let several = matches.get_many::<PathBuf>("take").is_some_and(|takes| takes.len() > 1);
    for_each_take(matches, |folder| match record::recover(folder) {
        Ok(recovered) => report(folder, recovered),
        // A finished take is an error only if it is the only take.
        Err(error @ record::TakeError::Finished { .. }) if several => {
            let line = "the take is finished; nothing to recover".to_string();
            let json = json!({ "folder": folder.display().to_string(), "notes": [error.to_string()] });
            Ok(TakeReport { json, lines: vec![line], failure: None })
        }
        Err(error) => Err(error),
    })
}

/// Verifies a recovered take and returns its report.
fn report(folder: &Path, recovered: record::RecoverReport) -> Result<TakeReport, record::TakeError> {
    let record::RecoverReport { manifest, notes } = recovered;
    let problems = record::verify(folder)?.problems;
    let good = problems.is_empty();
    let json = json!({
        "folder": folder.display().to_string(), "good": good, "problems": problems, "notes": notes, "manifest": manifest,
    });
    let mut lines = vec![format!(
        "recovered {} stems of {} frames ({:.3} s){}",
        manifest.stems.len(),
        manifest.frames,
        manifest.seconds(),
        if good { ", and verified" } else { "; it is not whole" }
    )];
    lines.extend(problems.iter().cloned().chain(notes));
    Ok(TakeReport { json, lines, failure: problems.into_iter().next() })
}
