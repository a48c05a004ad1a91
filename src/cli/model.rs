//! `isotherm model`: shows a model file's metadata, costs and aliasing, verifies the model against what the file states, and
//! exports it at a multiple of its rate.

mod aliasing;
mod oversample;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::input::read_wav;
use super::{Failure, examples, parse_number, path_text, print_line};
use crate::audio::Random;
use crate::dsp::{Settings, gain_to_db};
use crate::effect::Effect;
use crate::measure::ModelAliasing;
use crate::neural::engine::{self, KNOB_MIDDLE, Network, NetworkState, StateSpec};
use crate::neural::{Model, TestVector, formats};

/// Frames per block, as a host may use.
const BLOCK: usize = 64;
/// A network is timed for at least this long.
const TIMING_DURATION: Duration = Duration::from_millis(100);
/// Largest difference of a sample from the test vector in the file: the trainer rounds in other places.
const MAX_TEST_VECTOR_ERROR: f32 = 1e-5;
/// Largest difference in dB from the loudness in the file.
const MAX_LOUDNESS_ERROR_DB: f32 = 0.05;

pub fn command() -> Command {
    let file = || Arg::new("file").required(true).value_name("FILE").value_parser(value_parser!(PathBuf)).help("The model file");
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
        .subcommand(
            Command::new("inspect")
                .about("Shows what a model is, needs and costs")
                .arg(file())
                .arg(rate_argument())
                .arg(json())
                .after_help(examples(&["isotherm model inspect amp.nam", "isotherm model inspect amp.nam --json"])),
        )
        .subcommand(
            Command::new("verify")
                .about("Checks that a model does what it says")
                .arg(file())
                .arg(rate_argument())
                .arg(json())
                .arg(loudness)
                .after_help(examples(&[
                    "isotherm model verify amp.nam",
                    "isotherm model verify amp.nam --loudness-input loudness_input.wav",
                ])),
        )
        .subcommand(aliasing::command().arg(rate_argument()).arg(json()))
        .subcommand(oversample::command(file()))
        .after_help(examples(&[
            "isotherm model inspect amp.nam",
            "isotherm model verify amp.nam",
            "isotherm model aliasing *.nam",
            "isotherm model oversample amp.nam --factor 2 amp-2x.nam",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("inspect", m)) => inspect(m),
        Some(("verify", m)) => verify(m),
        Some(("aliasing", m)) => aliasing::run(m),
        Some(("oversample", m)) => oversample::run(m),
        _ => Err(Failure::Usage("no such command".into())),
    }
}

/// The flag `--model`, for an algorithm that runs a model.
pub fn argument() -> Arg {
    Arg::new("model").long("model").value_name("FILE").value_parser(value_parser!(PathBuf)).help("Model for 'neural' to run")
}

/// Returns the effect with these settings and the model that `--model` names.
///
/// # Errors
/// If the algorithm needs a model and none is named, or needs none and one is named, or the file is not a model.
pub fn effect(matches: &ArgMatches, settings: Settings) -> Result<Effect, Failure> {
    let algorithm = settings.algorithm();
    let Some(path) = matches.get_one::<PathBuf>("model") else {
        let error = || Failure::Usage(format!("--algorithm {0}: no model; expected --model FILE, which {0} runs", algorithm.id));
        return if algorithm.plays_model { Err(error()) } else { Ok(settings.into()) };
    };
    if !algorithm.plays_model {
        return Err(Failure::Usage(format!("--model: {} runs no model; expected an algorithm that does: neural", algorithm.id)));
    }
    Ok(Effect::from(settings).with_model(open_model(matches, path)?))
}

/// The flag `--model-rate`.
pub fn rate_argument() -> Arg {
    Arg::new("model_rate").long("model-rate").value_name("HZ").help("Sample rate of the model, if its file has none")
}

/// Opens a model's file, at the rate of `--model-rate` if that is given.
fn open_model(matches: &ArgMatches, path: &Path) -> Result<Arc<Model>, Failure> {
    let model = Model::open(path).map_err(Failure::failed)?;
    let Some(text) = matches.get_one::<String>("model_rate") else { return Ok(model) };
    let rate = parse_number("model-rate", text, 1000.0, 768_000.0)?;
    model.at_rate(rate as f32).map_err(|error| Failure::Usage(format!("--model-rate: {error}")))
}

/// Returns the network that the parameter `size` chooses of a model.
pub fn network<'a>(model: &'a Model, settings: &Settings) -> &'a Arc<dyn Network> {
    let size = settings.index("size").map_or(1.0, |index| settings.get(index));
    model.network(model.size_index(size))
}

/// Counts how often a model's network is reset because its output is not finite, and notes when this is first seen.
pub struct NanResets {
    /// `None` for an algorithm without a model: nothing is counted then.
    model: Option<Arc<Model>>,
    /// The model's number of resets at the start.
    count_at_start: u64,
    /// Number of frames that had been processed when a reset was first seen.
    first_within_frames: Option<u64>,
}

impl NanResets {
    /// Begins to count.
    pub fn new(model: Option<&Arc<Model>>) -> Self {
        Self { model: model.cloned(), count_at_start: model.map_or(0, |m| m.nan_resets()), first_within_frames: None }
    }

    fn count(&self) -> u64 {
        self.model.as_ref().map_or(0, |model| model.nan_resets() - self.count_at_start)
    }

    /// Notes the first reset. To be called from time to time with the number of frames processed so far.
    pub fn update(&mut self, frames: u64) {
        if self.first_within_frames.is_none() && self.count() > 0 {
            self.first_within_frames = Some(frames);
        }
    }

    /// Writes a warning with the model's path to standard error if there was a reset. `sample_rate` is that of the frames.
    pub fn warn(&self, path: Option<&PathBuf>, sample_rate: f64) {
        let (count, path) = (self.count(), path.map_or_else(String::new, |path| path.display().to_string()));
        if count > 0 {
            let when = self
                .first_within_frames
                .map_or_else(String::new, |first| format!(", first within {:.3} s", first as f64 / sample_rate));
            let times = if count == 1 { "once".into() } else { format!("{count} times") };
            let line = format!("{path}: gave NaN or infinite numbers{when}: silenced and begun anew {times}");
            let _ = writeln!(std::io::stderr(), "isotherm: warning: {line}");
        }
    }

    /// Returns the number of resets for a report; null without a model.
    pub fn json(&self) -> Value {
        match self.model {
            Some(_) => json!({ "count": self.count(), "first_within_frames": self.first_within_frames }),
            None => Value::Null,
        }
    }
}

/// Returns the model's file, name and architecture for a report; null without a model.
pub fn summary_json(path: Option<&PathBuf>, model: Option<&Model>) -> Value {
    let Some(model) = model else { return Value::Null };
    json!({ "file": path.map(|path| path_text(path)), "name": model.info().name, "architecture": model.info().architecture })
}

/// Opens the model file that the arguments name, and returns its path as well.
fn open(matches: &ArgMatches) -> Result<(PathBuf, Arc<Model>), Failure> {
    let path = matches.get_one::<PathBuf>("file").ok_or_else(|| Failure::Usage("no file".into()))?.clone();
    let model = open_model(matches, &path)?;
    Ok((path, model))
}

/// The memory, latency and time that a network needs on this machine.
struct NetworkCost {
    weights_bytes: usize,
    /// Bytes per channel.
    state_bytes: usize,
    /// Latency in frames.
    latency: usize,
    /// Median time, for one channel.
    ns_per_sample: f64,
}

/// Measures a network with this number of knobs.
fn measure_cost(network: &Arc<dyn Network>, knobs: usize) -> Result<NetworkCost, Failure> {
    let mut state = network.clone().state(StateSpec::new(1)).map_err(Failure::failed)?;
    // Offline, a network that computes on another thread waits for the result, so the time includes it.
    state.set_offline(true);
    let mut random = Random::new(1);
    let knobs = vec![[0.5; BLOCK]; knobs];
    let knobs: Vec<&[f32]> = knobs.iter().map(<[f32; BLOCK]>::as_slice).collect();
    let mut times = Vec::new();
    let start = Instant::now();
    // A network that computes many blocks at once makes only some blocks wait, so several blocks are timed together.
    let blocks = (2 * state.latency()).div_ceil(BLOCK).max(1);
    while times.len() < 20 || start.elapsed() < TIMING_DURATION {
        let mut time = Duration::ZERO;
        for _ in 0..blocks {
            let mut block: Vec<f32> = (0..BLOCK).map(|_| random.within(-0.25, 0.25)).collect();
            let before = Instant::now();
            state.process(&mut [&mut block], &knobs);
            time += before.elapsed();
        }
        times.push(time);
    }
    times.sort_unstable();
    Ok(NetworkCost {
        weights_bytes: network.bytes(),
        state_bytes: state.bytes(),
        latency: state.latency(),
        ns_per_sample: times[times.len() / 2].as_secs_f64() * 1e9 / (blocks * BLOCK) as f64,
    })
}

/// Returns the constant that a network makes of silence with its knobs in the middle: the mean of half a second, after another
/// half second in which it settles. NaN or infinite if the output is.
fn constant_on_silence(network: &Arc<dyn Network>, knobs: usize, sample_rate: f32) -> Result<f32, Failure> {
    let mut state = network.clone().state(StateSpec::new(1)).map_err(Failure::failed)?;
    state.set_offline(true);
    let half = (0.5 * sample_rate) as usize;
    let silence = vec![0.0; state.latency() + 2 * half];
    let output = run_network(&mut *state, &silence, &vec![KNOB_MIDDLE; knobs]);
    let end = &output[silence.len() - half..];
    Ok((end.iter().map(|y| f64::from(*y)).sum::<f64>() / end.len().max(1) as f64) as f32)
}

/// Magnitudes below this (-200 dB) count as silence.
const MIN_CONSTANT: f32 = 1e-10;

/// Returns the level of a constant in dBFS; `None` for silence and NaN.
fn level_db(constant: f32) -> Option<f32> {
    (constant.abs() >= MIN_CONSTANT).then(|| gain_to_db(constant.abs()))
}

fn inspect(matches: &ArgMatches) -> Result<(), Failure> {
    let (path, model) = open(matches)?;
    let info = model.info();
    let rate = f64::from(info.sample_rate);
    let mut sizes = Vec::new();
    for (index, size) in model.sizes().iter().enumerate() {
        let cost = measure_cost(model.network(index), model.knob_count(index))?;
        let alignment = model.alignment(index).map_err(|error| Failure::Failed(error.to_string()))?;
        let constant = constant_on_silence(model.network(index), model.knob_count(index), info.sample_rate)?;
        let receptive_field = size.architecture.as_ref().and_then(|a| a.receptive_field());
        let recurrent = size.architecture.is_some() && receptive_field.is_none();
        // At an unusual sample rate there are no figures, and all else is shown.
        let aliasing = ModelAliasing::of_model(&model, index, || true).ok();
        sizes.push((size, cost, alignment, receptive_field, recurrent, constant, aliasing));
    }
    if matches.get_flag("json") {
        let sizes: Vec<Value> = sizes
            .iter()
            .map(|(size, cost, alignment, receptive_field, recurrent, constant, aliasing)| {
                json!({
                    "below": size.below, "loudness_db": size.loudness_db, "recurrent": recurrent,
                    "receptive_field_frames": receptive_field,
                    "receptive_field_ms": receptive_field.map(|frames| frames as f64 * 1000.0 / rate),
                    "latency_frames": cost.latency,
                    "weights_bytes": cost.weights_bytes, "state_bytes_per_channel": cost.state_bytes,
                    "ns_per_sample": cost.ns_per_sample, "delay_frames": alignment.delay_frames, "inverted": alignment.inverted,
                    "delay_ambiguous": alignment.ambiguous, "dc_on_silence": constant.is_finite().then_some(constant),
                    "dc_on_silence_dbfs": level_db(*constant), "aliasing": aliasing,
                })
            })
            .collect();
        print_line(serde_json::to_string_pretty(&json!({
            "file": path_text(&path), "bytes": model.bytes().len(), "format": info.format, "version": info.version,
            "name": info.name, "author": info.author, "gear_make": info.gear_make, "gear_model": info.gear_model,
            "gear_type": info.gear_type, "tone_type": info.tone_type, "architecture": info.architecture,
            "parameters": info.parameters, "sample_rate": info.sample_rate, "sample_rate_given": info.sample_rate_given,
            "loudness_db": info.loudness_db, "input_level_dbu": info.input_level_dbu, "output_level_dbu": info.output_level_dbu,
            "esr": info.esr, "late_frames": info.late_frames, "knobs": info.knobs, "ignored": info.ignored,
            "golden_frames": model.test_vector().map(|vector| vector.input.len()), "sizes": sizes,
        }))
        .map_err(Failure::failed)?);
        return Ok(());
    }
    let version = info.version.as_ref().map_or_else(String::new, |v| format!(" {v}"));
    print_line(format_args!("{}: {} ({}{version})", path.display(), info.architecture, info.format));
    for (name, text) in metadata_lines(&model) {
        print_line(format_args!("  {name:<14}{text}"));
    }
    for line in &info.ignored {
        print_line(format_args!("  {:<14}{line}", "ignored"));
    }
    for (i, (size, cost, alignment, receptive_field, recurrent, constant, aliasing)) in sizes.iter().enumerate() {
        if sizes.len() > 1 {
            let until = if i + 1 < sizes.len() { format!("below {}", size.below) } else { "above".into() };
            print_line(format_args!("  size {} of {}, for sizes {until}", i + 1, sizes.len()));
        }
        let receptive_field = match (receptive_field, recurrent) {
            (Some(frames), _) => format!("{frames} frames, {:.1} ms", *frames as f64 * 1000.0 / rate),
            (None, true) => "everything before (recurrent)".into(),
            (None, false) => "not known".into(),
        };
        print_line(format_args!("  {:<14}{receptive_field}", "looks back"));
        let ahead = match info.late_frames {
            0 => String::new(),
            late => format!(", of them {late} because the model looks ahead"),
        };
        print_line(format_args!("  {:<14}{} frames{ahead}", "latency", cost.latency + info.late_frames));
        let (polarity, certainty) =
            (if alignment.inverted { ", upside down" } else { "" }, if alignment.ambiguous { ", ambiguous" } else { "" });
        print_line(format_args!("  {:<14}{:.2} frames of its sound{polarity}{certainty}", "delay", alignment.delay_frames));
        let on_silence = match level_db(*constant) {
            _ if constant.is_nan() => "NaN or infinite".into(),
            Some(db) => format!("a constant of {constant:+.6}, {db:.1} dBFS; the DC blocker takes it away"),
            None => "silence".into(),
        };
        print_line(format_args!("  {:<14}{on_silence}", "on silence"));
        for tone in aliasing.iter().flat_map(|aliasing| &aliasing.tones) {
            print_line(format_args!("  {:<14}{}", "aliasing", aliasing::line(tone)));
        }
        print_line(format_args!("  {:<14}{} bytes, and {} a channel", "memory", cost.weights_bytes, cost.state_bytes));
        print_line(format_args!(
            "  {:<14}{:.0} ns a sample here, {:.1} % of a core",
            "cost",
            cost.ns_per_sample,
            cost.ns_per_sample * rate * 1e-7
        ));
    }
    Ok(())
}

/// Returns the model's metadata as names and texts, without those that the file does not give.
fn metadata_lines(model: &Model) -> Vec<(&'static str, String)> {
    let info = model.info();
    let join = |parts: [&Option<String>; 2], separator: &str| {
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(separator))
    };
    let rate = match (info.sample_rate_given, model.user_rate()) {
        (true, _) => "",
        (false, Some(_)) => ", as --model-rate says: the file says none",
        (false, None) => ", as the format has it: the file says none (--model-rate sets another)",
    };
    let knobs = (!info.knobs.is_empty()).then(|| info.knobs.join(", "));
    [
        ("name", info.name.clone()),
        ("author", info.author.clone()),
        ("gear", join([&info.gear_make, &info.gear_model], " ")),
        ("kind", join([&info.gear_type, &info.tone_type], ", ")),
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

/// The result of one check of a model.
struct Check {
    name: &'static str,
    /// `None` if the check was not possible.
    passed: Option<bool>,
    text: String,
}

fn verify(matches: &ArgMatches) -> Result<(), Failure> {
    let (path, model) = open(matches)?;
    let mut checks = vec![Check { name: "weights", passed: Some(true), text: format!("{}, all used", model.info().parameters) }];
    checks.push(match model.test_vector() {
        None => Check { name: "golden batch", passed: None, text: "not checked: the file has none".into() },
        Some(vector) => check_test_vector(&model, vector)?,
    });
    for size in 0..model.sizes().len() {
        checks.push(check_finite(&model, size)?);
    }
    checks.extend(check_loudness(&model, matches.get_one::<PathBuf>("loudness_input"))?);
    if matches.get_flag("json") {
        let all: Vec<Value> = checks.iter().map(|c| json!({ "name": c.name, "passed": c.passed, "text": c.text })).collect();
        let passed = checks.iter().all(|c| c.passed != Some(false));
        print_line(
            serde_json::to_string_pretty(&json!({ "file": path_text(&path), "passed": passed, "checks": all }))
                .map_err(Failure::failed)?,
        );
    } else {
        for check in &checks {
            print_line(format_args!("{:<14}{}", check.name, check.text));
        }
    }
    match checks.iter().find(|c| c.passed == Some(false)) {
        Some(check) => Err(Failure::Failed(format!("{}: {}: {}", path.display(), check.name, check.text))),
        None => Ok(()),
    }
}

/// Returns the network's output for a whole mono input, with constant knobs.
fn run_network(state: &mut dyn NetworkState, input: &[f32], knobs: &[f32]) -> Vec<f32> {
    let mut output = input.to_vec();
    let knobs: Vec<Vec<f32>> = knobs.iter().map(|value| vec![*value; BLOCK]).collect();
    for part in output.chunks_mut(BLOCK) {
        let knobs: Vec<&[f32]> = knobs.iter().map(|k| &k[..part.len()]).collect();
        state.process(&mut [part], &knobs);
    }
    output
}

/// Checks the network against the file's test vector ("golden batch"): input and output of the trainer, from a zero state, with
/// all knobs at 0.
fn check_test_vector(model: &Model, vector: &TestVector) -> Result<Check, Failure> {
    let name = "golden batch";
    let Some(architecture) = model.sizes().last().and_then(|s| s.architecture.as_ref()) else {
        return Ok(Check { name, passed: None, text: "not checked: not the native engine's".into() });
    };
    // Built for a rate of 0, the network begins in the zero state instead of a settled one.
    let mut state = engine::build(architecture, 0.0).state(StateSpec::new(1)).map_err(Failure::failed)?;
    let output = run_network(&mut *state, &vector.input, &vec![0.0; architecture.inputs() - 1]);
    let error = output.iter().zip(&vector.output).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // `f32::max` ignores NaN, so it is checked for as well.
    let passed = error <= MAX_TEST_VECTOR_ERROR && output.iter().all(|y| y.is_finite());
    let text = format!("{} frames within {error:.1e}; expected {MAX_TEST_VECTOR_ERROR:.0e}", output.len());
    Ok(Check { name, passed: Some(passed), text })
}

/// Checks that the output is finite for noise, a square wave and silence, one second each, at full scale.
fn check_finite(model: &Model, size: usize) -> Result<Check, Failure> {
    let second = model.info().sample_rate as usize;
    let mut random = Random::new(1);
    let square = |i: usize| if (i / 100).is_multiple_of(2) { 1.0 } else { -1.0 };
    let input: Vec<f32> =
        (0..second).map(|_| random.within(-1.0, 1.0)).chain((0..second).map(square)).chain(vec![0.0; second]).collect();
    let mut state = model.network(size).clone().state(StateSpec::new(1)).map_err(Failure::failed)?;
    state.set_offline(true);
    let output = run_network(&mut *state, &input, &vec![0.5; model.knob_count(size)]);
    let size_text = size_text(model, size);
    let text = match output.iter().position(|y| !y.is_finite()) {
        Some(frame) => {
            format!("{size_text}{} at frame {frame} of noise, square wave and silence; expected finite numbers", output[frame])
        }
        None => {
            let peak = output.iter().fold(0.0f32, |peak, y| peak.max(y.abs()));
            format!("{size_text}noise, square wave and silence come out finite, peak {:.1} dBFS", gain_to_db(peak))
        }
    };
    Ok(Check { name: "finite", passed: Some(output.iter().all(|y| y.is_finite())), text })
}

/// Checks the loudness of each size: the RMS of its output for a recording that comes with the trainer.
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
    let sound = read_wav(path).map_err(Failure::failed)?;
    let rate = model.info().sample_rate;
    if sound.sample_rate() as f32 != rate {
        let found = format!("{}: {} Hz; expected {rate}, the model's", path.display(), sound.sample_rate());
        return Err(Failure::Failed(found));
    }
    let check = |(size, stated): (usize, f32)| {
        let mut state = model.network(size).clone().state(StateSpec::new(1)).map_err(Failure::failed)?;
        state.set_offline(true);
        let output = run_network(&mut *state, sound.channel(0), &vec![0.5; model.knob_count(size)]);
        let power: f64 = output.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>() / output.len().max(1) as f64;
        let found = 10.0 * power.log10() as f32;
        let text = format!("{}{found:.3} dB; expected {stated:.3} within {MAX_LOUDNESS_ERROR_DB}", size_text(model, size));
        Ok(Check { name, passed: Some((found - stated).abs() <= MAX_LOUDNESS_ERROR_DB), text })
    };
    stated.into_iter().map(check).collect()
}

/// Returns the number of the size as a prefix of a text; empty for a model with one size.
fn size_text(model: &Model, size: usize) -> String {
    if model.sizes().len() > 1 { format!("size {}: ", size + 1) } else { String::new() }
}
