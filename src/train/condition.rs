//! Conditioning: a parameter of an algorithm as a second input of its twin, a knob from 0 to 1.

use crate::audio::Random;
use crate::dsp::{ChangeMode, Parameter, ParameterIndex, ParameterKind, Ramp, Settings, ValueError};

/// A parameter that the knob of a twin sets, and the range of the knob.
#[derive(Clone, Copy, Debug)]
pub struct Condition {
    /// Index of the parameter in its algorithm.
    pub parameter: ParameterIndex,
    /// The parameter's plain value where the knob is at 0.
    pub from: f32,
    /// The parameter's plain value where the knob is at 1; greater than `from`.
    pub to: f32,
    descriptor: &'static Parameter,
}

/// Text that is no [`Condition`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConditionError {
    /// The text is not a parameter, `=` and a range.
    #[error("'{found}' is no condition; expected a parameter and its range, as drive=0..36")]
    Form {
        /// The text.
        found: String,
    },
    /// The algorithm has no ramped number of this id.
    #[error("'{found}' is no number of {algorithm} that can turn; expected {expected}")]
    Parameter {
        /// The id in the text.
        found: String,
        /// The algorithm's id.
        algorithm: &'static str,
        /// The ids of the algorithm's ramped numbers.
        expected: String,
    },
    /// An end of the range is not a value of the parameter.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The range does not rise.
    #[error("{parameter} from {from} to {to}; expected a range that rises")]
    Range {
        /// The parameter's id.
        parameter: &'static str,
        /// Plain value of the range's beginning.
        from: f32,
        /// Plain value of the range's end.
        to: f32,
    },
}

/// The description of a knob in a model file and on a card.
#[derive(Clone, Debug, PartialEq)]
pub struct KnobDescription {
    /// Name and range: `Drive 0.00 to 36.00 dB`.
    pub name: String,
    /// Id of the parameter.
    pub parameter: &'static str,
    /// The parameter's plain value where the knob is at 0.
    pub from: f32,
    /// The parameter's plain value where the knob is at 1.
    pub to: f32,
}

/// One in this many passages moves the knob; in the others it does not move.
const MOVING_EVERY: usize = 4;
/// One in this many positions, on average, is an end of the knob's range: evenly drawn positions would never be exactly there.
const END_EVERY: usize = 8;
/// Frames from one position of a moving knob to the next.
const STEP_FRAMES: usize = 64;

impl Condition {
    /// Parses `drive=0..36`, a parameter and its range, for the algorithm of `settings`. [any thread]
    ///
    /// # Errors
    /// If the text has another form, the algorithm has no such ramped number, or the range is out of the parameter's or does not
    /// rise.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, ConditionError> {
        let algorithm = settings.algorithm();
        let form = || ConditionError::Form { found: text.to_owned() };
        let (id, range) = text.split_once('=').ok_or_else(form)?;
        let (from, to) = range.split_once("..").ok_or_else(form)?;
        let can_move = |p: &&Parameter| p.change == ChangeMode::Ramped && matches!(p.kind, ParameterKind::Float { .. });
        let id = id.trim().replace('-', "_");
        let index = settings.index(&id).filter(|i| can_move(&&algorithm.parameters[*i])).ok_or_else(|| {
            let known: Vec<&str> = algorithm.parameters.iter().filter(can_move).map(|p| p.id).collect();
            ConditionError::Parameter { found: id.clone(), algorithm: algorithm.id, expected: known.join(", ") }
        })?;
        let parameter = &algorithm.parameters[index];
        let (from, to) = (parameter.parse(from)?, parameter.parse(to)?);
        if from >= to {
            return Err(ConditionError::Range { parameter: parameter.id, from, to });
        }
        Ok(Self { parameter: index, from, to, descriptor: parameter })
    }

    /// The parameter's plain value at a position of the knob, 0 to 1. [any thread]
    #[must_use]
    pub fn value(&self, position: f32) -> f32 {
        self.from + position * (self.to - self.from)
    }

    /// The parameter's id and its value at a position of the knob: `drive 9.00 dB`. [any thread: allocates]
    #[must_use]
    pub fn text(&self, position: f32) -> String {
        format!("{} {}", self.descriptor.id, self.descriptor.text_with_unit(self.value(position)))
    }

    /// The knob's description for model files and cards. [any thread: allocates]
    #[must_use]
    pub fn knob(&self) -> KnobDescription {
        let Parameter { name, id, .. } = self.descriptor;
        let to = self.descriptor.text_with_unit(self.to);
        let name = format!("{name} {} to {to}", self.descriptor.text(self.from));
        KnobDescription { name, parameter: id, from: self.from, to: self.to }
    }
}

/// The positions of a knob during some passages, each with the frame at which it begins to hold: one position for most passages,
/// many for those through which the knob moves. `starts` are the passages' first frames, beginning with 0.
pub(super) fn knob_path(starts: &[usize], frames: usize, seed: u64) -> Vec<(usize, f32)> {
    // The seed differs from that of the passages.
    let mut random = Random::new(!seed);
    let mut position = || match random.below(END_EVERY) {
        0 => random.below(2) as f32,
        _ => random.within(0.0, 1.0),
    };
    let mut path = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).map_or(frames, |next| *next);
        let from = position();
        if i % MOVING_EVERY == MOVING_EVERY - 1 {
            let to = position();
            let length = end - start;
            let step = |at: usize| (start + at, from + (to - from) * at as f32 / length as f32);
            path.extend((0..length).step_by(STEP_FRAMES).map(step));
        } else {
            path.push((start, from));
        }
    }
    path
}

/// The knob's position at each frame: it begins at the path's first position, and glides to the others as algorithms' parameters
/// and a model's knobs do.
pub(super) fn smoothed(path: &[(usize, f32)], frames: usize, sample_rate: u32) -> Vec<f32> {
    let mut positions = vec![0.0; frames];
    let mut ramp = Ramp::new(path.first().map_or(0.0, |t| t.1), sample_rate as f32);
    for (i, (frame, position)) in path.iter().enumerate() {
        let end = path.get(i + 1).map_or(frames, |(next, _)| (*next).min(frames));
        ramp.set(*position, false);
        ramp.fill(&mut positions[*frame.min(&end)..end]);
    }
    positions
}
