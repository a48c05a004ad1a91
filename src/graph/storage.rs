//! Storages: the sample buffers of a plan.

use arrayvec::ArrayVec;

use super::SUB_BLOCK;
use crate::dsp::MAX_CHANNELS;

/// The samples of one bus in a sub-block: channel after channel, [`SUB_BLOCK`] frames each.
pub type Storage = Vec<f32>;

/// A mutable slice of the first `n` frames of each channel.
pub fn slices_mut(storage: &mut Storage, n: usize) -> ArrayVec<&mut [f32], MAX_CHANNELS> {
    storage.chunks_exact_mut(SUB_BLOCK).map(|c| &mut c[..n]).collect()
}

/// A slice of the first `n` frames of each channel.
pub fn slices(storage: &Storage, n: usize) -> ArrayVec<&[f32], MAX_CHANNELS> {
    storage.chunks_exact(SUB_BLOCK).map(|c| &c[..n]).collect()
}
