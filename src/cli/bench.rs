//! `isotherm bench`: what the algorithms cost here.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::{Failure, list, model, say, settings, whole, with_parameters};
use crate::algorithm::REGISTRY;
use crate::dsp::MAX_CHANNELS;
use crate::measure::bench::{Length, measure};
use crate::measure::{MEASURES, Measure, Run, Unit};
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
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON, a line a figure"));
    with_parameters(command, Arg::new("algorithm"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let blocks = list("block", text("block"), 1, 1 << 20)?;
    let channels = list("channels", text("channels"), 1, MAX_CHANNELS)?;
    let rate = whole("sample-rate", text("sample_rate"), 1000, 768_000)?;
    let count = whole("blocks", text("blocks"), 100, 100_000_000)?;
    let ids: Vec<&str> = match matches.get_one::<String>("algorithm") {
        Some(id) => vec![id],
        None => REGISTRY.iter().filter(|r| r.model == matches.contains_id("model")).map(|r| r.id).collect(),
    };
    let json = matches.get_flag("json");
    if !json {
        let heads: String = costs().map(|row| format!(" {:>10}", row.head)).collect();
        say(format_args!("algorithm    channels  block{heads}"));
    }
    for id in ids {
        let effect = model::effect(matches, settings(matches, id)?)?;
        let explosions = model::Explosions::watch(effect.played());
        let model = effect.played().map(|model| &**model);
        let weights = model.map_or(0, |m| model::network(m, &effect.settings).bytes());
        if let (Some(model), false) = (model, json) {
            say(format_args!(
                "{id:<12} {}: {}, {weights} bytes of weights",
                model_name(matches, model),
                model.info().architecture
            ));
        }
        for &channels in &channels {
            for &block in &blocks {
                let figures = measure(&effect, rate as f32, channels, block, Length::Blocks(count)).map_err(Failure::failed)?;
                if json {
                    let mut line = json!({
                        "algorithm": id, "settings": effect.settings.to_json(), "sample_rate": rate, "channels": channels, "block": block,
                        "weights_bytes": weights, "model": model::summary_json(matches.get_one("model"), model),
                        "explosions": explosions.json(),
                    });
                    for row in costs() {
                        line[row.id] = row.cost(&figures).map_or(Value::Null, |figure| number(row.unit, figure));
                    }
                    say(line);
                } else {
                    let cells: String =
                        costs().filter_map(|row| Some(format!(" {:>10}", row.text(row.cost(&figures)?)))).collect();
                    say(format_args!("{id:<12} {channels:>8} {block:>6}{cells}"));
                }
            }
        }
        explosions.warn(matches.get_one("model"), rate as f64);
    }
    Ok(())
}

/// The measures of time and memory.
fn costs() -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().copied().filter(|row| matches!(row.run, Run::Cost(_)))
}

/// Bytes and the like are whole.
fn number(unit: Unit, figure: f64) -> Value {
    if matches!(unit, Unit::Bytes | Unit::Frames) { json!(figure as u64) } else { json!(figure) }
}

/// What the model calls itself, or its file's name.
fn model_name(matches: &ArgMatches, model: &Model) -> String {
    let file = || matches.get_one::<PathBuf>("model").map(|p| p.display().to_string());
    model.info().name.clone().or_else(file).unwrap_or_default()
}
