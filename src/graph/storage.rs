//! The samples of a bus.

use arrayvec::ArrayVec;

use super::SUB_BLOCK;
use crate::dsp::MAX_CHANNELS;

/// The samples of one bus in a sub-block: channel after channel, [`SUB_BLOCK`] frames each.
pub type Storage = Vec<f32>;

/// The channels of a storage, `n` frames each, to be written.
pub fn slices(storage: &mut Storage, n: usize) -> ArrayVec<&mut [f32], MAX_CHANNELS> {
    storage.chunks_exact_mut(SUB_BLOCK).map(|c| &mut c[..n]).collect()
}

/// The channels of a storage, `n` frames each, to be read.
pub fn views(storage: &Storage, n: usize) -> ArrayVec<&[f32], MAX_CHANNELS> {
    storage.chunks_exact(SUB_BLOCK).map(|c| &c[..n]).collect()
}
