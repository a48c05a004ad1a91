//! Training material: sounds before and after an effect. They are generated in any requested amount, at every level that
//! music has; `recorded_pair.rs` makes material of recordings.

use std::f64::consts::TAU;

use super::condition::{self, Condition, KnobDescription};
use super::triode::{SolveError, TriodeStage};
use crate::audio::{Audio, AudioError, Random, generate};
use crate::effect::Effect;
use crate::render::{AutomationPoint, RenderError, Renderer};

/// A mono sound before and after an effect, aligned and of the same length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoundPair {
    /// Name for cards.
    pub name: String,
    /// The sound before the effect.
    pub dry: Vec<f32>,
    /// The sound after the effect.
    pub wet: Vec<f32>,
    /// The knob's position at each frame, 0 to 1. Empty without a knob.
    pub knob: Vec<f32>,
}

/// The sounds of a training: one to train on, and others to evaluate with.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// The sound to train on.
    pub train: SoundPair,
    /// The sounds to evaluate with, which are never trained on.
    pub held_out: Vec<SoundPair>,
    /// The knob whose positions all pairs have; `None` without a knob.
    pub knob: Option<KnobDescription>,
    /// The material's origin in one line, for the card.
    pub origin: String,
}

/// A failure to make material.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// No sound can be generated, as at a sample rate that the generators do not take.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The effect cannot be prepared or rendered.
    #[error(transparent)]
    Render(RenderError),
    /// The circuit has no solution for a sample.
    #[error(transparent)]
    Circuit(#[from] SolveError),
    /// The wet sound has NaN or infinity.
    #[error("{found} of {frames} rendered samples are not finite; expected an effect without NaN and infinity")]
    NotFinite {
        /// Samples that are not finite.
        found: usize,
        /// All samples.
        frames: usize,
    },
    /// The caller's [`KeepGoing`] returned false.
    #[error("called off")]
    Cancelled,
}

impl From<RenderError> for MaterialError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Cancelled => Self::Cancelled,
            other => Self::Render(other),
        }
    }
}

/// Range of the passages' peak levels in dBFS, evenly drawn.
const PASSAGE_LEVELS_DB: (f32, f32) = (-70.0, 0.0);
/// Range of the passages' lengths in seconds, evenly drawn.
const PASSAGE_SECONDS: (f32, f32) = (0.7, 2.0);
/// Fades at both ends of a passage, in seconds.
const FADE_SECONDS: f64 = 0.005;
/// Peak levels in dBFS of the held-out guitar and drums.
const HELD_PEAKS_DB: [f32; 5] = [-1.0, -12.0, -24.0, -40.0, -60.0];
/// Seconds of the held-out passages. With a knob: half as long at each of [`HELD_POSITIONS`], and as long while the knob moves.
const HELD_SECONDS: f64 = 24.0;
/// Positions of the knob for the held-out sounds.
const HELD_POSITIONS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Peak levels in dBFS of the held-out guitar and drums at each of [`HELD_POSITIONS`].
const HELD_POSITION_PEAKS_DB: [f32; 2] = [-6.0, -24.0];
/// Seed of the held-out sounds; passages use it together with the training's seed.
const HELD_SEED: u64 = 0x6865_6c64;

/// Function of a caller that returns false to call long work off. The work asks it about once a millisecond.
pub type KeepGoing<'a> = &'a dyn Fn() -> bool;

/// The thing that a network learns to imitate.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An effect of this program.
    Effect(Effect),
    /// A 12AX7 stage, solved as a circuit.
    Triode(TriodeStage),
}

impl Target {
    /// Name for a card.
    fn name(&self) -> String {
        match self {
            Self::Effect(effect) => format!("'{}'", effect.algorithm().id),
            Self::Triode(stage) => {
                format!("the circuit of a 12AX7 stage, {} V for full scale, {} steps a frame", stage.volts, stage.oversampling)
            }
        }
    }
}

/// Generates passages of plucked strings, drum hits, sweeps, tones and noise in turn, each with a random level. The same seed
/// gives the same sound. [control thread: takes its time]
///
/// # Errors
/// If the rate is out of the generators' range.
pub fn passages(sample_rate: u32, seconds: f64, seed: u64) -> Result<Vec<f32>, MaterialError> {
    Ok(passages_with_starts(sample_rate, seconds, seed, &|| true)?.0)
}

/// [`passages`], with the first frame of each passage.
fn passages_with_starts(
    sample_rate: u32,
    seconds: f64,
    seed: u64,
    keep_going: KeepGoing<'_>,
) -> Result<(Vec<f32>, Vec<usize>), MaterialError> {
    let mut random = Random::new(seed);
    let rate = f64::from(sample_rate);
    let frames = (seconds * rate) as usize;
    let (mut out, mut starts) = (Vec::with_capacity(frames), Vec::new());
    let mut kind = 0;
    while out.len() < frames {
        if !keep_going() {
            return Err(MaterialError::Cancelled);
        }
        starts.push(out.len());
        let length = (f64::from(random.within(PASSAGE_SECONDS.0, PASSAGE_SECONDS.1)) * rate) as usize;
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
        let gain = crate::dsp::db_to_gain(random.within(PASSAGE_LEVELS_DB.0, PASSAGE_LEVELS_DB.1)) / peak;
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

/// One to five plucked strings, one after another, from 65 Hz to four octaves above (Karplus and Strong, Computer Music Journal
/// 7(2), 1983).
fn plucks(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    let count = 1 + random.below(5);
    for i in 0..count {
        let period = (rate / (65.0 * 16f64.powf(random.unit()))) as usize;
        let gain = random.within(0.2, 0.6);
        let (brightness, decay) = (random.within(0.5, 0.98), random.within(0.990, 0.999));
        let mut last = 0.0;
        let mut string: Vec<f32> = (0..period.max(2))
            .map(|_| {
                last += brightness * (random.within(-1.0, 1.0) - last);
                last
            })
            .collect();
        let mut at = 0;
        for x in &mut out[i * length / count / 2..] {
            let next = (at + 1) % string.len();
            *x += gain * string[at];
            string[at] = decay * 0.5 * (string[at] + string[next]);
            at = next;
        }
    }
    out
}

/// Three to eight drum hits: decaying noise and decaying tones of falling pitch.
fn hits(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    let count = 3 + random.below(6);
    for i in 0..count {
        let decay = f64::from(random.within(0.002, 0.08));
        let hz = f64::from(random.within(45.0, 300.0));
        let (tone, brightness, gain) = (random.within(0.0, 1.0), random.within(0.05, 1.0), random.within(0.2, 1.0));
        let (mut low_passed, mut phase) = (0.0, 0.0f64);
        // Until the hit is 80 dB down.
        for (n, x) in out[i * length / count..].iter_mut().take((9.2 * decay * rate) as usize).enumerate() {
            let t = n as f64 / rate;
            low_passed += brightness * (random.within(-1.0, 1.0) - low_passed);
            phase += hz * (1.0 + 0.5 * (-t * 60.0).exp()) / rate;
            *x += gain * (-t / decay).exp() as f32 * (tone * (TAU * phase).sin() as f32 + (1.0 - tone) * low_passed);
        }
    }
    out
}

/// One to three sines from 40 Hz to 5 kHz that swell or fade.
fn tones(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let mut out = vec![0.0; length];
    for _ in 0..1 + random.below(3) {
        let hz = 40.0 * 128f64.powf(random.unit());
        let (gain, slope) = (random.within(0.2, 0.9), f64::from(random.within(-3.0, 1.0)));
        for (n, x) in out.iter_mut().enumerate() {
            let envelope = (slope * n as f64 / length as f64).exp() as f32;
            *x += gain * envelope * (TAU * (hz * n as f64 / rate).fract()).sin() as f32;
        }
    }
    out
}

/// Low-passed noise with tremolo.
fn noise(random: &mut Random, rate: f64, length: usize) -> Vec<f32> {
    let brightness = random.within(0.02, 1.0);
    let hz = f64::from(random.within(1.0, 8.0));
    let mut low_passed = 0.0;
    let sample = |n: usize| {
        low_passed += brightness * (random.within(-1.0, 1.0) - low_passed);
        low_passed * (0.5 + 0.5 * (TAU * hz * n as f64 / rate).sin() as f32)
    };
    (0..length).map(sample).collect()
}

/// Renders a sound through an effect. With a condition its knob goes to each position of the path (0 to 1) at its frame; the
/// first is frame 0.
fn render_moving(
    effect: &Effect,
    sample_rate: u32,
    dry: &[f32],
    path: Option<(Condition, &[(usize, f32)])>,
    keep_going: KeepGoing<'_>,
) -> Result<Vec<f32>, MaterialError> {
    let dry = Audio::from_mono(sample_rate, dry)?;
    let point = |condition: &Condition, (frame, position): &(usize, f32)| AutomationPoint {
        frame: *frame as u64,
        parameter: condition.parameter,
        value: condition.value(*position),
    };
    let points = path.iter().flat_map(|(condition, path)| path.iter().map(|entry| point(condition, entry))).collect();
    let renderer = Renderer::for_sound(effect, &dry)?.with_automation(points);
    Ok(renderer.render(&dry, |_| keep_going())?.channel(0).to_vec())
}

/// Renders dry sounds through a target, which perhaps has a knob.
struct TargetRenderer<'a> {
    target: &'a Target,
    condition: Option<Condition>,
    sample_rate: u32,
    keep_going: KeepGoing<'a>,
}

impl TargetRenderer<'_> {
    /// Renders `dry`. `path` as in [`render_moving`]; it is only read if there is a condition.
    fn pair(&self, name: String, dry: Vec<f32>, path: &[(usize, f32)]) -> Result<SoundPair, MaterialError> {
        let wet = match self.target {
            Target::Effect(effect) => {
                render_moving(effect, self.sample_rate, &dry, self.condition.map(|condition| (condition, path)), self.keep_going)?
            }
            Target::Triode(stage) => stage.render(self.sample_rate, &dry)?,
        };
        let found = wet.iter().filter(|x| !x.is_finite()).count();
        if found > 0 {
            return Err(MaterialError::NotFinite { found, frames: wet.len() });
        }
        let knob = self.condition.map_or(Vec::new(), |_| condition::smoothed(path, dry.len(), self.sample_rate));
        Ok(SoundPair { name, dry, wet, knob })
    }

    /// Renders a held-out sound: once, or with a knob at each of [`HELD_POSITIONS`].
    fn render_held_out(&self, name: &str, dry: &[f32]) -> Result<Vec<SoundPair>, MaterialError> {
        match &self.condition {
            None => Ok(vec![self.pair(name.into(), dry.to_vec(), &[])?]),
            Some(condition) => HELD_POSITIONS
                .iter()
                .map(|position| self.pair(format!("{name}, {}", condition.text(*position)), dry.to_vec(), &[(0, *position)]))
                .collect(),
        }
    }
}

impl Material {
    /// [`Self::of_target`] for an effect without a knob. [control thread: takes its time]
    ///
    /// # Errors
    /// If the effect cannot be prepared for the rate, or its output is not finite.
    pub fn of_effect(effect: &Effect, sample_rate: u32, seconds: f64, seed: u64) -> Result<Self, MaterialError> {
        Self::of_target(&Target::Effect(effect.clone()), None, sample_rate, (seconds, seed), &|| true)
    }

    /// Material of `seconds` of generated passages through a target. Other passages are held out, and the guitar and the drums of
    /// [`generate`] at several levels. With a condition, which only an effect can have, the knob is at another position in each
    /// passage or moves during it; each held-out sound is rendered at several positions, and other passages while the knob moves.
    /// [control thread: takes its time]
    ///
    /// # Errors
    /// If the effect cannot be prepared for the rate, the output is not finite, or `keep_going` returned false.
    pub fn of_target(
        target: &Target,
        condition: Option<Condition>,
        sample_rate: u32,
        (seconds, seed): (f64, u64),
        keep_going: KeepGoing<'_>,
    ) -> Result<Self, MaterialError> {
        let condition = condition.filter(|_| matches!(target, Target::Effect(_)));
        let renderer = TargetRenderer { target, condition, sample_rate, keep_going };
        let moving = |name: &str, seconds: f64, seed: u64| -> Result<SoundPair, MaterialError> {
            let (dry, starts) = passages_with_starts(sample_rate, seconds, seed, keep_going)?;
            let path = condition::knob_path(&starts, dry.len(), seed);
            renderer.pair(name.into(), dry, &path)
        };
        let train = moving("passages", seconds, seed)?;
        let (mut held_out, held_seed) = (Vec::new(), seed ^ HELD_SEED);
        let (held_seconds, levels) = match condition {
            Some(_) => (0.5 * HELD_SECONDS, HELD_POSITION_PEAKS_DB.as_slice()),
            None => (HELD_SECONDS, HELD_PEAKS_DB.as_slice()),
        };
        let (others, _) = passages_with_starts(sample_rate, held_seconds, held_seed, keep_going)?;
        held_out.extend(renderer.render_held_out("other passages", &others)?);
        if condition.is_some() {
            held_out.push(moving("other passages, turning", HELD_SECONDS, held_seed)?);
        }
        let music =
            [("guitar", generate::guitar(sample_rate, 1, HELD_SEED)?), ("drums", generate::drums(sample_rate, 1, HELD_SEED)?)];
        for (name, sound) in &music {
            for level in levels {
                let gain = crate::dsp::db_to_gain(*level) / sound.peak() as f32;
                let dry: Vec<f32> = sound.channel(0).iter().map(|x| gain * x).collect();
                held_out.extend(renderer.render_held_out(&format!("{name}, peak {level} dBFS"), &dry)?);
            }
        }
        let condition_text = condition.map_or(String::new(), |c| format!(", {}", c.knob().name));
        let origin = format!("{seconds} s of generated passages (seed {seed}) through {}{condition_text}", target.name());
        Ok(Self { sample_rate, train, held_out, knob: condition.map(|c| c.knob()), origin })
    }

    /// Adds a held-out sound, rendered through the target and the condition with which the material was made.
    /// [control thread: takes its time]
    ///
    /// # Errors
    /// The errors of [`Self::of_target`].
    pub fn hold_out(
        &mut self,
        target: &Target,
        condition: Option<Condition>,
        name: &str,
        dry: &[f32],
    ) -> Result<(), MaterialError> {
        let renderer = TargetRenderer { target, condition, sample_rate: self.sample_rate, keep_going: &|| true };
        self.held_out.extend(renderer.render_held_out(name, dry)?);
        Ok(())
    }
}
