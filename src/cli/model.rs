//! `isotherm model`: what a model file says of itself, and whether it does what it says.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::{Failure, say};
use crate::audio::{Random, wav};
use crate::dsp::{Settings, gain_to_db};
use crate::effect::Effect;
use crate::neural::engine::{self, MIDDLE, Mode, Network, Voices};
use crate::neural::{Golden, Info, Model, formats};

/// Frames at a time, as a host hands them over.
const BLOCK: usize = 64;
/// How long a network is timed.
const TIMED: Duration = Duration::from_millis(100);
/// What a batch in a file may differ by, with two ways of rounding.
const GOLDEN_ERROR: f32 = 1e-5;
/// What a loudness may differ by, in dB.
const LOUDNESS_ERROR_DB: f32 = 0.05;

pub fn command() -> Command {
    let file = || Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf));
    let json = || Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON");
    let loudness = Arg::new("loudness_input")
        .long("loudness-input")
        .value_name("IN.wav")
        .value_parser(value_parser!(PathBuf))
        .help("The sound that the trainer measured loudness with: neural-amp-modeler's loudness_input.wav");
    Command::new("model")
        .about(format!("Shows and checks model files: {}", formats::names_and_origins()))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("inspect").about("Shows what a model is, needs and costs").arg(file()).arg(json()))
        .subcommand(Command::new("verify").about("Checks that a model does what it says").arg(file()).arg(json()).arg(loudness))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("inspect", m)) => inspect(m),
        Some(("verify", m)) => verify(m),
        _ => Err(Failure::Usage("no such command".into())),
    }
}

/// `--model`, for an algorithm that runs one.
pub fn argument() -> Arg {
    Arg::new("model").long("model").value_name("FILE").value_parser(value_parser!(PathBuf)).help("Model for 'neural' to run")
}

/// Settings with the model that `--model` names.
pub fn effect(matches: &ArgMatches, settings: Settings) -> Result<Effect, Failure> {
    let algorithm = settings.algorithm();
    let Some(path) = matches.get_one::<PathBuf>("model") else {
        let wrong = || Failure::Usage(format!("--algorithm {0}: no model; expected --model FILE, which {0} runs", algorithm.id));
        return if algorithm.model { Err(wrong()) } else { Ok(settings.into()) };
    };
    if !algorithm.model {
        return Err(Failure::Usage(format!("--model: {} runs no model; expected an algorithm that does: neural", algorithm.id)));
    }
    Ok(Effect::from(settings).with_model(Model::open(path).map_err(Failure::failed)?))
}

/// The network that settings choose of a model.
pub fn network<'a>(model: &'a Model, settings: &Settings) -> &'a Arc<dyn Network> {
    let wish = settings.index("size").map_or(1.0, |index| settings.get(index));
    model.network(model.size_for(wish))
}

/// Counts how often a model gives what is no number, and notes when first.
pub struct Explosions {
    model: Option<Arc<Model>>,
    before: u64,
    /// Frames that had been heard when one was first counted.
    first: Option<u64>,
}

impl Explosions {
    /// Counts from now on.
    pub fn watch(model: Option<&Arc<Model>>) -> Self {
        Self { model: model.cloned(), before: model.map_or(0, |m| m.explosions()), first: None }
    }

    fn count(&self) -> u64 {
        self.model.as_ref().map_or(0, |model| model.explosions() - self.before)
    }

    /// After `frames` frames in all.
    pub fn look(&mut self, frames: u64) {
        if self.first.is_none() && self.count() > 0 {
            self.first = Some(frames);
        }
    }

    /// A warning on standard error, if there is something to say. `sample_rate` is that of the frames.
    pub fn warn(&self, path: Option<&PathBuf>, sample_rate: f64) {
        let (count, path) = (self.count(), path.map_or_else(String::new, |path| path.display().to_string()));
        if count > 0 {
            let when = self.first.map_or_else(String::new, |first| format!(", first within {:.3} s", first as f64 / sample_rate));
            let times = if count == 1 { "once".into() } else { format!("{count} times") };
            let line = format!("{path}: gave NaN or infinite numbers{when}: silenced and begun anew {times}");
            let _ = writeln!(std::io::stderr(), "isotherm: warning: {line}");
        }
    }

    /// For a report: nothing without a model.
    pub fn json(&self) -> Value {
        match self.model {
            Some(_) => json!({ "count": self.count(), "first_within_frames": self.first }),
            None => Value::Null,
        }
    }
}

/// A model in a report.
pub fn summary_json(path: Option<&PathBuf>, model: Option<&Model>) -> Value {
    let Some(model) = model else { return Value::Null };
    json!({ "file": path, "name": model.info().name, "architecture": model.info().architecture })
}

fn open(matches: &ArgMatches) -> Result<(PathBuf, Arc<Model>), Failure> {
    let path = matches.get_one::<PathBuf>("file").ok_or_else(|| Failure::Usage("no file".into()))?.clone();
    let model = Model::open(&path).map_err(Failure::failed)?;
    Ok((path, model))
}

/// What a network needs and costs here.
struct Needs {
    weights_bytes: usize,
    state_bytes: usize,
    latency: usize,
    ns_per_sample: f64,
}

fn needs(network: &Arc<dyn Network>, knobs: usize) -> Result<Needs, Failure> {
    let mut voices = network.clone().voices(Mode::new(1)).map_err(Failure::Failed)?;
    // Time is that of a network that may wait for its result.
    voices.set_offline(true);
    let mut random = Random::new(1);
    let knobs = vec![[0.5; BLOCK]; knobs];
    let knobs: Vec<&[f32]> = knobs.iter().map(<[f32; BLOCK]>::as_slice).collect();
    let mut times = Vec::new();
    let start = Instant::now();
    // A network that works in long runs makes one block in some wait for a whole run.
    let blocks = (2 * voices.latency()).div_ceil(BLOCK).max(1);
    while times.len() < 20 || start.elapsed() < TIMED {
        let mut time = Duration::ZERO;
        for _ in 0..blocks {
            let mut block: Vec<f32> = (0..BLOCK).map(|_| random.within(-0.25, 0.25)).collect();
            let before = Instant::now();
            voices.process(&mut [&mut block], &knobs);
            time += before.elapsed();
        }
        times.push(time);
    }
    times.sort_unstable();
    Ok(Needs {
        weights_bytes: network.bytes(),
        state_bytes: voices.bytes(),
        latency: voices.latency(),
        ns_per_sample: times[times.len() / 2].as_secs_f64() * 1e9 / (blocks * BLOCK) as f64,
    })
}

/// The constant that a network makes of silence, knobs in the middle: what is left of half a second behind another one, in which it
/// comes to rest. Not a number if it gives one that is none.
fn rest(network: &Arc<dyn Network>, knobs: usize, sample_rate: f32) -> Result<f32, Failure> {
    let mut voices = network.clone().voices(Mode::new(1)).map_err(Failure::Failed)?;
    voices.set_offline(true);
    let half = (0.5 * sample_rate) as usize;
    let silence = vec![0.0; voices.latency() + 2 * half];
    let output = through(&mut *voices, &silence, &vec![MIDDLE; knobs]);
    let end = &output[silence.len() - half..];
    Ok((end.iter().map(|y| f64::from(*y)).sum::<f64>() / end.len().max(1) as f64) as f32)
}

/// Magnitudes below this (-200 dB) are shown as silence.
const SILENT: f32 = 1e-10;

/// A constant as its level, if it has one.
fn level_db(constant: f32) -> Option<f32> {
    (constant.abs() >= SILENT).then(|| gain_to_db(constant.abs()))
}

fn inspect(matches: &ArgMatches) -> Result<(), Failure> {
    let (path, model) = open(matches)?;
    let info = model.info();
    let rate = f64::from(info.sample_rate);
    let mut sizes = Vec::new();
    for (index, size) in model.sizes().iter().enumerate() {
        let needs = needs(model.network(index), model.knobs(index))?;
        let alignment = model.alignment(index).map_err(Failure::Failed)?;
        let rest = rest(model.network(index), model.knobs(index), info.sample_rate)?;
        let reach = size.architecture.as_ref().and_then(|a| a.receptive_field());
        let recurrent = size.architecture.is_some() && reach.is_none();
        sizes.push((size, needs, alignment, reach, recurrent, rest));
    }
    if matches.get_flag("json") {
        let sizes: Vec<Value> = sizes
            .iter()
            .map(|(size, needs, alignment, reach, recurrent, rest)| {
                json!({
                    "below": size.below, "loudness_db": size.loudness_db, "recurrent": recurrent, "receptive_field_frames": reach,
                    "receptive_field_ms": reach.map(|frames| frames as f64 * 1000.0 / rate), "latency_frames": needs.latency,
                    "weights_bytes": needs.weights_bytes, "state_bytes_per_channel": needs.state_bytes,
                    "ns_per_sample": needs.ns_per_sample, "delay_frames": alignment.delay_frames, "inverted": alignment.inverted,
                    "delay_ambiguous": alignment.ambiguous, "dc_on_silence": rest.is_finite().then_some(rest),
                    "dc_on_silence_dbfs": level_db(*rest),
                })
            })
            .collect();
        say(serde_json::to_string_pretty(&json!({
            "file": path, "bytes": model.bytes().len(), "format": info.format, "version": info.version,
            "name": info.name, "author": info.author, "gear_make": info.gear_make, "gear_model": info.gear_model,
            "gear_type": info.gear_type, "tone_type": info.tone_type, "architecture": info.architecture,
            "parameters": info.parameters, "sample_rate": info.sample_rate, "sample_rate_given": info.sample_rate_given,
            "loudness_db": info.loudness_db, "input_level_dbu": info.input_level_dbu, "output_level_dbu": info.output_level_dbu,
            "esr": info.esr, "late_frames": info.late_frames, "knobs": info.knobs, "golden_frames": model.golden().map(|g| g.input.len()), "sizes": sizes,
        }))
        .map_err(Failure::failed)?);
        return Ok(());
    }
    let version = info.version.as_ref().map_or_else(String::new, |v| format!(" {v}"));
    say(format_args!("{}: {} ({}{version})", path.display(), info.architecture, info.format));
    for (name, text) in lines(info) {
        say(format_args!("  {name:<14}{text}"));
    }
    for (i, (size, needs, alignment, reach, recurrent, rest)) in sizes.iter().enumerate() {
        if sizes.len() > 1 {
            let until = if i + 1 < sizes.len() { format!("below {}", size.below) } else { "above".into() };
            say(format_args!("  size {} of {}, for sizes {until}", i + 1, sizes.len()));
        }
        let reach = match (reach, recurrent) {
            (Some(frames), _) => format!("{frames} frames, {:.1} ms", *frames as f64 * 1000.0 / rate),
            (None, true) => "everything before (recurrent)".into(),
            (None, false) => "not known".into(),
        };
        say(format_args!("  {:<14}{reach}", "looks back"));
        say(format_args!("  {:<14}{} frames", "latency", needs.latency));
        let (sign, sure) =
            (if alignment.inverted { ", upside down" } else { "" }, if alignment.ambiguous { ", ambiguous" } else { "" });
        say(format_args!("  {:<14}{:.2} frames of its sound{sign}{sure}", "delay", alignment.delay_frames));
        let constant = match level_db(*rest) {
            _ if rest.is_nan() => "NaN or infinite".into(),
            Some(db) => format!("a constant of {rest:+.6}, {db:.1} dBFS; the DC blocker takes it away"),
            None => "silence".into(),
        };
        say(format_args!("  {:<14}{constant}", "on silence"));
        say(format_args!("  {:<14}{} bytes, and {} a channel", "memory", needs.weights_bytes, needs.state_bytes));
        say(format_args!(
            "  {:<14}{:.0} ns a sample here, {:.1} % of a core",
            "cost",
            needs.ns_per_sample,
            needs.ns_per_sample * rate * 1e-7
        ));
    }
    Ok(())
}

/// What a model says of itself, but for what it leaves out.
fn lines(info: &Info) -> Vec<(&'static str, String)> {
    let of = |parts: [&Option<String>; 2], joint: &str| {
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(joint))
    };
    let rate = if info.sample_rate_given { "" } else { ", as the format has it: the file says none" };
    let knobs = (!info.knobs.is_empty()).then(|| info.knobs.join(", "));
    [
        ("name", info.name.clone()),
        ("author", info.author.clone()),
        ("gear", of([&info.gear_make, &info.gear_model], " ")),
        ("kind", of([&info.gear_type, &info.tone_type], ", ")),
        ("parameters", Some(info.parameters.to_string())),
        ("sample rate", Some(format!("{} Hz{rate}", info.sample_rate))),
        ("loudness", info.loudness_db.map(|db| format!("{db:.2} dB"))),
        ("input level", info.input_level_dbu.map(|dbu| format!("{dbu} dBu at full scale"))),
        ("output level", info.output_level_dbu.map(|dbu| format!("{dbu} dBu at full scale"))),
        ("ESR", info.esr.map(|esr| esr.to_string())),
        ("knobs", knobs),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
    .collect()
}

/// What came of one check. Not checked is neither passed nor failed.
struct Check {
    name: &'static str,
    passed: Option<bool>,
    text: String,
}

fn verify(matches: &ArgMatches) -> Result<(), Failure> {
    let (path, model) = open(matches)?;
    let mut checks = vec![Check { name: "weights", passed: Some(true), text: format!("{}, all used", model.info().parameters) }];
    checks.push(match model.golden() {
        None => Check { name: "golden batch", passed: None, text: "not checked: the file has none".into() },
        Some(golden) => check_golden(&model, golden)?,
    });
    for size in 0..model.sizes().len() {
        checks.push(check_finite(&model, size)?);
    }
    checks.extend(check_loudness(&model, matches.get_one::<PathBuf>("loudness_input"))?);
    if matches.get_flag("json") {
        let all: Vec<Value> = checks.iter().map(|c| json!({ "name": c.name, "passed": c.passed, "text": c.text })).collect();
        let passed = checks.iter().all(|c| c.passed != Some(false));
        say(serde_json::to_string_pretty(&json!({ "file": path, "passed": passed, "checks": all })).map_err(Failure::failed)?);
    } else {
        for check in &checks {
            say(format_args!("{:<14}{}", check.name, check.text));
        }
    }
    match checks.iter().find(|c| c.passed == Some(false)) {
        Some(check) => Err(Failure::Failed(format!("{}: {}: {}", path.display(), check.name, check.text))),
        None => Ok(()),
    }
}

/// Everything of one channel, knobs standing.
fn through(voices: &mut dyn Voices, input: &[f32], knobs: &[f32]) -> Vec<f32> {
    let mut output = input.to_vec();
    let knobs: Vec<Vec<f32>> = knobs.iter().map(|value| vec![*value; BLOCK]).collect();
    for part in output.chunks_mut(BLOCK) {
        let knobs: Vec<&[f32]> = knobs.iter().map(|k| &k[..part.len()]).collect();
        voices.process(&mut [part], &knobs);
    }
    output
}

/// The batch in the file: from a zero state, all knobs at 0.
fn check_golden(model: &Model, golden: &Golden) -> Result<Check, Failure> {
    let name = "golden batch";
    let Some(architecture) = model.sizes().last().and_then(|s| s.architecture.as_ref()) else {
        return Ok(Check { name, passed: None, text: "not checked: not the native engine's".into() });
    };
    // Without a rate, nothing is prewarmed.
    let mut voices = engine::build(architecture, 0.0).voices(Mode::new(1)).map_err(Failure::Failed)?;
    let output = through(&mut *voices, &golden.input, &vec![0.0; architecture.inputs() - 1]);
    let error = output.iter().zip(&golden.output).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // What is no number is not within it.
    let passed = error <= GOLDEN_ERROR && output.iter().all(|y| y.is_finite());
    let text = format!("{} frames within {error:.1e}; expected {GOLDEN_ERROR:.0e}", output.len());
    Ok(Check { name, passed: Some(passed), text })
}

/// Noise, a square wave and silence, one second each at full scale, come out finite.
fn check_finite(model: &Model, size: usize) -> Result<Check, Failure> {
    let second = model.info().sample_rate as usize;
    let mut random = Random::new(1);
    let square = |i: usize| if (i / 100).is_multiple_of(2) { 1.0 } else { -1.0 };
    let input: Vec<f32> =
        (0..second).map(|_| random.within(-1.0, 1.0)).chain((0..second).map(square)).chain(vec![0.0; second]).collect();
    let mut voices = model.network(size).clone().voices(Mode::new(1)).map_err(Failure::Failed)?;
    voices.set_offline(true);
    let output = through(&mut *voices, &input, &vec![0.5; model.knobs(size)]);
    let which = which(model, size);
    let text = match output.iter().position(|y| !y.is_finite()) {
        Some(frame) => {
            format!("{which}{} at frame {frame} of noise, square wave and silence; expected finite numbers", output[frame])
        }
        None => {
            let peak = output.iter().fold(0.0f32, |peak, y| peak.max(y.abs()));
            format!("{which}noise, square wave and silence come out finite, peak {:.1} dBFS", gain_to_db(peak))
        }
    };
    Ok(Check { name: "finite", passed: Some(output.iter().all(|y| y.is_finite())), text })
}

/// RMS of the output for the trainer's own input, which is a recording that comes with the trainer.
fn check_loudness(model: &Model, input: Option<&PathBuf>) -> Result<Vec<Check>, Failure> {
    let name = "loudness";
    let unchecked = |reason: &str| Ok(vec![Check { name, passed: None, text: format!("not checked: {reason}") }]);
    let stated: Vec<(usize, f32)> =
        model.sizes().iter().enumerate().filter_map(|(size, s)| Some((size, s.loudness_db?))).collect();
    if stated.is_empty() {
        return unchecked("the file says none");
    }
    let Some(path) = input else {
        return unchecked("--loudness-input is missing, the sound that the trainer measured with");
    };
    let sound = wav::read(path).map_err(Failure::failed)?;
    let rate = model.info().sample_rate;
    if sound.sample_rate() as f32 != rate {
        let found = format!("{}: {} Hz; expected {rate}, the model's", path.display(), sound.sample_rate());
        return Err(Failure::Failed(found));
    }
    let check = |(size, stated): (usize, f32)| {
        let mut voices = model.network(size).clone().voices(Mode::new(1)).map_err(Failure::Failed)?;
        voices.set_offline(true);
        let output = through(&mut *voices, sound.channel(0), &vec![0.5; model.knobs(size)]);
        let power: f64 = output.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>() / output.len().max(1) as f64;
        let found = 10.0 * power.log10() as f32;
        let text = format!("{}{found:.3} dB; expected {stated:.3} within {LOUDNESS_ERROR_DB}", which(model, size));
        Ok(Check { name, passed: Some((found - stated).abs() <= LOUDNESS_ERROR_DB), text })
    };
    stated.into_iter().map(check).collect()
}

/// The size that is meant, where there are several.
fn which(model: &Model, size: usize) -> String {
    if model.sizes().len() > 1 { format!("size {}: ", size + 1) } else { String::new() }
}
