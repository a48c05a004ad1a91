//! The work of a cell: comparisons by [`crate::compare`], and their rows.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::folder::{StudyFolder, StudyFolderError};
use super::plan::{Cell, Work};
use super::sound::{SoundText, SoundTextError};
use super::table::{BlockCost, Row, Status, TwinFacts};
use super::twin::{Twinned, TwinnedError};
use crate::compare::{CompareError, Machine, Report, Request, Side, SideError, SoundError, SoundSource, compare};
use crate::effect::Effect;
use crate::measure::bench::{BenchError, BenchSpec, BlockSize, measure_interleaved};
use crate::neural::{Model, ModelError};

/// The result of a cell, as it stands in its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// The cell as it was when it was run. A result counts only for the same cell.
    pub cell: Cell,
    /// Name and version of the program.
    pub program: String,
    /// The processor's name, the SIMD level and the date, for whoever wonders about a figure.
    pub machine: Value,
    /// The rows; empty after an error.
    pub rows: Vec<Row>,
    /// The reason why there are none.
    pub error: Option<String>,
}

/// The reason why a cell has no rows.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The comparison failed.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// A side cannot be read.
    #[error(transparent)]
    Side(#[from] SideError),
    /// The text of a sound cannot be read.
    #[error(transparent)]
    SoundText(#[from] SoundTextError),
    /// A sound cannot be read.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The effect of a twin cannot be read or rendered.
    #[error(transparent)]
    Twinned(#[from] TwinnedError),
    /// The twin cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The time cannot be measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The training left no model or no card.
    #[error("{0}")]
    NoTwin(String),
    /// A file has other contents than when the plan was made.
    #[error("{0}: changed since the plan was made; expected the same contents, or a new plan")]
    Changed(String),
}

impl CellResult {
    /// A result of this program and machine.
    fn new(cell: &Cell, rows: Vec<Row>, error: Option<String>) -> Self {
        let machine = serde_json::to_value(Machine::this()).unwrap_or_default();
        Self { cell: cell.clone(), program: concat!("isotherm ", env!("CARGO_PKG_VERSION")).into(), machine, rows, error }
    }

    /// The result of a cell that gave nothing, with the reason. [control thread]
    #[must_use]
    pub fn failed(cell: &Cell, reason: impl Into<String>) -> Self {
        Self::new(cell, Vec::new(), Some(reason.into()))
    }
}

/// Runs a cell and leaves its result, rows or an error, in the study's folder; returns it. The process's working folder must be
/// the plan's. `twin` is the folder of the trained twin, which a cell that trains needs. [control thread: takes its time]
///
/// # Errors
/// If the result cannot be written; an error of the cell's work is part of the result.
pub fn run_cell(folder: &StudyFolder, cell: &Cell, twin: Option<&Path>) -> Result<CellResult, StudyFolderError> {
    let result = match rows(cell, twin, &folder.path) {
        Ok(rows) => CellResult::new(cell, rows, None),
        Err(error) => CellResult::failed(cell, error.to_string()),
    };
    folder.keep(&result)?;
    Ok(result)
}

/// The rows of a cell.
fn rows(cell: &Cell, twin: Option<&Path>, study: &Path) -> Result<Vec<Row>, CellError> {
    for (path, hash) in &cell.files {
        // A file that has gone is told by whoever reads it.
        if crate::compare::sha256_of_file(Path::new(path)).is_ok_and(|found| found != *hash) {
            return Err(CellError::Changed(path.clone()));
        }
    }
    match &cell.work {
        Work::Compare { a, b, sound, source } => {
            let source: SoundText = source.parse()?;
            let request = request(cell, a.parse()?, b.parse()?, source.source(cell.seed.unwrap_or(1)));
            let report = compare(&request, &|_| true)?.report;
            Ok(vec![row(cell, &report, sound, &block_costs(&report))])
        }
        Work::Twin { a, sounds, .. } => {
            let folder = twin.ok_or_else(|| CellError::NoTwin("no folder of a twin".into()))?;
            twin_rows(cell, &a.parse()?, sounds, folder, study)
        }
    }
}

/// The comparison of two sides on a sound for a cell.
fn request(cell: &Cell, a: Side, b: Side, sound: SoundSource) -> Request {
    let blocks = cell.blocks.iter().map(|frames| BlockSize::fixed(*frames)).collect();
    Request {
        a,
        b,
        sounds: vec![sound],
        blocks,
        cost_seconds: cell.cost_seconds,
        in_detail: false,
        limits: Vec::new(),
        command: String::new(),
    }
}

/// The row of a report's only sound, whose name in the plan is `name`.
fn row(cell: &Cell, report: &Report, name: &str, costs: &[BlockCost]) -> Row {
    let empty = |status, reason: String| Row::without(cell, name, status, reason);
    let Some(sound) = report.sounds.first() else { return empty(Status::Failed, "no figures".into()) };
    if let Some(correlation) = sound.unrelated_correlation {
        return empty(Status::Failed, format!("the sides have nothing in common (correlation {correlation:.3})"));
    }
    Row {
        reason: None,
        verdict: Some(sound.verdict.into()),
        figures: sound.aligned.iter().map(|(id, figure)| ((*id).to_owned(), *figure)).collect(),
        costs: costs.to_vec(),
        ..empty(Status::Done, String::new())
    }
}

/// The times of both sides of a report by block size.
fn block_costs(report: &Report) -> Vec<BlockCost> {
    let of = |table: &Option<crate::measure::bench::CostTable>, index: usize| {
        table.as_ref().and_then(|table| table.rows.get(index)).map(|row| (row.block.max, row.ns_per_sample))
    };
    let (a, b) = (&report.costs.a, &report.costs.b);
    let count = a.iter().chain(b).map(|table| table.rows.len()).max().unwrap_or(0);
    let cost = |index| {
        let (of_a, of_b) = (of(a, index), of(b, index));
        let block = of_a.or(of_b)?.0;
        Some(BlockCost { block, a_ns: of_a.map(|(_, ns)| ns), b_ns: of_b.map(|(_, ns)| ns) })
    };
    (0..count).filter_map(cost).collect()
}

/// The rows of a twin: its original and it on every sound, and the time of both in one run.
fn twin_rows(
    cell: &Cell,
    twinned: &Twinned,
    sounds: &[(String, String)],
    folder: &Path,
    study: &Path,
) -> Result<Vec<Row>, CellError> {
    let path = ["twin.nam", "twin.json"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
    let path = path.ok_or_else(|| CellError::NoTwin(format!("{}: no twin.nam or twin.json in it", folder.display())))?;
    let model = Model::open(&path)?;
    let effect = Effect::new(&crate::neural::ALGORITHM).with_model(model);
    let twin = twin_facts(folder, path.strip_prefix(study).unwrap_or(&path))?;
    let costs = twin_costs(cell, twinned, &effect)?;
    let mut rows = Vec::new();
    for (name, source) in sounds {
        let source = source.parse::<SoundText>()?.source(1);
        let side = twinned.side(&source.load()?)?;
        let request = Request { cost_seconds: 0.0, ..request(cell, side, Side::Effect(effect.clone()), source) };
        let of_sound = match compare(&request, &|_| true) {
            Ok(finished) => row(cell, &finished.report, name, &costs),
            Err(error) => Row::without(cell, name, Status::Failed, error.to_string()),
        };
        rows.push(Row { twin: Some(twin.clone()), ..of_sound });
    }
    Ok(rows)
}

/// The times of an original and its twin. A circuit is not run in blocks: its time is that of a whole sound.
fn twin_costs(cell: &Cell, twinned: &Twinned, twin: &Effect) -> Result<Vec<BlockCost>, CellError> {
    if cell.cost_seconds <= 0.0 {
        return Ok(Vec::new());
    }
    let original = if let Twinned::Effect(effect) = twinned { Some(effect.clone()) } else { None };
    let circuit_ns = twinned.circuit_ns()?;
    let effects: Vec<Effect> = original.into_iter().chain([twin.clone()]).collect();
    let blocks = cell.blocks.iter().map(|frames| BlockSize::fixed(*frames)).collect();
    let spec = BenchSpec { blocks, seconds: cell.cost_seconds, ..BenchSpec::default() };
    let tables = measure_interleaved(&effects, &spec, |_| true)?;
    let ns = |table: &crate::measure::bench::CostTable, index: usize| table.rows[index].ns_per_sample;
    let cost = |(index, block): (usize, &usize)| BlockCost {
        block: *block,
        a_ns: circuit_ns.or_else(|| tables.first().map(|table| ns(table, index))),
        b_ns: tables.last().map(|table| ns(table, index)),
    };
    Ok(cell.blocks.iter().enumerate().map(cost).collect())
}

/// The facts of a twin, from the card of its training.
fn twin_facts(folder: &Path, model: &Path) -> Result<TwinFacts, CellError> {
    let path = folder.join("card.json");
    let text = std::fs::read_to_string(&path).map_err(|error| CellError::NoTwin(format!("{}: {error}", path.display())))?;
    let card: Value = serde_json::from_str(&text).map_err(|error| CellError::NoTwin(format!("{}: {error}", path.display())))?;
    Ok(TwinFacts {
        parameters: card["parameters"].as_u64().unwrap_or(0) as usize,
        steps: card["training"]["steps"].as_u64().unwrap_or(0),
        planned_steps: card["training"]["planned_steps"].as_u64().unwrap_or(0),
        held_out_esr: card["esr"].as_f64(),
        model: model.to_string_lossy().into_owned(),
    })
}
