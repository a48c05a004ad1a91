//! `isotherm recover`: a take that a crash left behind, made whole.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::{Failure, say};
use crate::record;

pub fn command() -> Command {
    Command::new("recover")
        .about("Makes an unfinished take whole: stems of one length, headers, sums and manifest; says what is missing")
        .arg(Arg::new("take").required(true).value_name("TAKE").value_parser(value_parser!(PathBuf)).help("The take's folder"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = matches.get_one::<PathBuf>("take").ok_or_else(|| Failure::Usage("no take".into()))?;
    let record::Recovered { manifest, notes } = record::recover(folder).map_err(Failure::failed)?;
    if matches.get_flag("json") {
        say(json!({ "folder": folder, "notes": notes, "manifest": manifest }));
        return Ok(());
    }
    say(format_args!(
        "{}: recovered {} stems of {} frames ({:.3} s)",
        folder.display(),
        manifest.stems.len(),
        manifest.frames,
        manifest.seconds()
    ));
    for note in notes {
        say(note);
    }
    Ok(())
}
