//! A parameter of an algorithm as a second input of its twin: a knob from 0 to 1.

use crate::audio::Random;
use crate::dsp::{Change, Index, Kind, Parameter, Ramp, Settings};

/// Which parameter, and its plain values at the knob's ends.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    pub parameter: Index,
    pub from: f32,
    pub to: f32,
    descriptor: &'static Parameter,
}

/// What a model file and a card say of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Knob {
    /// `Drive 0 to 36 dB`
    pub name: String,
    pub parameter: &'static str,
    pub from: f32,
    pub to: f32,
}

/// Of this many passages in a row the last is one through which the knob turns.
const TURNING: usize = 4;
/// Of this many places one is an end of the knob's way, where else none would be.
const ENDS: usize = 8;
/// Frames from one place of a turning knob to the next.
const TURN_FRAMES: usize = 64;

impl Condition {
    /// From `drive=0..36`, for these settings. [any thread]
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, String> {
        let algorithm = settings.algorithm();
        let form = || format!("'{text}' is no condition; expected a parameter and its range, as drive=0..36");
        let (id, range) = text.split_once('=').ok_or_else(form)?;
        let (from, to) = range.split_once("..").ok_or_else(form)?;
        let can = |p: &&Parameter| p.change == Change::Ramped && matches!(p.kind, Kind::Float { .. });
        let id = id.trim().replace('-', "_");
        let index = settings.index(&id).filter(|i| can(&&algorithm.parameters[*i])).ok_or_else(|| {
            let known: Vec<&str> = algorithm.parameters.iter().filter(can).map(|p| p.id).collect();
            format!("'{id}' is no number of {} that can turn; expected {}", algorithm.id, known.join(", "))
        })?;
        let parameter = &algorithm.parameters[index];
        let value = |text: &str| parameter.parse(text).map_err(|error| error.to_string());
        let (from, to) = (value(from)?, value(to)?);
        if from >= to {
            return Err(format!("{} from {from} to {to}; expected a range that rises", parameter.id));
        }
        Ok(Self { parameter: index, from, to, descriptor: parameter })
    }

    /// The plain value of a place of the knob. [any thread]
    #[must_use]
    pub fn value(&self, place: f32) -> f32 {
        self.from + place * (self.to - self.from)
    }

    /// `drive 9.00 dB` [any thread]
    #[must_use]
    pub fn text(&self, place: f32) -> String {
        format!("{} {}", self.descriptor.id, self.descriptor.text_with_unit(self.value(place)))
    }

    /// [any thread]
    #[must_use]
    pub fn knob(&self) -> Knob {
        let Parameter { name, id, .. } = self.descriptor;
        let to = self.descriptor.text_with_unit(self.to);
        Knob { name: format!("{name} {} to {to}", self.descriptor.text(self.from)), parameter: id, from: self.from, to: self.to }
    }
}

/// Where a knob goes and when: to one place for most passages, through others it turns. `starts` of the passages, the first 0.
pub(super) fn turns(starts: &[usize], frames: usize, seed: u64) -> Vec<(usize, f32)> {
    // Apart from what the passages are made of.
    let mut random = Random::new(!seed);
    let mut place = || match random.below(ENDS) {
        0 => random.below(2) as f32,
        _ => random.within(0.0, 1.0),
    };
    let mut turns = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(frames, |next| *next);
        let from = place();
        if i % TURNING == TURNING - 1 {
            let to = place();
            let length = end - start;
            let step = |at: usize| (start + at, from + (to - from) * at as f32 / length as f32);
            turns.extend((0..length).step_by(TURN_FRAMES).map(step));
        } else {
            turns.push((start, from));
        }
    }
    turns
}

/// The knob at each frame: there at once at first, then gliding as the algorithms' own parameters and the knobs of a model do.
pub(super) fn glided(turns: &[(usize, f32)], frames: usize, sample_rate: u32) -> Vec<f32> {
    let mut out = vec![0.0; frames];
    let mut ramp = Ramp::new(turns.first().map_or(0.0, |t| t.1), sample_rate as f32);
    for (i, (at, place)) in turns.iter().enumerate() {
        let end = turns.get(i + 1).map_or(frames, |(next, _)| (*next).min(frames));
        ramp.set(*place, false);
        ramp.fill(&mut out[*at.min(&end)..end]);
    }
    out
}
