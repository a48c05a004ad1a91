//! `isotherm recover`: takes that a crash left behind, made whole.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::Failure;
use super::verify::{Report, each, takes};
use crate::record;

pub fn command() -> Command {
    Command::new("recover")
        .about("Makes an unfinished take whole: stems of one length, headers, sums and manifest; checks it, and says what is missing")
        .arg(takes())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON; of several takes, a list"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let several = matches.get_many::<PathBuf>("take").is_some_and(|takes| takes.len() > 1);
    each(matches, |folder| match record::recover(folder) {
        Ok(recovered) => report(folder, recovered),
        // Among others it is none that is left to do.
        Err(error @ record::TakeError::Finished { .. }) if several => {
            let line = "the take is finished; nothing to recover".to_string();
            let json = json!({ "folder": folder.display().to_string(), "notes": [error.to_string()] });
            Ok(Report { json, lines: vec![line], failure: None })
        }
        Err(error) => Err(error),
    })
}

/// A take is called whole when it has been verified.
fn report(folder: &Path, recovered: record::Recovered) -> Result<Report, record::TakeError> {
    let record::Recovered { manifest, notes } = recovered;
    let problems = record::verify(folder)?.problems;
    let good = problems.is_empty();
    let json = json!({ "folder": folder.display().to_string(), "good": good, "problems": problems, "notes": notes, "manifest": manifest });
    let mut lines = vec![format!(
        "recovered {} stems of {} frames ({:.3} s){}",
        manifest.stems.len(),
        manifest.frames,
        manifest.seconds(),
        if good { ", and verified" } else { "; it is not whole" }
    )];
    lines.extend(problems.iter().cloned().chain(notes));
    Ok(Report { json, lines, failure: problems.into_iter().next() })
}
