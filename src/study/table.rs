//! The table of a study: rows from the results of the cells, as JSON and CSV.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::cell::CellResult;
use super::frontier::EffectFrontier;
use super::plan::{Cell, Plan};
use crate::compare::{MeasureFacts, csv_field};
use crate::measure::{MEASURES, MeasureFn};

/// Name of the schema of `study.json`.
pub const SCHEMA: &str = "isotherm-study";
/// Version of the schema. It grows when a key changes its meaning or goes; new keys do not change it.
pub const SCHEMA_VERSION: u32 = 1;

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The row has its figures.
    Done,
    /// The cell ended with an error, or was ended; the row has the reason.
    Failed,
    /// The cell has not been run, or its files have changed since.
    Missing,
}

impl Status {
    /// The word of the table. [any thread]
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missing => "missing",
        }
    }
}

/// Median times of both sides with blocks of one size, measured by turns in one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockCost {
    /// Frames of a block.
    pub block: usize,
    /// Nanoseconds for a sample of the effect; `None` if it is none.
    pub a_ns: Option<f64>,
    /// Nanoseconds for a sample of the model; `None` if it is none.
    pub b_ns: Option<f64>,
}

impl BlockCost {
    /// Time of the model divided by that of the effect; `None` without both. [any thread]
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.b_ns.zip(self.a_ns).filter(|(_, a)| *a > 0.0).map(|(b, a)| b / a)
    }
}

/// A twin that a cell trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwinFacts {
    /// Number of weights and biases.
    pub parameters: usize,
    /// Steps of the training.
    pub steps: u64,
    /// Steps that were planned; more than [`Self::steps`] if the time was over before.
    pub planned_steps: u64,
    /// Error to signal on the sound that the training held out; `None` if the card has none.
    pub held_out_esr: Option<f64>,
    /// Path of the model in the study's folder.
    pub model: String,
}

/// A row: a model against an effect on a sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the cell.
    pub cell: String,
    /// Name of the effect.
    pub effect: String,
    /// Name of the model, or of the trained network.
    pub model: String,
    /// Name of the sound.
    pub sound: String,
    /// Seed of the built-in sound or of the training.
    pub seed: Option<u64>,
    /// The state.
    pub status: Status,
    /// The reason why there are no figures.
    pub reason: Option<String>,
    /// Key of the verdict on this sound.
    pub verdict: Option<String>,
    /// Figures of the difference after alignment, by the id of their measure.
    pub figures: BTreeMap<String, Option<f64>>,
    /// Times by block size.
    pub costs: Vec<BlockCost>,
    /// The twin, if the cell trained one.
    pub twin: Option<TwinFacts>,
}

impl Row {
    /// A row of a cell without figures.
    pub(super) fn without(cell: &Cell, sound: &str, status: Status, reason: impl Into<String>) -> Self {
        Self {
            cell: cell.name.clone(),
            effect: cell.effect.clone(),
            model: cell.model.clone(),
            sound: sound.into(),
            seed: cell.seed,
            status,
            reason: Some(reason.into()),
            verdict: None,
            figures: BTreeMap::new(),
            costs: Vec::new(),
            twin: None,
        }
    }

    /// A figure by the id of its measure. [any thread]
    #[must_use]
    pub fn figure(&self, id: &str) -> Option<f64> {
        self.figures.get(id).copied().flatten()
    }
}

/// The table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// Title.
    pub title: String,
    /// The rows, in the order of the plan.
    pub rows: Vec<Row>,
    /// The frontier of each effect that has times, in the order of the plan.
    pub frontiers: Vec<EffectFrontier>,
    /// Every measure of the difference with its definition.
    pub measures: Vec<MeasureFacts>,
}

impl Table {
    /// The table of a plan. `result` gives the result of a cell: `None` if it is not there. [control thread: reads files]
    #[must_use]
    pub fn of(plan: &Plan, result: impl Fn(&Cell) -> Option<CellResult>) -> Self {
        let mut rows = Vec::new();
        for cell in &plan.cells {
            let missing = |reason: &str, status| -> Vec<Row> {
                cell.sounds().iter().map(|(sound, _)| Row::without(cell, sound, status, reason)).collect()
            };
            rows.extend(match result(cell) {
                None => missing("not run", Status::Missing),
                Some(result) if result.cell != *cell => missing("not run since the plan or a file changed", Status::Missing),
                Some(CellResult { error: Some(reason), .. }) => missing(&reason, Status::Failed),
                Some(result) => result.rows,
            });
        }
        let frontiers = EffectFrontier::all(&rows);
        let compares = |facts: &MeasureFacts| {
            MEASURES.iter().any(|row| row.id == facts.id && matches!(row.function, MeasureFn::Comparison(_)))
        };
        Self {
            schema: SCHEMA,
            schema_version: SCHEMA_VERSION,
            program: concat!("isotherm ", env!("CARGO_PKG_VERSION")).into(),
            title: plan.title.clone(),
            rows,
            frontiers,
            measures: MeasureFacts::all().into_iter().filter(compares).collect(),
        }
    }

    /// Number of rows in a state. [any thread]
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|row| row.status == status).count()
    }

    /// Sizes of the blocks whose time was measured, from small to large. [any thread: allocates]
    #[must_use]
    pub fn blocks(&self) -> Vec<usize> {
        let blocks: std::collections::BTreeSet<usize> =
            self.rows.iter().flat_map(|row| &row.costs).map(|cost| cost.block).collect();
        blocks.into_iter().collect()
    }

    /// `study.json`, with line breaks. [control thread: allocates]
    ///
    /// # Errors
    /// Never with the types of this table.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// `table.csv`: a header, then a line for each row. Columns are `cell`, `effect`, `model`, `sound`, `seed`, `status`, `reason`,
    /// `verdict`, the ids of the measures of the difference, and for each block size N `effect_ns_N`, `model_ns_N` and
    /// `ratio_N`. A figure that is not there is empty. [control thread: allocates]
    #[must_use]
    pub fn to_csv(&self) -> String {
        let blocks = self.blocks();
        let mut text = String::from("cell,effect,model,sound,seed,status,reason,verdict");
        self.measures.iter().for_each(|measure| text += &format!(",{}", measure.id));
        blocks.iter().for_each(|block| text += &format!(",effect_ns_{block},model_ns_{block},ratio_{block}"));
        let number = |figure: Option<f64>| figure.map_or_else(String::new, |figure| figure.to_string());
        for row in &self.rows {
            let seed = row.seed.map_or_else(String::new, |seed| seed.to_string());
            let names = [&row.cell, &row.effect, &row.model, &row.sound].map(|name| csv_field(name)).join(",");
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{names},{seed},{},", row.status.word());
            text += &csv_field(row.reason.as_deref().unwrap_or(""));
            let _ = write!(text, ",{}", row.verdict.as_deref().unwrap_or(""));
            for measure in &self.measures {
                text += &format!(",{}", number(row.figure(measure.id)));
            }
            for block in &blocks {
                let cost = row.costs.iter().find(|cost| cost.block == *block);
                let figures = [cost.and_then(|c| c.a_ns), cost.and_then(|c| c.b_ns), cost.and_then(BlockCost::ratio)];
                figures.into_iter().for_each(|figure| text += &format!(",{}", number(figure)));
            }
        }
        text + "\n"
    }
}
