//! The list of weights of a `.nam` file, and the convolutions that are read from it.

use crate::neural::ModelError;
use crate::neural::budget::{self, MAX_LAYER_CHANNELS};
use crate::neural::description::Conv1d;
use crate::neural::json::Field;

/// The list of weights, taken from the front. It goes on counting beyond its end, so that the error can say how many weights
/// the network needs.
pub struct WeightList<'a> {
    /// The list's field, for errors.
    pub at: Field<'a>,
    pub numbers: Vec<f32>,
    /// Numbers taken so far; more than there are if the list is too short.
    pub used: u64,
}

impl WeightList<'_> {
    /// Takes the next `count` numbers. Returns an empty list if fewer are left.
    pub fn take(&mut self, count: usize) -> Vec<f32> {
        let from = self.used;
        self.used = self.used.saturating_add(count as u64);
        let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(self.used)) else { return Vec::new() };
        self.numbers.get(from..to).map(<[f32]>::to_vec).unwrap_or_default()
    }

    /// Takes the next number. Returns 0 if there is none left.
    pub fn one(&mut self) -> f32 {
        self.take(1).first().copied().unwrap_or(0.0)
    }

    /// True if more numbers were taken than there are.
    pub fn short(&self) -> bool {
        self.used > self.numbers.len() as u64
    }

    /// Checks that all numbers were taken, and no more.
    pub fn finish(&self) -> Result<(), ModelError> {
        if self.used == self.numbers.len() as u64 {
            return Ok(());
        }
        Err(self.at.error(format!("{} numbers", self.numbers.len()), self.used))
    }

    /// Takes the weights of a convolution, and its bias if it has one. `shape` is the convolution without weights; errors are
    /// about the field `at` and the part of the network called `name`.
    pub fn conv(&mut self, at: &Field<'_>, name: &str, shape: Conv1d, bias: bool) -> Result<Conv1d, ModelError> {
        let Conv1d { inputs, outputs, taps, dilation, groups, .. } = shape;
        if inputs % groups != 0 || outputs % groups != 0 {
            let expected = format!("a divisor of its {inputs} inputs and {outputs} outputs");
            return Err(at.error(format!("{name} in {groups} groups"), expected));
        }
        budget::check_reach(at, taps, dilation)?;
        // Each factor is limited, so this cannot overflow 64 bits.
        let weights = self.take((outputs * (inputs / groups)).saturating_mul(taps));
        let bias = bias.then(|| self.take(outputs));
        Ok(Conv1d { weights, bias, ..shape })
    }
}

/// A convolution without weights.
pub fn shape(inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize) -> Conv1d {
    Conv1d { inputs, outputs, taps, dilation, groups, weights: Vec::new(), bias: None }
}

/// A convolution with one tap, without weights.
pub fn dense(inputs: usize, outputs: usize, groups: usize) -> Conv1d {
    shape(inputs, outputs, 1, 1, groups)
}

/// Checks that a count of channels, if the file has it, is 1.
pub fn check_mono(config: &Field<'_>, key: &str) -> Result<(), ModelError> {
    match config.find(key)? {
        Some(field) if field.whole(0, usize::MAX >> 12)? != 1 => Err(field.unexpected("1: a mono model")),
        _ => Ok(()),
    }
}

/// A count of channels.
pub fn channels(at: &Field<'_>) -> Result<usize, ModelError> {
    at.whole(1, MAX_LAYER_CHANNELS)
}

/// A count of channels; 1 if the file does not have it.
pub fn channels_or_one(at: &Field<'_>, key: &str) -> Result<usize, ModelError> {
    at.find(key)?.map_or(Ok(1), |f| channels(&f))
}
