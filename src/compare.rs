//! The comparison of two sides (effects, processed files or the dry sound) on sounds: does one sound the same as the other, and
//! what does each cost?
//!
//! [`compare`] aligns B with A, measures their difference, each side alone and the time that both take, lays a ruler of known
//! changes beside the numbers, and finds the verdict in the table [`VERDICTS`]. [`write()`] makes the report's folder of it:
//! `index.html`, `report.json`, `measures.csv` and a PNG for each plot. `docs/comparing.md` describes them.
//!
//! Everything here allocates and takes its time, so nothing is for the audio thread.
//!
//! ```
//! use isotherm::compare::{BuiltIn, Request, SoundSource, compare};
//! use isotherm::measure::bench::BenchSpec;
//!
//! let request = Request {
//!     a: "clipper".parse()?,
//!     b: "clipper".parse()?,
//!     sounds: vec![SoundSource::BuiltIn(BuiltIn::Noise, -3.0, 1)],
//!     blocks: BenchSpec::default().blocks,
//!     cost_seconds: 0.0,
//!     in_detail: true,
//!     limits: Vec::new(),
//!     command: String::new(),
//! };
//! let finished = compare(&request, &|_| true)?;
//! assert_eq!(finished.report.verdict.id, "identical");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cost;
mod excerpt;
mod figures;
mod folder;
pub(crate) mod page;
pub(crate) mod picture;
mod plot;
mod report;
mod ruler;
mod run;
mod side;
mod sound;
mod verdict;

use std::path::Path;

pub use excerpt::{Player, Region, Track};
pub use figures::{Figures, Limit, LimitError, LimitResult, MeasureFacts};
pub use folder::{COMPARISON, FolderError, ReportFolder, ReportKind};
pub use page::{BASE_STYLE, PageError, page};
pub use picture::{PictureError, png};
pub use plot::{Axis, Dash, Plot, Series};
#[cfg(any(feature = "listen", feature = "study"))]
pub(crate) use report::csv_field;
pub use report::{
    Alone, Band, Machine, Refused, Report, SCHEMA, SCHEMA_VERSION, Settings, SidePair, SoundReport, Trap, TrapFigure, WorstFigure,
};
pub use ruler::{LOW_PASS_HZ, RANDOM_DB, Ruler, RulerRow, low_pass};
#[cfg(feature = "listen")]
pub(crate) use ruler::{low_pass_at, low_pass_half, low_pass_taps};
pub use run::{CompareError, DETAILED_SOUNDS, Finished, IMPULSE_FRAMES, Request, TONE, Watch, compare};
pub use side::{FileFacts, ModelFacts, Output, Side, SideError, SideFacts, SideKind};
#[cfg(feature = "listen")]
pub(crate) use sound::sha256;
#[cfg(feature = "study")]
pub(crate) use sound::sha256_of_file;
pub use sound::{BuiltIn, Sound, SoundError, SoundSource};
pub use verdict::{Deciding, Distance, Evidence, SCALE, Step, VERDICTS, Verdict, VerdictRow};

/// The reason why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The page cannot be made.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// `report.json` cannot be made.
    #[error("report.json cannot be made: {0}")]
    Json(#[from] serde_json::Error),
    /// `watch` cancelled.
    #[error("called off")]
    Cancelled,
}

/// Writes the report's folder at `target`, which appears only when it is complete. With `force` it replaces an earlier report.
/// `watch` returns false to cancel. PNGs of a sound's own plots are written for the sounds that have a player.
/// [control thread: does I/O]
///
/// # Errors
/// [`WriteError`]; then there is no folder, or the earlier report.
pub fn write(finished: &Finished, target: &Path, force: bool, watch: &dyn Fn() -> bool) -> Result<(), WriteError> {
    let go_on = || if watch() { Ok(()) } else { Err(WriteError::Cancelled) };
    let folder = ReportFolder::create(&COMPARISON, target, force)?;
    let plots = Plot::all(&finished.report);
    folder.write("index.html", page(&finished.report, &finished.players, &plots)?.as_bytes())?;
    folder.write("report.json", finished.report.to_json()?.as_bytes())?;
    folder.write("measures.csv", finished.report.to_csv().as_bytes())?;
    for plot in plots.iter().filter(|plot| is_pictured(&plot.id)) {
        go_on()?;
        folder.write(&format!("{}.png", plot.id), &png(plot)?)?;
    }
    go_on()?;
    Ok(folder.finish()?)
}

/// True if a plot is drawn as PNG: all but those of later sounds.
fn is_pictured(id: &str) -> bool {
    let index = id.rsplit_once('-').and_then(|(_, number)| number.parse::<usize>().ok());
    index.is_none_or(|index| index < DETAILED_SOUNDS)
}
