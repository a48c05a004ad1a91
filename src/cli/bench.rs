//! `isotherm bench`: what the algorithms cost here.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, list, model, say, settings, whole, with_parameters};
use crate::algorithm::REGISTRY;
use crate::dsp::MAX_CHANNELS;
use crate::measure::bench::{Length, measure};
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
        say("algorithm    channels  block  ns/sample      rtf   p50 us   p99 us   max us     bytes");
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
                    say(json!({
                        "algorithm": id, "settings": effect.settings.to_json(), "sample_rate": rate, "channels": channels, "block": block,
                        "ns_per_sample": figures.ns_per_sample, "rtf": figures.rtf, "p50_us": figures.p50_us, "p99_us": figures.p99_us,
                        "max_us": figures.max_us, "weights_bytes": weights, "buffer_bytes": figures.bytes,
                        "model": model::summary_json(matches.get_one("model"), model), "explosions": explosions.json(),
                    }));
                } else {
                    say(format_args!(
                        "{id:<12} {channels:>8} {block:>6} {:>10.2} {:>8.5} {:>8.2} {:>8.2} {:>8.2} {:>9}",
                        figures.ns_per_sample, figures.rtf, figures.p50_us, figures.p99_us, figures.max_us, figures.bytes
                    ));
                }
            }
        }
        explosions.warn(matches.get_one("model"), rate as f64);
    }
    Ok(())
}

/// What the model calls itself, or its file's name.
fn model_name(matches: &ArgMatches, model: &Model) -> String {
    let file = || matches.get_one::<PathBuf>("model").map(|p| p.display().to_string());
    model.info().name.clone().or_else(file).unwrap_or_default()
}
