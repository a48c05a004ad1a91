//! The pages of the demo: comparisons of two effects.

use std::path::{Path, PathBuf};

use isotherm::compare::{self, Request, Side, SoundSource};
use isotherm::measure::bench::BenchSpec;

use crate::TaskResult;

/// Seconds for measuring time in a page.
const COST_SECONDS: f64 = 10.0;

/// Compares two effects, writes the report into a folder, and returns the path of its page. `paths`: the paths of the sounds as
/// a command line has them, with a space at the end; empty for the built-in material.
///
/// # Errors
/// If a sound cannot be read, or the report cannot be written.
pub fn write(folder: &Path, a: Side, b: Side, sounds: Vec<SoundSource>, paths: &str) -> TaskResult<PathBuf> {
    let command = format!("isotherm compare {paths}--a '{a}' --b '{b}' --cost-seconds {COST_SECONDS}");
    let request = Request {
        a,
        b,
        sounds,
        blocks: BenchSpec::default().blocks,
        cost_seconds: COST_SECONDS,
        in_detail: true,
        limits: Vec::new(),
        command,
    };
    let finished = compare::compare(&request, &|_| true)?;
    let verdict = &finished.report.verdict;
    println!("{}. {} {}", verdict.title, verdict.sentences[0], verdict.sentences[1]);
    println!("Each sound alone: {}.", finished.report.tally());
    compare::write(&finished, folder, true, &|| true)?;
    Ok(folder.join("index.html"))
}
