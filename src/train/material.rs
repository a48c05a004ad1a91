//! Sound to train on: generated, so that there is as much as is wanted, at every level that music has.

use std::f64::consts::TAU;

use super::condition::{self, Condition, Knob};
use super::triode::{Stage, Unsolved};
use crate::audio::{Audio, AudioError, Random, generate};
use crate::effect::Effect;
use crate::render::{Point, RenderError, Renderer};

/// A sound before and after an effect, in step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    pub name: String,
    pub dry: Vec<f32>,
    pub wet: Vec<f32>,
    /// Where the knob stood at each frame, 0 to 1. Empty where there is none.
    pub knob: Vec<f32>,
}

/// What a network learns from, and what it is measured with and never learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    pub sample_rate: u32,
    pub train: Pair,
    pub held: Vec<Pair>,
    /// What all pairs' `knob` turns.
    pub knob: Option<Knob>,
    /// In one line, for the card.
    pub origin: String,
}

/// Why there is no material.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Render(RenderError),
    #[error(transparent)]
    Unsolved(#[from] Unsolved),
    #[error("{found} of {frames} rendered samples are no numbers; expected an effect that is sound")]
    Unsound { found: usize, frames: usize },
    #[error("called off")]
    CalledOff,
}

impl From<RenderError> for MaterialError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::CalledOff => Self::CalledOff,
            other => Self::Render(other),
        }
    }
}

/// Levels of passages, in dB of full scale: evenly spread.
const LEVELS_DB: (f32, f32) = (-70.0, 0.0);
/// Passages' lengths in seconds: evenly spread.
const SECONDS: (f32, f32) = (0.7, 2.0);
/// Fades at both ends of a passage, in seconds.
const FADE_SECONDS: f64 = 0.005;
/// Peaks that guitar and drums are held out at, in dB of full scale.
const HELD_DB: [f32; 5] = [-1.0, -12.0, -24.0, -40.0, -60.0];
/// Of generated passages that are held out; of a conditioned effect half as much at each place of its knob, and as much while it turns.
const HELD_SECONDS: f64 = 24.0;
/// Places of a knob that are held out, and the peaks that guitar and drums have there.
const HELD_PLACES: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
const HELD_THERE_DB: [f32; 2] = [-6.0, -24.0];
/// Apart from any seed that trains.
const HELD_SEED: u64 = 0x6865_6c64;

/// Asked again and again, after a millisecond's work or so: whether to go on.
pub type Wanted<'a> = &'a dyn Fn() -> bool;

/// What is learnt.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    Effect(Effect),
    Triode(Stage),
}

impl Target {
    /// In a few words, for a card.
    fn name(&self) -> String {
        match self {
            Self::Effect(effect) => format!("'{}'", effect.algorithm().id),
            Self::Triode(stage) => {
                format!("the circuit of a 12AX7 stage, {} V for full scale, {} steps a frame", stage.volts, stage.oversampling)
            }
        }
    }
}

/// Plucked strings, hits, sweeps, tones and noise in turn, each passage at a level of its own. [control thread]
///
/// # Errors
/// If the rate is out of the generators' range.
pub fn passages(sample_rate: u32, seconds: f64, seed: u64) -> Result<Vec<f32>, MaterialError> {
    Ok(passages_from(sample_rate, seconds, seed, &|| true)?.0)
}

/// [`passages`], and the frame that each begins at.
fn passages_from(sample_rate: u32, seconds: f64, seed: u64, wanted: Wanted<'_>) -> Result<(Vec<f32>, Vec<usize>), MaterialError> {
    let mut random = Random::new(seed);
    let rate = f64::from(sample_rate);
    let frames = (seconds * rate) as usize;
    let (mut out, mut starts) = (Vec::with_capacity(frames), Vec::new());
    let mut kind = 0;
    while out.len() < frames {
        if !wanted() {
            return Err(MaterialError::CalledOff);
        }
        starts.push(out.len());
        let length = (f64::from(random.within(SECONDS.0, SECONDS.1)) * rate) as usize;
        let mut sound = match kind % 5 {
            0 => plucks(&mut random, rate, length),
            1 => hits(&mut random, rate, length),
            2 => {
                let from = 20.0 * 8f64.powf(random.unit());
                let to = (0.45 * rate).min(2000.0 * 8f64.powf(random.unit()));
                generate::sweep(sample_rate, from, to, 1.0, length)?.channel(0).to_vec()
            }
            3 => tones(&mut random, rate, length),
            _ => noise(&mut random, rate, length),
        };
        let peak = sound.iter().fold(1e-9f32, |p, x| p.max(x.abs()));
        let gain = crate::dsp::db_to_gain(random.within(LEVELS_DB.0, LEVELS_DB.1)) / peak;
        let fade = (FADE_SECONDS * rate) as f32;
        for (i, x) in sound.iter_mut().enumerate() {
            *x *= gain * ((i.min(length - 1 - i) as f32) / fade).min(1.0);
        }
        out.extend_from_slice(&sound);
        kind += 1;
    }
    out.truncate(frames);
    Ok((out, starts))
}

/// Strings one after another (Karplus and Strong, Computer Music Journal 7(2), 1983), E2 to three octaves above.
fn plucks(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    let count = 1 + random.below(5);
    for i in 0..count {
        let period = (rate / (65.0 * 16f64.powf(random.unit()))) as usize;
        let force = random.within(0.2, 0.6);
        let (bright, decay) = (random.within(0.5, 0.98), random.within(0.990, 0.999));
        let mut last = 0.0;
        let mut string: Vec<f32> = (0..period.max(2))
            .map(|_| {
                last += bright * (random.within(-1.0, 1.0) - last);
                last
            })
            .collect();
        let mut at = 0;
        for x in &mut out[i * length / count / 2..] {
            let next = (at + 1) % string.len();
            *x += force * string[at];
            string[at] = decay * 0.5 * (string[at] + string[next]);
            at = next;
        }
    }
    out
}

/// Drums: decaying noise and decaying tones that fall.
fn hits(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    let count = 3 + random.below(6);
    for i in 0..count {
        let decay = f64::from(random.within(0.002, 0.08));
        let hz = f64::from(random.within(45.0, 300.0));
        let (tone, bright, force) = (random.within(0.0, 1.0), random.within(0.05, 1.0), random.within(0.2, 1.0));
        let (mut low, mut phase) = (0.0, 0.0f64);
        // Until the hit is 80 dB down.
        for (n, x) in out[i * length / count..].iter_mut().take((9.2 * decay * rate) as usize).enumerate() {
            let t = n as f64 / rate;
            low += bright * (random.within(-1.0, 1.0) - low);
            phase += hz * (1.0 + 0.5 * (-t * 60.0).exp()) / rate;
            *x += force * (-t / decay).exp() as f32 * (tone * (TAU * phase).sin() as f32 + (1.0 - tone) * low);
        }
    }
    out
}

/// One to three sines from 40 Hz to 5 kHz that swell or fade.
fn tones(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    for _ in 0..1 + random.below(3) {
        let hz = 40.0 * 128f64.powf(random.unit());
        let (force, slope) = (random.within(0.2, 0.9), f64::from(random.within(-3.0, 1.0)));
        for (n, x) in out.iter_mut().enumerate() {
            let envelope = (slope * n as f64 / length as f64).exp() as f32;
            *x += force * envelope * (TAU * (hz * n as f64 / rate).fract()).sin() as f32;
        }
    }
    out
}

/// Noise, more or less dark, that trembles.
fn noise(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let bright = random.within(0.02, 1.0);
    let hz = f64::from(random.within(1.0, 8.0));
    let mut low = 0.0;
    let sample = |n: usize| {
        low += bright * (random.within(-1.0, 1.0) - low);
        low * (0.5 + 0.5 * (TAU * hz * n as f64 / rate).sin() as f32)
    };
    (0..length).map(sample).collect()
}

/// A sound through an effect while the knob of a condition goes to a place (0 to 1) at a frame, as often as is said, first at frame 0.
fn render_turning(
    effect: &Effect,
    sample_rate: u32,
    dry: &[f32],
    turns: Option<(Condition, &[(usize, f32)])>,
    wanted: Wanted<'_>,
) -> Result<Vec<f32>, MaterialError> {
    let dry = Audio::from_mono(sample_rate, dry)?;
    let point = |condition: &Condition, (frame, place): &(usize, f32)| Point {
        frame: *frame as u64,
        parameter: condition.parameter,
        value: condition.value(*place),
    };
    let points = turns.iter().flat_map(|(condition, turns)| turns.iter().map(|turn| point(condition, turn))).collect();
    let renderer = Renderer::for_sound(effect, &dry)?.with_points(points);
    Ok(renderer.render(&dry, |_| wanted())?.channel(0).to_vec())
}

/// A target, and what of it is a knob.
struct Source<'a> {
    target: &'a Target,
    condition: Option<Condition>,
    sample_rate: u32,
    wanted: Wanted<'a>,
}

impl Source<'_> {
    /// `turns` as in [`render_turning`]; only read where there is a condition.
    fn pair(&self, name: String, dry: Vec<f32>, turns: &[(usize, f32)]) -> Result<Pair, MaterialError> {
        let wet = match self.target {
            Target::Effect(effect) => {
                render_turning(effect, self.sample_rate, &dry, self.condition.map(|condition| (condition, turns)), self.wanted)?
            }
            Target::Triode(stage) => stage.render(self.sample_rate, &dry)?,
        };
        let found = wet.iter().filter(|x| !x.is_finite()).count();
        if found > 0 {
            return Err(MaterialError::Unsound { found, frames: wet.len() });
        }
        let knob = self.condition.map_or(Vec::new(), |_| condition::glided(turns, dry.len(), self.sample_rate));
        Ok(Pair { name, dry, wet, knob })
    }

    /// A sound that is held out: once, or at each of some places of the knob.
    fn held(&self, name: &str, dry: &[f32]) -> Result<Vec<Pair>, MaterialError> {
        match &self.condition {
            None => Ok(vec![self.pair(name.into(), dry.to_vec(), &[])?]),
            Some(condition) => HELD_PLACES
                .iter()
                .map(|place| self.pair(format!("{name}, {}", condition.text(*place)), dry.to_vec(), &[(0, *place)]))
                .collect(),
        }
    }
}

impl Material {
    /// [`Self::of_target`] of an effect without a condition. [control thread]
    ///
    /// # Errors
    /// If the effect cannot be prepared for the rate, or its output is no sound.
    pub fn of_effect(effect: &Effect, sample_rate: u32, seconds: f64, seed: u64) -> Result<Self, MaterialError> {
        Self::of_target(&Target::Effect(effect.clone()), None, sample_rate, (seconds, seed), &|| true)
    }

    /// Generated sound before and after an effect. Held out: other passages, and the guitar and the drums of [`generate`] at several
    /// levels. With a condition, which only an effect of an algorithm has, its knob stands somewhere else in each passage or turns through it; held
    /// out is all at several places of it, and other passages while it turns. [control thread]
    ///
    /// # Errors
    /// If the effect cannot be prepared for the rate, the output is no sound, or it is no longer `wanted`.
    pub fn of_target(
        target: &Target,
        condition: Option<Condition>,
        sample_rate: u32,
        (seconds, seed): (f64, u64),
        wanted: Wanted<'_>,
    ) -> Result<Self, MaterialError> {
        let condition = condition.filter(|_| matches!(target, Target::Effect(_)));
        let source = Source { target, condition, sample_rate, wanted };
        let turning = |name: &str, seconds: f64, seed: u64| -> Result<Pair, MaterialError> {
            let (dry, starts) = passages_from(sample_rate, seconds, seed, wanted)?;
            let turns = condition::turns(&starts, dry.len(), seed);
            source.pair(name.into(), dry, &turns)
        };
        let train = turning("passages", seconds, seed)?;
        let (mut held, apart) = (Vec::new(), seed ^ HELD_SEED);
        let (held_seconds, levels) =
            if condition.is_some() { (0.5 * HELD_SECONDS, HELD_THERE_DB.as_slice()) } else { (HELD_SECONDS, HELD_DB.as_slice()) };
        held.extend(source.held("other passages", &passages_from(sample_rate, held_seconds, apart, wanted)?.0)?);
        if condition.is_some() {
            held.push(turning("other passages, turning", HELD_SECONDS, apart)?);
        }
        let music =
            [("guitar", generate::guitar(sample_rate, 1, HELD_SEED)?), ("drums", generate::drums(sample_rate, 1, HELD_SEED)?)];
        for (name, sound) in &music {
            for level in levels {
                let gain = crate::dsp::db_to_gain(*level) / sound.peak() as f32;
                let dry: Vec<f32> = sound.channel(0).iter().map(|x| gain * x).collect();
                held.extend(source.held(&format!("{name}, peak {level} dBFS"), &dry)?);
            }
        }
        let turned = condition.map_or(String::new(), |c| format!(", {}", c.knob().name));
        let origin = format!("{seconds} s of generated passages (seed {seed}) through {}{turned}", target.name());
        Ok(Self { sample_rate, train, held, knob: condition.map(|c| c.knob()), origin })
    }

    /// Adds a sound that is held out, through the same target and condition. [control thread]
    ///
    /// # Errors
    /// As [`Self::of_target`].
    pub fn hold(&mut self, target: &Target, condition: Option<Condition>, name: &str, dry: &[f32]) -> Result<(), MaterialError> {
        self.held.extend(Source { target, condition, sample_rate: self.sample_rate, wanted: &|| true }.held(name, dry)?);
        Ok(())
    }
}
