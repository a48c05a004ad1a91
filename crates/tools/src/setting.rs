//! Settings of the plug-in: loads it as a CLAP host, sets one slot to an algorithm, plays sounds, and measures distortion and
//! latency with a tone and an impulse.

use std::path::{Path, PathBuf};
use std::time::Duration;

use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{Algorithm, ChangeMode, Parameter, ParameterKind};
use isotherm::measure::{self, Tone};
use isotherm::neural::Model;
use isotherm_host::{ClapInstance, ParameterInfo, nice_state};
use serde_json::json;

use crate::{TaskResult, sound};

/// Block size of the demo, in frames.
pub const BLOCK: u32 = 512;

/// The slot that a new instance lets through.
const SLOT: &str = "A";

/// Frequency of the tone for THD, in hertz; the exact one gives whole periods.
const TONE_NEAR_HZ: f32 = 997.0;
/// Amplitude of the tone: -6 dBFS.
const TONE_AMPLITUDE: f32 = 0.501_187;
/// Seconds for which the tone plays before it is measured, so that all filters have settled.
const SETTLE_SECONDS: usize = 1;

/// Frame of the impulse, late enough for all filters to have settled.
const IMPULSE_FRAME: usize = 4096;
const IMPULSE_AMPLITUDE: f32 = 0.5;

/// Sample rate of the measurements, in hertz.
const MEASUREMENT_RATE: u32 = 48_000;

/// Position of the stronger setting's parameter between its default (0) and an end of its range (1).
const STRONGER_TRAVEL: f64 = 0.5;

/// Number of renders of which the fastest counts.
const TIMED_RENDERS: usize = 3;

/// An algorithm with its defaults except for some parameters; with a model, if it runs one.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The algorithm.
    pub algorithm: &'static Algorithm,
    /// The model's file.
    pub model: Option<PathBuf>,
    /// A parameter that is not at its default, with its value as a CLAP parameter.
    pub changed: Option<(&'static Parameter, f64)>,
    /// Parameters that are not at their default, with the text that a user would type.
    pub typed: Vec<(&'static Parameter, String)>,
    /// Text for tables: "default", the model's name, or the changed parameters with their values.
    pub text: String,
}

impl Setting {
    /// Name for files: words in lower case, joined by `-`.
    pub fn file_stem(&self) -> String {
        let model = self.model.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
        let typed =
            || self.typed.iter().map(|(parameter, text)| format!("{} {text}", parameter.id)).collect::<Vec<_>>().join(" ");
        let variant = match (model, self.changed) {
            (Some(model), _) => model,
            (None, Some((parameter, _))) => parameter.id.into(),
            (None, None) if self.typed.is_empty() => "default".into(),
            (None, None) => typed(),
        };
        format!("{} {variant}", self.algorithm.id).replace(['_', ' '], "-")
    }
}

/// Measurements of a setting with test signals.
pub struct Measurement {
    /// Total harmonic distortion as a ratio.
    pub thd: f64,
    /// Latency that the plug-in reports, in frames.
    pub latency_frames: u32,
    /// Frames from an impulse to the largest difference that it makes in the output; `None` if it makes none.
    pub impulse_frames: Option<usize>,
}

/// The demo's settings: every algorithm with its defaults and with one stronger setting, or with the model that it runs.
///
/// # Errors
/// If the plug-in does not offer what the registry lists.
pub fn settings(bundle: &Path, model: &Path) -> TaskResult<Vec<Setting>> {
    let mut settings = Vec::new();
    for &algorithm in REGISTRY {
        if algorithm.plays_model {
            // The plug-in would play on without a model that it cannot read; opening it here reports the error.
            let text = Model::open(model)?.info().name.clone().unwrap_or_else(|| model.display().to_string());
            settings.push(Setting { algorithm, model: Some(model.to_owned()), changed: None, typed: Vec::new(), text });
        } else {
            settings.push(Setting { algorithm, model: None, changed: None, typed: Vec::new(), text: "default".into() });
            settings.extend(stronger(bundle, algorithm)?);
        }
    }
    Ok(settings)
}

/// The stronger setting: the first ramped number of the algorithm, halfway from its default to the end of its range at which the
/// algorithm distorts more.
fn stronger(bundle: &Path, algorithm: &'static Algorithm) -> TaskResult<Option<Setting>> {
    let is_number = |p: &&Parameter| p.change == ChangeMode::Ramped && matches!(p.kind, ParameterKind::Float { .. });
    let Some(parameter) = algorithm.parameters.iter().find(is_number) else { return Ok(None) };
    let mut plugin = ClapInstance::load(bundle)?;
    let info = slot_parameter(&plugin, algorithm, parameter)?.clone();
    let mut best: Option<(f64, f64)> = None;
    for end in [info.max, info.min] {
        let value = info.default + STRONGER_TRAVEL * (end - info.default);
        plugin.set(info.id, value);
        let setting =
            Setting { algorithm, model: None, changed: Some((parameter, value)), typed: Vec::new(), text: String::new() };
        let thd = thd(&mut setting.load(bundle, 1)?)?;
        if best.is_none_or(|(_, highest)| thd > highest) {
            best = Some((value, thd));
        }
    }
    Ok(best.map(|(value, _)| Setting {
        algorithm,
        model: None,
        changed: Some((parameter, value)),
        typed: Vec::new(),
        text: format!("{} {}", parameter.name, plugin.text(info.id, value)),
    }))
}

/// An active plug-in with a setting.
pub struct ReadyPlugin {
    /// The plug-in, which is active.
    pub plugin: ClapInstance,
    /// In hertz.
    pub sample_rate: u32,
}

impl Setting {
    /// A new instance with this setting at [`MEASUREMENT_RATE`].
    fn load(&self, bundle: &Path, channels: usize) -> TaskResult<ReadyPlugin> {
        self.ready(bundle, MEASUREMENT_RATE, channels, false)
    }

    /// A new active instance with this setting. If `transparent`, every parameter that has an "off" is off, so that an impulse
    /// stays one.
    ///
    /// # Errors
    /// If the plug-in has no such layout or parameters.
    pub fn ready(&self, bundle: &Path, sample_rate: u32, channels: usize, transparent: bool) -> TaskResult<ReadyPlugin> {
        let mut plugin = ClapInstance::load(bundle)?;
        plugin.select_layout(channels)?;
        let choice = algorithm_choice(&plugin)?.id;
        plugin.set_text(choice, self.algorithm.name)?;
        if let Some((parameter, value)) = self.changed {
            let id = slot_parameter(&plugin, self.algorithm, parameter)?.id;
            plugin.set(id, value);
        }
        for (parameter, text) in &self.typed {
            let id = slot_parameter(&plugin, self.algorithm, parameter)?.id;
            plugin.set_text(id, text)?;
        }
        if transparent {
            for parameter in self.algorithm.parameters {
                if matches!(parameter.kind, ParameterKind::Float { off_at_max: true, .. }) {
                    let info = slot_parameter(&plugin, self.algorithm, parameter)?;
                    let (id, max) = (info.id, info.max);
                    plugin.set(id, max);
                }
            }
        }
        if let Some(model) = &self.model {
            let path = std::path::absolute(model)?;
            let field =
                json!({ "name": path.file_name().and_then(|n| n.to_str()), "folder": path.parent().and_then(Path::to_str) });
            let id = format!("{}_model", SLOT.to_lowercase());
            let state = nice_state::with_field(&plugin.save()?, &id, &field.to_string())?;
            plugin.load_state(&state)?;
        }
        plugin.activate(f64::from(sample_rate), BLOCK)?;
        plugin.grant_requests()?;
        Ok(ReadyPlugin { plugin, sample_rate })
    }

    /// Measures distortion and latency.
    ///
    /// # Errors
    /// If the plug-in fails.
    pub fn measure(&self, bundle: &Path) -> TaskResult<Measurement> {
        let mut ready = self.load(bundle, 1)?;
        let latency_frames = ready.plugin.latency();
        let thd = thd(&mut ready)?;
        let impulse_frames = impulse_delay(&mut self.ready(bundle, MEASUREMENT_RATE, 1, true)?)?;
        Ok(Measurement { thd, latency_frames, impulse_frames })
    }
}

impl ReadyPlugin {
    /// Plays `input`, a vector for each channel, and returns as many frames, aligned with the input.
    ///
    /// # Errors
    /// If the plug-in fails.
    pub fn play(&mut self, input: &[Vec<f32>]) -> TaskResult<Vec<Vec<f32>>> {
        let latency = self.plugin.latency() as usize;
        let longer = |channel: &Vec<f32>| channel.iter().copied().chain(std::iter::repeat_n(0.0, latency)).collect();
        let padded: Vec<Vec<f32>> = input.iter().map(longer).collect();
        let output = self.plugin.render(&padded, [BLOCK as usize], &[])?;
        Ok(output.into_iter().map(|mut channel| channel.split_off(latency)).collect())
    }

    /// Processing time of `input`, the shortest of [`TIMED_RENDERS`] renders.
    ///
    /// # Errors
    /// If the plug-in fails.
    pub fn time(&mut self, input: &[Vec<f32>]) -> TaskResult<Duration> {
        let mut fastest = Duration::MAX;
        for _ in 0..TIMED_RENDERS {
            self.plugin.render(input, [BLOCK as usize], &[])?;
            fastest = fastest.min(self.plugin.process_time());
        }
        Ok(fastest)
    }
}

/// Total harmonic distortion as a ratio.
fn thd(ready: &mut ReadyPlugin) -> TaskResult<f64> {
    let tone = sound::tone(ready.sample_rate, TONE_NEAR_HZ, TONE_AMPLITUDE);
    let period = tone.samples.len();
    let settling = (SETTLE_SECONDS * ready.sample_rate as usize).div_ceil(period) * period;
    let input: Vec<f32> = tone.samples.iter().copied().cycle().take(settling + period).collect();
    let output = ready.plugin.render(&[input], [BLOCK as usize], &[])?;
    Ok(f64::from(measure::thd(&Tone { samples: output[0][settling..].to_vec(), ..tone })))
}

/// Frames from an impulse to the largest difference that it makes in the output; `None` if it makes none.
fn impulse_delay(ready: &mut ReadyPlugin) -> TaskResult<Option<usize>> {
    let mut input = vec![0.0; 2 * IMPULSE_FRAME + ready.plugin.latency() as usize];
    let mut output = |input: &Vec<f32>| {
        ready.plugin.reset();
        ready.plugin.render(std::slice::from_ref(input), [BLOCK as usize], &[])
    };
    let silent = output(&input)?;
    input[IMPULSE_FRAME] = IMPULSE_AMPLITUDE;
    let with_impulse = output(&input)?;
    let differences = silent[0].iter().zip(&with_impulse[0]).map(|(a, b)| (a - b).abs());
    let largest = differences.enumerate().fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
    Ok((largest.1 > 0.0).then(|| largest.0.saturating_sub(IMPULSE_FRAME)))
}

/// The parameter that chooses the slot's algorithm.
fn algorithm_choice(plugin: &ClapInstance) -> TaskResult<&ParameterInfo> {
    plugin.find(&format!("{SLOT} Algorithm")).ok_or_else(|| format!("the plug-in has no '{SLOT} Algorithm'").into())
}

/// The slot's parameter of an algorithm, which is in the group of slot and algorithm. Its name may have the names of the group in
/// front.
fn slot_parameter<'a>(plugin: &'a ClapInstance, algorithm: &Algorithm, parameter: &Parameter) -> TaskResult<&'a ParameterInfo> {
    let group = format!("{SLOT}/{}", algorithm.name);
    let short_name = |info: &ParameterInfo| {
        let behind = |name: &str, prefix: &str| name.strip_prefix(prefix).map_or(name, str::trim_start).to_owned();
        behind(&behind(&info.name, SLOT), algorithm.name)
    };
    let found = plugin.parameters().iter().find(|info| info.module == group && short_name(info) == parameter.name);
    found.ok_or_else(|| format!("the plug-in's group '{group}' has no '{}'", parameter.name).into())
}
