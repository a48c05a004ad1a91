//! A study: many comparisons from one plan, one table of them, and the frontier of error against cost.
//!
//! A [`Plan`] is read from a TOML file, or made for the twins of one effect ([`Frontier`]). It has cells, each of which is the work
//! of a process of its own: [`run_cell`] compares, and leaves its result in the study's folder ([`StudyFolder`]). [`collect`]
//! makes the table of all results: `study.json`, `table.csv`, `index.html` and the pictures of the frontiers. A cell without a
//! result, or with an error instead of one, is a row that says why. `docs/study.md` describes the files.
//!
//! Everything here allocates and takes its time, so nothing is for the audio thread.

mod cell;
mod folder;
mod frontier;
mod page;
mod picture;
mod plan;
mod sound;
mod table;
mod twin;

use std::io::Write as _;

pub use cell::{CellError, CellResult, run_cell};
pub use folder::{StudyFolder, StudyFolderError};
pub use frontier::{AUDIBLE_NMR_DB, EffectFrontier, Point, ratio_text};
pub use plan::{BLOCKS, Budget, COST_SECONDS, Cell, FRONTIER_NETWORKS, Frontier, PLAN_VERSION, Plan, PlanError, Work};
pub use sound::{SoundText, SoundTextError};
pub use table::{BlockCost, Row, SCHEMA, SCHEMA_VERSION, Status, Table, TwinFacts};
pub use twin::{TrainingArguments, Twinned, TwinnedError};

use crate::compare::PictureError;

/// The reason why the table of a study cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file of the study cannot be read or written.
    #[error(transparent)]
    Folder(#[from] StudyFolderError),
    /// The page cannot be made.
    #[error("the page cannot be made: {0}")]
    Page(#[from] minijinja::Error),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// `study.json` cannot be made.
    #[error("study.json cannot be made: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes the table of the cells that are there, and writes it: `study.json`, `table.csv`, `index.html`, and for each effect with
/// costs `frontier-N.png`. Each file is replaced as a whole. [control thread: does I/O]
///
/// # Errors
/// [`CollectError`]; then the files of before are there, or some of them.
pub fn collect(folder: &StudyFolder) -> Result<Table, CollectError> {
    let table = Table::of(&folder.plan, |cell| folder.result(cell));
    folder.write("study.json", table.to_json()?.as_bytes())?;
    folder.write("table.csv", table.to_csv().as_bytes())?;
    for (index, frontier) in table.frontiers.iter().enumerate() {
        folder.write(&format!("frontier-{}.png", index + 1), &picture::png(frontier)?)?;
    }
    folder.write("index.html", page::page(&table)?.as_bytes())?;
    Ok(table)
}

/// Writes a file under a hidden name and renames it, so that it is complete if it is there.
fn write_whole(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}-{}.part", std::process::id()));
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| std::fs::rename(&part, path)).inspect_err(|_| {
        // It may not be there.
        let _ = std::fs::remove_file(&part);
    })
}
