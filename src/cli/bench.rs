//! `isotherm bench`: measures time and memory that the algorithms need on this machine.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::{
    Failure, algorithm_argument, examples, model, parse_integer, parse_integers, parse_settings, print_line, with_parameter_flags,
};
use crate::algorithm::REGISTRY;
use crate::dsp::MAX_CHANNELS;
use crate::measure::bench::{BenchLength, measure};
use crate::measure::{MEASURES, Measure, MeasureFn, Unit};
use crate::neural::Model;

pub fn command() -> Command {
    let command = Command::new("bench")
        .about("Measures time and memory of the algorithms, on one core")
        .arg(Arg::new("block").long("block").value_name("FRAMES,...").default_value("16,64,256,1024").help("Block sizes"))
        .arg(Arg::new("channels").long("channels").value_name("N,...").default_value("1,2,32").help("Numbers of channels"))
        .arg(Arg::new("sample_rate").long("sample-rate").value_name("HZ").default_value("48000").help("Sample rate"))
        .arg(
            Arg::new("blocks")
                .long("blocks")
                .value_name("N")
                .default_value("10000")
                .help("Blocks a figure is made of, 100 or more"),
        )
        .arg(model::argument())
        .arg(model::rate_argument().requires("model"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON, a line a figure"));
    let algorithm = algorithm_argument("algorithm", REGISTRY.iter().copied(), &[]);
    with_parameter_flags(command.arg(algorithm.help("Only this algorithm"))).after_help(examples(&[
        "isotherm bench",
        "isotherm bench --algorithm saturator --oversampling 8 --block 64,256",
        "isotherm bench --model amp.nam --channels 1 --json",
    ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let blocks = parse_integers("block", text("block"), 1, 1 << 20)?;
    let channels = parse_integers("channels", text("channels"), 1, MAX_CHANNELS)?;
    let rate = parse_integer("sample-rate", text("sample_rate"), 1000, 768_000)?;
    let count = parse_integer("blocks", text("blocks"), 100, 100_000_000)?;
    let ids: Vec<&str> = match matches.get_one::<String>("algorithm") {
        Some(id) => vec![id],
        None => REGISTRY.iter().filter(|r| r.plays_model == matches.contains_id("model")).map(|r| r.id).collect(),
    };
    let json = matches.get_flag("json");
    if !json {
        let headings: String = cost_measures().map(|row| format!(" {:>10}", row.heading)).collect();
        print_line(format_args!("algorithm    channels  block{headings}"));
    }
    for id in ids {
        let effect = model::effect(matches, parse_settings(matches, id)?)?;
        let nan_resets = model::NanResets::new(effect.active_model());
        let model = effect.active_model().map(|model| &**model);
        let weights = model.map_or(0, |m| model::network(m, &effect.settings).bytes());
        if let (Some(model), false) = (model, json) {
            print_line(format_args!(
                "{id:<12} {}: {}, {weights} bytes of weights",
                model_name(matches, model),
                model.info().architecture
            ));
        }
        for &channels in &channels {
            for &block in &blocks {
                let figures =
                    measure(&effect, rate as f32, channels, block, BenchLength::Blocks(count)).map_err(Failure::failed)?;
                if json {
                    let mut line = json!({
                        "algorithm": id, "settings": effect.settings.to_json(), "sample_rate": rate, "channels": channels,
                        "block": block, "weights_bytes": weights, "model": model::summary_json(matches.get_one("model"), model),
                        "nan_resets": nan_resets.json(),
                    });
                    for row in cost_measures() {
                        line[row.id] = row.cost(&figures).map_or(Value::Null, |figure| figure_json(row.unit, figure));
                    }
                    print_line(line);
                } else {
                    let cells: String =
                        cost_measures().filter_map(|row| Some(format!(" {:>10}", row.text(row.cost(&figures)?)))).collect();
                    print_line(format_args!("{id:<12} {channels:>8} {block:>6}{cells}"));
                }
            }
        }
        nan_resets.warn(matches.get_one("model"), rate as f64);
    }
    Ok(())
}

/// Returns the measures of time and memory.
fn cost_measures() -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().copied().filter(|row| matches!(row.function, MeasureFn::Cost(_)))
}

/// Returns a figure for the report: bytes and frames as integers, others as decimal numbers.
fn figure_json(unit: Unit, figure: f64) -> Value {
    if matches!(unit, Unit::Bytes | Unit::Frames) { json!(figure as u64) } else { json!(figure) }
}

/// Returns the model's name in its metadata, or else its file's path.
fn model_name(matches: &ArgMatches, model: &Model) -> String {
    let file = || matches.get_one::<PathBuf>("model").map(|p| p.display().to_string());
    model.info().name.clone().or_else(file).unwrap_or_default()
}
