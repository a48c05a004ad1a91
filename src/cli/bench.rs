//! `isotherm bench`: measures time and memory that effects need on this machine.

mod plot;

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    Failure, algorithm_argument, effect_tip, examples, flag_name, force_argument, model, output, parse_integer, parse_integers,
    parse_number, parse_settings, path_text, print_line, with_parameter_flags,
};
use crate::algorithm::REGISTRY;
use crate::dsp::MAX_CHANNELS;
use crate::effect::{Effect, EffectError};
use crate::measure::bench::{BenchError, BenchSpec, BlockSize, CostTable, Costs, measure_interleaved};
use crate::measure::{MEASURES, Measure, MeasureFn, Unit};

/// The longest block that can be measured, in frames.
const MAX_BLOCK: usize = 1 << 20;
/// Steps of the progress bar.
const STEPS: u64 = 1000;
/// The measures that the table on the screen has; JSON has all.
const TABLE: [&str; 9] = ["ns_per_sample", "rtf", "p50_us", "p95_us", "p99_us", "max_us", "jitter_us", "misses", "buffer_bytes"];

pub fn command() -> Command {
    let value = |id: &'static str, flag: &'static str, name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(id).long(flag).value_name(name).default_value(default).help(help)
    };
    let file = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let command = Command::new("bench")
        .about("Measures time and memory of effects, all of them in one run")
        .arg(
            Arg::new("effect")
                .value_name("EFFECT")
                .num_args(0..)
                .conflicts_with_all(["algorithm", "model"])
                .help("Effects, as in 'saturator drive=24' or 'neural model=amp.nam' [all algorithms without a model]"),
        )
        .arg(value("block", "block", "FRAMES,...", "16,64,256,1024", "Block sizes; 16-4096 is a random size for each block"))
        .arg(value("channels", "channels", "N,...", "1,2,32", "Numbers of channels"))
        .arg(value("sample_rate", "sample-rate", "HZ,...", "48000", "Sample rates"))
        .arg(value("blocks", "blocks", "N", "10000", "Blocks a figure is made of at most, 100 or more"))
        .arg(value("seconds", "seconds", "S", "20", "Time for each sample rate and number of channels, at most"))
        .arg(value("load", "load", "N", "0", "Threads that keep other cores busy meanwhile"))
        .arg(model::argument())
        .arg(model::rate_argument().requires("model"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON, a line a figure"))
        .arg(file("csv", "Also write the time of each block, a row each"))
        .arg(force_argument())
        .arg(file("plot", "Also draw the time for a sample against the block size: a name that ends in .html or .png"));
    let algorithm = algorithm_argument("algorithm", REGISTRY.iter().copied(), &[]);
    with_parameter_flags(command.arg(algorithm.help("Only this algorithm"))).after_help(examples(&[
        "isotherm bench",
        "isotherm bench --algorithm saturator --oversampling 8 --block 64,256",
        "isotherm bench --model amp.nam --channels 1 --json",
        "isotherm bench saturator clipper bitcrusher --block 16,63,64,16-4096 --load 1 --csv blocks.csv --plot cost.html",
    ]))
}

/// An effect with the name that it has in tables.
struct Candidate {
    effect: Effect,
    label: String,
    nan_resets: model::NanResets,
}

/// The measurement of an effect at a sample rate, for a number of channels.
struct Measured<'a> {
    candidate: &'a Candidate,
    table: CostTable,
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let blocks = parse_blocks(text("block"))?;
    let channels = parse_integers("channels", text("channels"), 1, MAX_CHANNELS)?;
    let rates = parse_integers("sample-rate", text("sample_rate"), 1000, 768_000)?;
    let max_blocks = parse_integer("blocks", text("blocks"), 100, 100_000_000)?;
    let seconds = parse_number("seconds", text("seconds"), 0.0, 1e6)?;
    let load_threads = parse_integer("load", text("load"), 0, 1024)?;
    let (csv, plot) = (matches.get_one::<PathBuf>("csv"), matches.get_one::<PathBuf>("plot"));
    let format = plot.map(|path| plot::Format::of(path)).transpose()?;
    if plot.is_some() && blocks.iter().all(|size| size.varies()) {
        return Err(Failure::Usage("--plot: blocks of one size are needed, besides those of random sizes".into()));
    }
    if let (Some(csv), Some(plot)) = (csv, plot)
        && output::is_same(csv, plot)
    {
        return Err(Failure::Usage(format!("{}: named by --csv and by --plot; expected two files", plot.display())));
    }
    let candidates = candidates(matches)?;
    for path in [csv, plot].into_iter().flatten() {
        output::check(path, matches.get_flag("force"))?;
    }
    let effects: Vec<Effect> = candidates.iter().map(|candidate| candidate.effect.clone()).collect();
    let width = candidates.iter().map(|candidate| candidate.label.chars().count()).max().unwrap_or(0).max(12);
    let json = matches.get_flag("json");
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(STEPS) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} %, {eta} left") {
        bar.set_style(style);
    }
    if !json {
        for candidate in &candidates {
            print_model(candidate);
        }
        let headings: String = table_measures().map(|row| format!(" {:>10}", row.heading)).collect();
        print_line(format_args!("{:<width$}  channels   rate     block{headings}", "effect"));
    }
    let runs = (rates.len() * channels.len()) as f64;
    let mut all = Vec::new();
    let mut runs_done = 0.0;
    for &rate in &rates {
        for &channels in &channels {
            let spec = BenchSpec {
                sample_rate: rate as f32,
                channels,
                blocks: blocks.clone(),
                seconds,
                max_blocks,
                load_threads,
                keep_times: csv.is_some(),
            };
            let watch = |share: f64| {
                bar.set_position(((runs_done + share) / runs * STEPS as f64) as u64);
                !interrupted.load(Ordering::Relaxed)
            };
            let tables = measure_interleaved(&effects, &spec, watch).map_err(|error| {
                bar.finish_and_clear();
                if error == BenchError::Cancelled { interruption() } else { Failure::failed(error) }
            })?;
            runs_done += 1.0;
            let measured = candidates.iter().zip(tables).map(|(candidate, table)| Measured { candidate, table });
            for measured in measured {
                for costs in &measured.table.rows {
                    let line = if json { measured.json(costs).to_string() } else { measured.line(costs, width) };
                    bar.suspend(|| print_line(line));
                }
                all.push(measured);
            }
        }
    }
    bar.finish_and_clear();
    for candidate in &candidates {
        let path = candidate.effect.active_model().and_then(|model| model.path()).map(Path::to_path_buf);
        candidate.nan_resets.warn(path.as_ref(), rates[0] as f64);
    }
    if let Some(path) = csv {
        output::write(path, csv_text(&all).as_bytes())?;
    }
    if let (Some(path), Some(format)) = (plot, format) {
        output::write(path, &plot::draw(&all, format)?)?;
    }
    Ok(())
}

/// The failure for Ctrl-C: files are written after the last measurement.
fn interruption() -> Failure {
    Failure::Failed("interrupted; no file was written".into())
}

/// The effects that the arguments name, or all algorithms without a model. All effects that are wrong are named in one error.
fn candidates(matches: &ArgMatches) -> Result<Vec<Candidate>, Failure> {
    let texts: Vec<&String> = matches.get_many::<String>("effect").into_iter().flatten().collect();
    check_flags(matches, &texts)?;
    let mut effects = Vec::new();
    if texts.is_empty() {
        let ids: Vec<&str> = match matches.get_one::<String>("algorithm") {
            Some(id) => vec![id],
            None => REGISTRY.iter().filter(|r| r.plays_model == matches.contains_id("model")).map(|r| r.id).collect(),
        };
        for id in ids {
            effects.push((id.to_owned(), model::effect(matches, parse_settings(matches, id)?)?));
        }
    } else {
        let mut wrong = Vec::new();
        let mut is_usage = false;
        for text in texts {
            match text.parse::<Effect>() {
                Ok(effect) => effects.push((text.clone(), effect)),
                Err(error) => {
                    is_usage |= !matches!(error, EffectError::Model(_));
                    wrong.push(format!("'{text}': {error}{}", effect_tip(&error)));
                }
            }
        }
        if !wrong.is_empty() {
            let line = wrong.join("; ");
            return Err(if is_usage { Failure::Usage(line) } else { Failure::Failed(line) });
        }
    }
    Ok(effects
        .into_iter()
        .map(|(label, effect)| Candidate { nan_resets: model::NanResets::new(effect.active_model()), label, effect })
        .collect())
}

/// Checks the flags of parameters: beside effects, which have settings of their own, there are none, and a flag has one value.
fn check_flags(matches: &ArgMatches, effects: &[&String]) -> Result<(), Failure> {
    for parameter in REGISTRY.iter().flat_map(|row| row.parameters) {
        let Some(value) = matches.get_one::<String>(parameter.id) else { continue };
        let flag = flag_name(parameter.id);
        let owner = REGISTRY.iter().find(|row| row.parameters.iter().any(|own| own.id == parameter.id)).map_or("", |row| row.id);
        if !effects.is_empty() {
            return Err(Failure::Usage(format!("--{flag}: write it into the effect, as in '{owner} {flag}={value}'")));
        }
        // A decimal comma, as other commands take it, cannot be told from a list, as other flags of this command take it.
        if let Some((first, second)) = value.split_once(',') {
            let (first, second) = (first.trim(), second.trim());
            return Err(Failure::Usage(format!(
                "--{flag}: '{value}' has a comma; expected one number with a point, or effects, as in '{owner} {flag}={first}' \
                 '{owner} {flag}={second}'"
            )));
        }
    }
    if !effects.is_empty() && matches.contains_id("model_rate") {
        let line = "--model-rate: write it into the effect, as in 'neural model=amp.onnx model-rate=44100'";
        return Err(Failure::Usage(line.into()));
    }
    Ok(())
}

/// Prints the name and the size of an effect's model, if it has one.
fn print_model(candidate: &Candidate) {
    let Some(model) = candidate.effect.active_model() else { return };
    let name = model.info().name.clone().or_else(|| model.path().map(path_text)).unwrap_or_default();
    let weights = model::network(model, &candidate.effect.settings).bytes();
    let architecture = &model.info().architecture;
    print_line(format_args!("{}: {name}: {architecture}, {weights} bytes of weights", candidate.label));
}

impl Measured<'_> {
    /// The figures of a row of the table as JSON; blank ones are null.
    fn json(&self, costs: &Costs) -> Value {
        let Candidate { effect, label, nan_resets } = self.candidate;
        let model = effect.active_model().map(|model| &**model);
        let path = model.and_then(|model| model.path()).map(Path::to_path_buf);
        // The size of the blocks, or the range of their sizes.
        let block = if costs.block.varies() { json!(costs.block.to_string()) } else { json!(costs.block.max) };
        let mut line = json!({
            "effect": label, "algorithm": effect.algorithm().id, "settings": effect.settings.to_json(),
            "sample_rate": self.table.sample_rate as u32, "channels": self.table.channels, "block": block, "blocks": costs.blocks,
            "weights_bytes": self.table.weights_bytes, "latency_frames": self.table.latency_frames,
            "model": model::summary_json(path.as_ref(), model), "nan_resets": nan_resets.json(),
        });
        for row in cost_measures() {
            line[row.id] = row.cost(costs).map_or(Value::Null, |figure| figure_json(row.unit, figure));
        }
        line
    }

    /// The figures of a row of the table as a line of text; blank ones are a dash.
    fn line(&self, costs: &Costs, width: usize) -> String {
        let figure = |row: &Measure| row.cost(costs).filter(|figure| !figure.is_nan()).map(|figure| row.text(figure));
        let cells: String = table_measures().map(|row| format!(" {:>10}", figure(row).unwrap_or_else(|| "-".into()))).collect();
        let CostTable { channels, sample_rate, .. } = self.table;
        format!("{:<width$}  {channels:>8} {sample_rate:>6} {:>9}{cells}", self.candidate.label, costs.block.to_string())
    }
}

/// Parses the value of `--block`: sizes, and ranges of sizes.
fn parse_blocks(text: &str) -> Result<Vec<BlockSize>, Failure> {
    let size = |part: &str| parse_integer("block", part, 1, MAX_BLOCK);
    text.split(',')
        .map(|part| match part.split_once('-') {
            None => size(part).map(BlockSize::fixed),
            Some((min, max)) => match (size(min)?, size(max)?) {
                (min, max) if min < max => Ok(BlockSize { min, max }),
                _ => Err(Failure::Usage(format!("--block: '{part}' is no range; expected the smaller size first"))),
            },
        })
        .collect()
}

/// Returns the measures of time and memory.
fn cost_measures() -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().copied().filter(|row| matches!(row.function, MeasureFn::Cost(_)))
}

/// Returns those that the table on the screen has.
fn table_measures() -> impl Iterator<Item = &'static Measure> {
    cost_measures().filter(|row| TABLE.contains(&row.id))
}

/// Returns a figure for the report: bytes, frames and counts as integers, others as decimal numbers; NaN is null.
fn figure_json(unit: Unit, figure: f64) -> Value {
    if matches!(unit, Unit::Bytes | Unit::Frames | Unit::Count) { json!(figure as u64) } else { json!(figure) }
}

/// The time of each block, a row each, under a line with the names of the columns.
fn csv_text(all: &[Measured<'_>]) -> String {
    let mut text = String::from("effect,sample_rate,channels,block,index,frames,ns,load\n");
    for Measured { candidate, table } in all {
        let CostTable { sample_rate, channels, .. } = table;
        let label = candidate.label.replace('"', "\"\"");
        for costs in &table.rows {
            for (index, time) in costs.times.iter().enumerate() {
                let load = time.ns as f64 * 1e-9 * f64::from(*sample_rate) / time.frames as f64;
                let block = costs.block;
                // Writing to a string cannot fail.
                let _ =
                    writeln!(text, "\"{label}\",{sample_rate},{channels},{block},{index},{},{},{load:.6}", time.frames, time.ns);
            }
        }
    }
    text
}
