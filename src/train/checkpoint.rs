//! Where training stands, as a file.

use std::path::Path;

use super::optimise::Progress;
use super::trainer::State;
use crate::audio::Random;

/// Begins every checkpoint; the number is the format's.
const MAGIC: &[u8] = b"isotherm training 2\n";

/// Why a checkpoint is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{path}: {found}; expected a whole checkpoint of isotherm train")]
    Unsound { path: String, found: String },
    #[error("{path}: of '{found}'; expected '{expected}'")]
    Other { path: String, found: String, expected: String },
}

/// Writes a checkpoint, whole or not at all. `of`: in one line, all that must be the same to go on. [control thread]
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, of: &str, state: &State) -> Result<(), CheckpointError> {
    let mut bytes = MAGIC.to_vec();
    let mut number = |n: u64| bytes.extend(n.to_le_bytes());
    number(of.len() as u64);
    let State { optimiser, random, position, roll, steps, seconds, memory } = state;
    for n in [random.state(), *position, *roll, *steps, seconds.to_bits(), optimiser.steps] {
        number(n);
    }
    number(optimiser.weights.len() as u64);
    number(optimiser.bases.len() as u64);
    number(memory.len() as u64);
    bytes.extend(of.as_bytes());
    for values in [&optimiser.weights, &optimiser.average, &optimiser.first, &optimiser.second, &optimiser.bases, memory] {
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    }
    let part = path.with_extension("part");
    let io = |source| CheckpointError::Io { path: path.display().to_string(), source };
    std::fs::write(&part, &bytes).and_then(|()| std::fs::rename(&part, path)).map_err(io)
}

/// Reads a checkpoint of [`write()`]. [control thread]
///
/// # Errors
/// If it cannot be read, is not whole, or is of something else.
pub fn read(path: &Path, of: &str) -> Result<State, CheckpointError> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io { path: name(), source })?;
    let unsound = || CheckpointError::Unsound { path: name(), found: format!("{} bytes", bytes.len()) };
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(unsound)?;
    let mut numbers = [0u64; 10];
    for number in &mut numbers {
        let (own, others) = rest.split_first_chunk::<8>().ok_or_else(unsound)?;
        (*number, rest) = (u64::from_le_bytes(*own), others);
    }
    let [length, random, position, roll, steps, seconds, optimised, weights, bases, memory] = numbers;
    let [length, weights, bases, memory] = [length, weights, bases, memory].map(|n| n as usize);
    let found = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or_else(unsound)?;
    if found != of {
        return Err(CheckpointError::Other { path: name(), found: found.to_owned(), expected: of.to_owned() });
    }
    let values = &rest[length..];
    let expected = weights.checked_mul(4).and_then(|n| n.checked_add(bases)?.checked_add(memory)).and_then(|n| n.checked_mul(4));
    if expected != Some(values.len()) {
        return Err(unsound());
    }
    let values: Vec<f32> = values.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    if values.iter().any(|x| !x.is_finite()) {
        return Err(unsound());
    }
    let part = |i: usize| values[i * weights..(i + 1) * weights].to_vec();
    let (bases, memory) = values[4 * weights..].split_at(bases);
    let optimiser =
        Progress { weights: part(0), average: part(1), first: part(2), second: part(3), bases: bases.to_vec(), steps: optimised };
    let memory = memory.to_vec();
    Ok(State { optimiser, random: Random::new(random), position, roll, steps, seconds: f64::from_bits(seconds), memory })
}
