//! The list of weights of a `.nam` file, and the shapes that take from it.

use crate::neural::ModelError;
use crate::neural::budget::{self, MOST_CHANNELS};
use crate::neural::description::Conv1d;
use crate::neural::json::Field;

/// The list of weights, taken from the front. Goes on counting behind the end, so that an error can say how many there should be.
pub struct Weights<'a> {
    pub at: Field<'a>,
    pub numbers: Vec<f32>,
    pub used: u64,
}

impl Weights<'_> {
    /// The next `count`, or none if there are not as many.
    pub fn take(&mut self, count: usize) -> Vec<f32> {
        let from = self.used;
        self.used = self.used.saturating_add(count as u64);
        if self.short() { Vec::new() } else { self.numbers[from as usize..self.used as usize].to_vec() }
    }

    pub fn one(&mut self) -> f32 {
        self.take(1).first().copied().unwrap_or(0.0)
    }

    /// Whether there were not enough.
    pub fn short(&self) -> bool {
        self.used > self.numbers.len() as u64
    }

    pub fn finish(&self) -> Result<(), ModelError> {
        if self.used == self.numbers.len() as u64 {
            return Ok(());
        }
        Err(self.at.error(format!("{} numbers", self.numbers.len()), self.used))
    }

    /// The next convolution of a shape without weights. `at` and `name` are for errors.
    pub fn conv(&mut self, at: &Field<'_>, name: &str, shape: Conv1d, bias: bool) -> Result<Conv1d, ModelError> {
        let Conv1d { inputs, outputs, taps, dilation, groups, .. } = shape;
        if inputs % groups != 0 || outputs % groups != 0 {
            let expected = format!("a divisor of its {inputs} inputs and {outputs} outputs");
            return Err(at.error(format!("{name} in {groups} groups"), expected));
        }
        budget::check_reach(at, taps, dilation)?;
        // Within limits that each of the factors has, this cannot overflow 64 bits.
        let weights = self.take((outputs * (inputs / groups)).saturating_mul(taps));
        let bias = bias.then(|| self.take(outputs));
        Ok(Conv1d { weights, bias, ..shape })
    }
}

/// Without weights.
pub fn shape(inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize) -> Conv1d {
    Conv1d { inputs, outputs, taps, dilation, groups, weights: Vec::new(), bias: None }
}

pub fn dense(inputs: usize, outputs: usize, groups: usize) -> Conv1d {
    shape(inputs, outputs, 1, 1, groups)
}

/// A number of channels that must be one here.
pub fn mono(config: &Field<'_>, key: &str) -> Result<(), ModelError> {
    match config.find(key)? {
        Some(field) if field.whole(0, usize::MAX >> 12)? != 1 => Err(field.unexpected("1: a mono model")),
        _ => Ok(()),
    }
}

pub fn channels(at: &Field<'_>) -> Result<usize, ModelError> {
    at.whole(1, MOST_CHANNELS)
}

/// A number of channels, 1 if it is not there.
pub fn channels_or_one(at: &Field<'_>, key: &str) -> Result<usize, ModelError> {
    at.find(key)?.map_or(Ok(1), |f| channels(&f))
}
