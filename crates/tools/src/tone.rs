//! The plug-in as an algorithm: sets a slot up, and measures it with a tone and an impulse, all through CLAP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{Algorithm, Change, Kind, Parameter};
use isotherm::measure::{self, Tone};
use isotherm::neural::Model;
use isotherm_host::{ParameterInfo, Plugin, nice_state};
use serde_json::json;

use crate::{Outcome, sound};

/// The block size of the demo, in frames.
pub const BLOCK: u32 = 512;

/// The slot that is heard when the plug-in is fresh.
const SLOT: &str = "A";

/// The tone for THD, at -6 dBFS.
const TONE_NEAR_HZ: f32 = 997.0;
const TONE_AMPLITUDE: f32 = 0.501_187;
/// For as long as that it plays before it is measured: all filters have settled.
const SETTLE_SECONDS: usize = 1;

/// Where the impulse is, in frames: past every filter's beginning.
const IMPULSE_FRAME: usize = 4096;
const IMPULSE_AMPLITUDE: f32 = 0.5;

/// Sample rate of the measurements, in hertz.
const MEASURE_RATE: u32 = 48_000;

/// How far the stronger setting is from the default to the end of a knob's travel.
const STRONGER_TRAVEL: f64 = 0.5;

/// Renderings whose fastest counts.
const SPEED_RUNS: usize = 3;

/// An algorithm with all defaults, or one parameter elsewhere; with a model, if it runs one.
#[derive(Clone, Debug)]
pub struct Setting {
    pub algorithm: &'static Algorithm,
    pub model: Option<PathBuf>,
    /// The parameter and its value at the level of CLAP.
    pub changed: Option<(&'static Parameter, f64)>,
    /// Parameters elsewhere, as a user would type them.
    pub typed: Vec<(&'static Parameter, String)>,
    /// "default", the model's name, or the changed parameter with its value, as the plug-in writes it.
    pub text: String,
}

impl Setting {
    /// Words for the names of files: lower case, joined by `-`.
    pub fn file_stem(&self) -> String {
        let model = self.model.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
        let typed =
            || self.typed.iter().map(|(parameter, text)| format!("{} {text}", parameter.id)).collect::<Vec<_>>().join(" ");
        let what = match (model, self.changed) {
            (Some(model), _) => model,
            (None, Some((parameter, _))) => parameter.id.into(),
            (None, None) if self.typed.is_empty() => "default".into(),
            (None, None) => typed(),
        };
        format!("{} {what}", self.algorithm.id).replace(['_', ' '], "-")
    }
}

/// What was measured of a setting, apart from any sound that is played through it.
pub struct Measured {
    /// Harmonics over fundamental.
    pub thd: f64,
    /// As the plug-in says, in frames.
    pub latency: u32,
    /// Frames from an impulse to its largest trace.
    pub impulse: Option<usize>,
}

/// Every algorithm with its defaults and with one stronger setting, or with the model that it runs.
///
/// # Errors
/// If the plug-in does not offer what the registry lists.
pub fn settings(bundle: &Path, model: &Path) -> Outcome<Vec<Setting>> {
    let mut settings = Vec::new();
    for &algorithm in REGISTRY {
        if algorithm.model {
            // The plug-in plays on without a model that it cannot read, so that is said here.
            let text = Model::open(model)?.info().name.clone().unwrap_or_else(|| model.display().to_string());
            settings.push(Setting { algorithm, model: Some(model.to_owned()), changed: None, typed: Vec::new(), text });
        } else {
            settings.push(Setting { algorithm, model: None, changed: None, typed: Vec::new(), text: "default".into() });
            settings.extend(stronger(bundle, algorithm)?);
        }
    }
    Ok(settings)
}

/// The first number of the row, most of the way to that end of its travel that distorts more.
fn stronger(bundle: &Path, algorithm: &'static Algorithm) -> Outcome<Option<Setting>> {
    let is_number = |p: &&Parameter| p.change == Change::Ramped && matches!(p.kind, Kind::Float { .. });
    let Some(parameter) = algorithm.parameters.iter().find(is_number) else { return Ok(None) };
    let mut plugin = Plugin::load(bundle)?;
    let info = slot_parameter(&plugin, algorithm, parameter)?.clone();
    let mut best: Option<(f64, f64)> = None;
    for end in [info.max, info.min] {
        let value = info.default + STRONGER_TRAVEL * (end - info.default);
        plugin.set(info.id, value);
        let setting =
            Setting { algorithm, model: None, changed: Some((parameter, value)), typed: Vec::new(), text: String::new() };
        let thd = thd(&mut setting.load(bundle, 1)?)?;
        if best.is_none_or(|(_, most)| thd > most) {
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

/// A plug-in ready to play a setting at some rate.
pub struct Ready {
    pub plugin: Plugin,
    pub sample_rate: u32,
}

impl Setting {
    /// A new instance with this setting, for measuring.
    fn load(&self, bundle: &Path, channels: usize) -> Outcome<Ready> {
        self.ready(bundle, MEASURE_RATE, channels, false)
    }

    /// A new instance with this setting, active. `transparent`: with every parameter that can be off switched off, so that an
    /// impulse stays one.
    ///
    /// # Errors
    /// If the plug-in has no such layout or parameters.
    pub fn ready(&self, bundle: &Path, sample_rate: u32, channels: usize, transparent: bool) -> Outcome<Ready> {
        let mut plugin = Plugin::load(bundle)?;
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
                if matches!(parameter.kind, Kind::Float { off_at_max: true, .. }) {
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
        plugin.serve()?;
        Ok(Ready { plugin, sample_rate })
    }

    /// # Errors
    /// If the plug-in fails.
    pub fn measure(&self, bundle: &Path) -> Outcome<Measured> {
        let mut ready = self.load(bundle, 1)?;
        let latency = ready.plugin.latency();
        let thd = thd(&mut ready)?;
        let impulse = impulse_delay(&mut self.ready(bundle, MEASURE_RATE, 1, true)?)?;
        Ok(Measured { thd, latency, impulse })
    }
}

impl Ready {
    /// Plays `input` and returns as many frames, moved back by the plug-in's latency.
    ///
    /// # Errors
    /// If the plug-in fails.
    pub fn play(&mut self, input: &[Vec<f32>]) -> Outcome<Vec<Vec<f32>>> {
        let latency = self.plugin.latency() as usize;
        let longer = |channel: &Vec<f32>| channel.iter().copied().chain(std::iter::repeat_n(0.0, latency)).collect();
        let padded: Vec<Vec<f32>> = input.iter().map(longer).collect();
        let output = self.plugin.render(&padded, [BLOCK as usize], &[])?;
        Ok(output.into_iter().map(|mut channel| channel.split_off(latency)).collect())
    }

    /// The time for `input` in the fastest of some renderings.
    ///
    /// # Errors
    /// If the plug-in fails.
    pub fn time(&mut self, input: &[Vec<f32>]) -> Outcome<Duration> {
        let mut fastest = Duration::MAX;
        for _ in 0..SPEED_RUNS {
            self.plugin.render(input, [BLOCK as usize], &[])?;
            fastest = fastest.min(self.plugin.process_time());
        }
        Ok(fastest)
    }
}

fn thd(ready: &mut Ready) -> Outcome<f64> {
    let tone = sound::tone(ready.sample_rate, TONE_NEAR_HZ, TONE_AMPLITUDE);
    let period = tone.samples.len();
    let settling = (SETTLE_SECONDS * ready.sample_rate as usize).div_ceil(period) * period;
    let input: Vec<f32> = tone.samples.iter().copied().cycle().take(settling + period).collect();
    let output = ready.plugin.render(&[input], [BLOCK as usize], &[])?;
    Ok(f64::from(measure::thd(&Tone { samples: output[0][settling..].to_vec(), ..tone })))
}

/// Frames from an impulse to the largest difference that it makes; none if it makes none.
fn impulse_delay(ready: &mut Ready) -> Outcome<Option<usize>> {
    let mut input = vec![0.0; 2 * IMPULSE_FRAME + ready.plugin.latency() as usize];
    let mut output = |input: &Vec<f32>| {
        ready.plugin.reset();
        ready.plugin.render(std::slice::from_ref(input), [BLOCK as usize], &[])
    };
    let silent = output(&input)?;
    input[IMPULSE_FRAME] = IMPULSE_AMPLITUDE;
    let struck = output(&input)?;
    let differences = silent[0].iter().zip(&struck[0]).map(|(a, b)| (a - b).abs());
    let largest = differences.enumerate().fold((0, 0.0), |most, now| if now.1 > most.1 { now } else { most });
    Ok((largest.1 > 0.0).then(|| largest.0.saturating_sub(IMPULSE_FRAME)))
}

/// The parameter that chooses the slot's algorithm.
fn algorithm_choice(plugin: &Plugin) -> Outcome<&ParameterInfo> {
    plugin.find(&format!("{SLOT} Algorithm")).ok_or_else(|| format!("the plug-in has no '{SLOT} Algorithm'").into())
}

/// The slot's own parameter of an algorithm: in the group of both, and named after it, with the names of the group in front or not.
fn slot_parameter<'a>(plugin: &'a Plugin, algorithm: &Algorithm, parameter: &Parameter) -> Outcome<&'a ParameterInfo> {
    let group = format!("{SLOT}/{}", algorithm.name);
    let own_name = |info: &ParameterInfo| {
        let behind = |name: &str, prefix: &str| name.strip_prefix(prefix).map_or(name, str::trim_start).to_owned();
        behind(&behind(&info.name, SLOT), algorithm.name)
    };
    let found = plugin.parameters().iter().find(|info| info.module == group && own_name(info) == parameter.name);
    found.ok_or_else(|| format!("the plug-in's group '{group}' has no '{}'", parameter.name).into())
}
