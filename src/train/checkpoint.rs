//! Checkpoints: the state of a training as a file, to go on from later.

use std::path::Path;

use super::clock::WorkTime;
use super::optimiser::OptimiserState;
use super::trainer::TrainerState;
use super::training_loop::{CurvePoint, LoopState};
use crate::audio::Random;

/// The first bytes of every checkpoint; the number is the version of the format.
const MAGIC: &[u8] = b"isotherm training 4\n";
/// The first bytes of a checkpoint of any version.
const ANY_VERSION: &[u8] = b"isotherm training ";

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
    /// The checkpoint has the format of another version of Isotherm.
    #[error("{path}: a checkpoint of another version of Isotherm; expected one of this version, so this training begins anew")]
    OtherVersion {
        /// The checkpoint's file.
        path: String,
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
pub fn write(path: &Path, training: &str, state: &LoopState) -> Result<(), CheckpointError> {
    let mut bytes = MAGIC.to_vec();
    let mut number = |n: u64| bytes.extend(n.to_le_bytes());
    number(training.len() as u64);
    let LoopState { trainer, curve, best_weights } = state;
    let TrainerState { optimiser, random, position, offset, steps, seconds, work_time, recurrent_state } = trainer;
    let times = [*seconds, work_time.wall, work_time.cpu].map(f64::to_bits);
    for n in [random.state(), *position, *offset, *steps, optimiser.steps].into_iter().chain(times) {
        number(n);
    }
    for length in [optimiser.weights.len(), optimiser.bases.len(), recurrent_state.len(), best_weights.len(), curve.len()] {
        number(length as u64);
    }
    for CurvePoint { seconds, steps, esr } in curve {
        [seconds.to_bits(), *steps, esr.to_bits()].into_iter().for_each(&mut number);
    }
    bytes.extend(training.as_bytes());
    let OptimiserState { weights, average, first, second, bases, steps: _ } = optimiser;
    for values in [weights, average, first, second, bases, recurrent_state, best_weights] {
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
pub fn read(path: &Path, training: &str) -> Result<LoopState, CheckpointError> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io { path: name(), source })?;
    let invalid = || CheckpointError::Invalid { path: name(), found: format!("{} bytes", bytes.len()) };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // The line with the version, whole.
        let is_other = bytes.starts_with(ANY_VERSION) && bytes.iter().take(2 * MAGIC.len()).any(|byte| *byte == b'\n');
        return Err(if is_other { CheckpointError::OtherVersion { path: name() } } else { invalid() });
    };
    let mut number = || {
        let (bytes, after) = rest.split_first_chunk::<8>().ok_or_else(invalid)?;
        rest = after;
        Ok(u64::from_le_bytes(*bytes))
    };
    let mut numbers = [0u64; 14];
    for n in &mut numbers {
        *n = number()?;
    }
    let [length, random, position, offset, steps, optimiser_steps, seconds, wall, cpu, lengths @ ..] = numbers;
    let [length, weights, bases, recurrent_state, best_weights, points] =
        [length, lengths[0], lengths[1], lengths[2], lengths[3], lengths[4]].map(|n| n as usize);
    let mut curve = Vec::new();
    for _ in 0..points {
        curve.push(CurvePoint { seconds: f64::from_bits(number()?), steps: number()?, esr: f64::from_bits(number()?) });
    }
    let found = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(invalid)?;
    if found != training {
        return Err(CheckpointError::OtherTraining { path: name(), found: found.to_owned(), expected: training.to_owned() });
    }
    let values = &rest[length..];
    let lengths = [bases, recurrent_state, best_weights];
    let expected = lengths.iter().try_fold(weights.checked_mul(4).ok_or_else(invalid)?, |sum, n| sum.checked_add(*n));
    let expected = expected.and_then(|n| n.checked_mul(4));
    if expected != Some(values.len()) {
        return Err(invalid());
    }
    let values: Vec<f32> = values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if values.iter().any(|x| !x.is_finite()) {
        return Err(invalid());
    }
    let part = |i: usize| values[i * weights..(i + 1) * weights].to_vec();
    let (bases, values_left) = values[4 * weights..].split_at(bases);
    let (recurrent_state, best_weights) = values_left.split_at(recurrent_state);
    let optimiser = OptimiserState {
        weights: part(0),
        average: part(1),
        first: part(2),
        second: part(3),
        bases: bases.to_vec(),
        steps: optimiser_steps,
    };
    let [seconds, wall, cpu] = [seconds, wall, cpu].map(f64::from_bits);
    let (random, work_time, recurrent_state) = (Random::new(random), WorkTime { wall, cpu }, recurrent_state.to_vec());
    let trainer = TrainerState { optimiser, random, position, offset, steps, seconds, work_time, recurrent_state };
    Ok(LoopState { trainer, curve, best_weights: best_weights.to_vec() })
}
