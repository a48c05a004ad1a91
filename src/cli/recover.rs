//! `isotherm recover`: recovers takes that a crash left unfinished, and verifies them; copies WAV files that a crash of another
//! recorder damaged, with a header that is right.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::verify::{TakeReport, for_each_take, takes_argument};
use super::{Failure, examples, path_text};
use crate::audio::WavError;
use crate::audio::wav::{MendReport, mend};
use crate::record;

pub fn command() -> Command {
    Command::new("recover")
        .about(
            "Makes an unfinished take whole: stems of one length, headers, sums and manifest; \
             checks it, and says what is missing. Of a damaged WAV file, of any recorder, it writes a copy with a right header",
        )
        .arg(takes_argument().help("The take's folder, or a damaged WAV file; or several"))
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FILE.wav")
                .value_parser(value_parser!(PathBuf))
                .help("The copy of a WAV file; without it, NAME-recovered.wav beside the file. It must not exist yet"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON; of several takes, a list"))
        .after_help(examples(&[
            "isotherm recover takes/Drums",
            "isotherm recover takes/Drums takes/Voice --json",
            "isotherm recover crashed.wav --out mended.wav",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let several = matches.get_many::<PathBuf>("take").is_some_and(|takes| takes.len() > 1);
    let out = matches.get_one::<PathBuf>("out");
    let mut takes = matches.get_many::<PathBuf>("take").into_iter().flatten();
    if out.is_some() && (several || !takes.all(|take| take.is_file())) {
        return Err(Failure::Usage("--out: only the copy of one WAV file has a name; a take is made whole in its folder".into()));
    }
    for_each_take(matches, |path| {
        // A take or a file that is whole already is an error only if it is alone.
        if path.is_file() {
            return match mend_file(path, out.map(PathBuf::as_path)) {
                Err(error @ WavError::Whole { .. }) if several => {
                    let json = json!({ "file": path_text(path), "notes": [error.to_string()] });
                    Ok(TakeReport { json, lines: vec!["the file is whole; nothing to recover".into()], failure: None })
                }
                other => other.map_err(|error| error.to_string()),
            };
        }
        match record::recover(path).and_then(|recovered| report(path, recovered)) {
            Err(error @ record::TakeError::Finished { .. }) if several => {
                let line = "the take is finished; nothing to recover".to_string();
                let json = json!({ "folder": path_text(path), "notes": [error.to_string()] });
                Ok(TakeReport { json, lines: vec![line], failure: None })
            }
            other => other.map_err(|error| error.to_string()),
        }
    })
}

/// Writes the mended copy of a WAV file to `out`, or beside the file, and returns the report.
fn mend_file(file: &Path, out: Option<&Path>) -> Result<TakeReport, WavError> {
    let mut name = file.file_stem().unwrap_or_default().to_os_string();
    name.push("-recovered.wav");
    let copy = out.map_or_else(|| file.with_file_name(name), Path::to_path_buf);
    let MendReport { frames, sample_rate, notes } = mend(file, &copy)?;
    let seconds = frames as f64 / f64::from(sample_rate);
    let json = json!({
        "file": path_text(file), "copy": path_text(&copy), "frames": frames, "sample_rate": sample_rate, "notes": notes,
    });
    let mut lines = vec![format!("recovered {frames} frames ({seconds:.3} s) into {}", copy.display())];
    lines.extend(notes);
    Ok(TakeReport { json, lines, failure: None })
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
