//! `isotherm model aliasing`: the aliasing of models at each oversampling, and what it costs, as a table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::super::{Failure, examples, path_text, print_line};
use super::open_model;
use crate::dsp::ProcessSpec;
use crate::effect::Effect;
use crate::measure::bench::{BenchSpec, BlockSize, measure_interleaved};
use crate::measure::{MODEL_TONES_HZ, ModelAliasing, OVERSAMPLING_FACTORS, ToneAliasing};
use crate::neural::{Model, uses_oversampling};

/// Frames of a block, as a host may use.
const BLOCK: usize = 64;
/// Seconds for which the costs of one model are measured at all oversamplings, by turns.
const COST_SECONDS: f64 = 2.0;
/// The level in dB below which a figure is not told: the half-band filters of the oversampling are there.
const FLOOR_DB: f64 = -100.0;

pub fn command() -> Command {
    let files = Arg::new("files").required(true).num_args(1..).value_name("FILE").value_parser(value_parser!(PathBuf));
    Command::new("aliasing")
        .about("Measures how much models alias at each oversampling, and what it costs")
        .arg(files.help("The model files"))
        .after_help(examples(&["isotherm model aliasing amp.nam pedal.json", "isotherm model aliasing amp.nam --json"]))
}

/// A model with its figures.
struct Measured {
    path: PathBuf,
    model: Arc<Model>,
    aliasing: ModelAliasing,
    /// The oversamplings that the model has, the lowest first.
    costs: Vec<OversamplingCost>,
}

/// The cost of a model at one oversampling.
struct OversamplingCost {
    factor: usize,
    /// Median time, for one channel at the model's rate.
    ns_per_sample: f64,
    /// At the model's rate.
    latency_frames: usize,
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let paths: Vec<&PathBuf> = matches.get_many("files").into_iter().flatten().collect();
    // A file that is no model is told before anything is measured.
    let models = paths.into_iter().map(|path| Ok((path, open_model(matches, path)?))).collect::<Result<Vec<_>, Failure>>()?;
    let measured = models.into_iter().map(|(path, model)| measure(path, model)).collect::<Result<Vec<_>, _>>()?;
    if matches.get_flag("json") {
        let models: Vec<Value> = measured.iter().map(Measured::json).collect();
        print_line(serde_json::to_string_pretty(&models).map_err(Failure::failed)?);
        return Ok(());
    }
    table(&measured).iter().for_each(print_line);
    Ok(())
}

/// Measures aliasing and costs of a model's largest size.
fn measure(path: &Path, model: Arc<Model>) -> Result<Measured, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
    let size = model.sizes().len() - 1;
    let aliasing = ModelAliasing::of_model(&model, size, || true).map_err(|error| failed(&error))?;
    let count = if uses_oversampling(&model, size) { OVERSAMPLING_FACTORS.len() } else { 1 };
    let effect = Effect::from_id("neural").map_err(Failure::failed)?.with_model(model.clone());
    let effects: Vec<Effect> = (0..count).map(|index| effect.with("oversampling", index as f32)).collect();
    let sample_rate = model.info().sample_rate;
    let spec = BenchSpec { sample_rate, blocks: vec![BlockSize::fixed(BLOCK)], seconds: COST_SECONDS, ..BenchSpec::default() };
    let tables = measure_interleaved(&effects, &spec, |_| true).map_err(|error| failed(&error))?;
    let mut costs = Vec::new();
    for ((effect, table), factor) in effects.iter().zip(tables).zip(OVERSAMPLING_FACTORS) {
        let spec = ProcessSpec::new(sample_rate, 1, BLOCK);
        let latency_frames = effect.prepare(spec).map_err(|error| failed(&error))?.latency();
        let ns_per_sample = table.rows.first().map_or(f64::NAN, |costs| costs.ns_per_sample);
        costs.push(OversamplingCost { factor, ns_per_sample, latency_frames });
    }
    Ok(Measured { path: path.into(), model, aliasing, costs })
}

impl Measured {
    /// The cost at one oversampling as a multiple of that at 1x; `None` if the model does not have it.
    fn relative_cost(&self, factor: usize) -> Option<f64> {
        let ns = |factor| self.costs.iter().find(|cost| cost.factor == factor).map(|cost| cost.ns_per_sample);
        Some(ns(factor)? / ns(1)?)
    }

    fn json(&self) -> Value {
        let oversamplings = self.costs.iter().map(|cost| {
            json!({
                "factor": cost.factor, "ns_per_sample": cost.ns_per_sample, "relative_cost": self.relative_cost(cost.factor),
                "latency_frames": cost.latency_frames,
            })
        });
        json!({
            "file": path_text(&self.path), "name": self.model.info().name, "architecture": self.model.info().architecture,
            "aliasing": self.aliasing, "oversamplings": oversamplings.collect::<Vec<_>>(),
        })
    }
}

/// Returns the lines of the table, in Markdown.
fn table(measured: &[Measured]) -> Vec<String> {
    let tones = MODEL_TONES_HZ.map(|hz| if hz >= 2000.0 { format!("{} kHz", hz / 1000.0) } else { format!("{hz} Hz") });
    let mut head = vec!["model".to_owned()];
    for tone in &tones {
        head.extend(OVERSAMPLING_FACTORS.map(|factor| if factor == 1 { format!("{tone}, 1x") } else { format!("{factor}x") }));
    }
    head.push("cost, 1x".into());
    head.extend(OVERSAMPLING_FACTORS[1..].iter().map(|factor| format!("{factor}x")));
    let row = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let mut lines = vec![row(&head), format!("|---|{}", "---:|".repeat(head.len() - 1))];
    for model in measured {
        let name = model.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().replace('|', "\\|"));
        let mut cells = vec![name];
        cells.extend(model.aliasing.tones.iter().flat_map(ToneAliasing::figures).map(cell));
        cells.extend(model.costs.first().map(|cost| format!("{:.0} ns", cost.ns_per_sample)));
        let relative = |factor: &usize| model.relative_cost(*factor).map_or_else(String::new, |cost| format!("{cost:.2}"));
        cells.extend(OVERSAMPLING_FACTORS[1..].iter().map(relative));
        lines.push(row(&cells));
    }
    lines
}

/// Returns a figure for a cell of the table; blank if there is none.
fn cell(figure: Option<f64>) -> String {
    match figure {
        None => String::new(),
        Some(db) if db < FLOOR_DB => format!("< {FLOOR_DB:.0}"),
        Some(db) => format!("{db:.1}"),
    }
}

/// Returns the aliasing for one sine in words: `5000 Hz: -20.1 dB; at 2x -33.0 dB, at 4x -45.2 dB`.
pub fn line(tone: &ToneAliasing) -> String {
    let text = |db: f64| if db < FLOOR_DB { format!("below {FLOOR_DB:.0} dB") } else { format!("{db:.1} dB") };
    let [at_1x, oversampled @ ..] = tone.figures();
    let oversampled = oversampled.into_iter().zip(&OVERSAMPLING_FACTORS[1..]);
    let oversampled: Vec<String> =
        oversampled.filter_map(|(figure, factor)| figure.map(|db| format!("at {factor}x {}", text(db)))).collect();
    let after = if oversampled.is_empty() { String::new() } else { format!("; {}", oversampled.join(", ")) };
    format!("{:.0} Hz: {}{after}", tone.hz, at_1x.map_or_else(|| "no output".into(), text))
}
