//! Checkpoints: the state of a training as a file, to go on from later.

use std::path::Path;

use super::optimiser::OptimiserState;
use super::trainer::TrainerState;
use crate::audio::Random;

/// The first bytes of every checkpoint; the number is the version of the format.
const MAGIC: &[u8] = b"isotherm training 2\n";

/// A checkpoint that cannot be written or resumed. `path` is its file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The checkpoint's file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not a checkpoint, is cut off, or has values that are not finite.
    #[error("{path}: {found}; expected a whole checkpoint of isotherm train")]
    Invalid {
        /// The checkpoint's file.
        path: String,
        /// The file's length.
        found: String,
    },
    /// The checkpoint is of a training with other settings or other material.
    #[error("{path}: of '{found}'; expected '{expected}'")]
    OtherTraining {
        /// The checkpoint's file.
        path: String,
        /// The description of the training in the file.
        found: String,
        /// The description of the training that was to be resumed.
        expected: String,
    },
}

/// Writes a checkpoint, whole or not at all. `training` describes the training in one line: all that must be the same to resume
/// it. [control thread]
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, training: &str, state: &TrainerState) -> Result<(), CheckpointError> {
    let mut bytes = MAGIC.to_vec();
    let mut number = |n: u64| bytes.extend(n.to_le_bytes());
    number(training.len() as u64);
    let TrainerState { optimiser, random, position, offset, steps, seconds, recurrent_state } = state;
    for n in [random.state(), *position, *offset, *steps, seconds.to_bits(), optimiser.steps] {
        number(n);
    }
    number(optimiser.weights.len() as u64);
    number(optimiser.bases.len() as u64);
    number(recurrent_state.len() as u64);
    bytes.extend(training.as_bytes());
    let OptimiserState { weights, average, first, second, bases, steps: _ } = optimiser;
    for values in [weights, average, first, second, bases, recurrent_state] {
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    }
    let part = path.with_extension("part");
    let io = |source| CheckpointError::Io { path: path.display().to_string(), source };
    std::fs::write(&part, &bytes).and_then(|()| std::fs::rename(&part, path)).map_err(io)
}

/// Reads a checkpoint that [`write()`] wrote with the same `training`. [control thread]
///
/// # Errors
/// If it cannot be read, is not whole, or is of another training.
pub fn read(path: &Path, training: &str) -> Result<TrainerState, CheckpointError> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io { path: name(), source })?;
    let invalid = || CheckpointError::Invalid { path: name(), found: format!("{} bytes", bytes.len()) };
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(invalid)?;
    let mut numbers = [0u64; 10];
    for number in &mut numbers {
        let (number_bytes, after) = rest.split_first_chunk::<8>().ok_or_else(invalid)?;
        (*number, rest) = (u64::from_le_bytes(*number_bytes), after);
    }
    let [length, random, position, offset, steps, seconds, optimiser_steps, weights, bases, recurrent_state] = numbers;
    let [length, weights, bases, recurrent_state] = [length, weights, bases, recurrent_state].map(|n| n as usize);
    let found = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(invalid)?;
    if found != training {
        return Err(CheckpointError::OtherTraining { path: name(), found: found.to_owned(), expected: training.to_owned() });
    }
    let values = &rest[length..];
    let expected = weights.checked_mul(4).and_then(|n| n.checked_add(bases)?.checked_add(recurrent_state));
    let expected = expected.and_then(|n| n.checked_mul(4));
    if expected != Some(values.len()) {
        return Err(invalid());
    }
    let values: Vec<f32> = values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if values.iter().any(|x| !x.is_finite()) {
        return Err(invalid());
    }
    let part = |i: usize| values[i * weights..(i + 1) * weights].to_vec();
    let (bases, recurrent_state) = values[4 * weights..].split_at(bases);
    let optimiser = OptimiserState {
        weights: part(0),
        average: part(1),
        first: part(2),
        second: part(3),
        bases: bases.to_vec(),
        steps: optimiser_steps,
    };
    let (random, seconds) = (Random::new(random), f64::from_bits(seconds));
    Ok(TrainerState { optimiser, random, position, offset, steps, seconds, recurrent_state: recurrent_state.to_vec() })
}
