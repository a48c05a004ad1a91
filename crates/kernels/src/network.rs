//! [`Network`], its state [`Voices`] and the [`Mode`] in which it runs: the traits that recurrent and convolutional networks share.

use std::sync::Arc;

use crate::Block;
use crate::activation::Precision;
use crate::simd::Level;

/// Inputs behind the audio whose place a [`Mode`] says; further ones stand at [`MIDDLE`].
pub const KNOBS: usize = 4;
/// A knob that nobody has turned.
pub const MIDDLE: f32 = 0.5;

/// Channels, precision, instruction set and knobs that a network's state is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mode {
    /// 1 to [`crate::MAX_CHANNELS`].
    pub channels: usize,
    pub precision: Precision,
    /// The highest instruction set; what the machine lacks or what is slower for this network is not used.
    pub level: Level,
    /// The most frames that the host hands over at a time: a network on a thread of its own is that far ahead of what is heard.
    pub max_frames: usize,
    /// Values of the knobs that the voices are prewarmed at.
    pub knobs: [f32; KNOBS],
}

impl Mode {
    /// Fast, with whatever the machine has, for up to 512 frames at a time, knobs in the middle. [any thread]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels, precision: Precision::Fast, level: Level::Avx512, max_frames: 512, knobs: [MIDDLE; KNOBS] }
    }
}

/// Weights, packed once, shared by all channels and slots.
pub trait Network: Send + Sync {
    /// State for a number of channels, prewarmed: as if silence had come in for long with the knobs where the mode says. [control
    /// thread: allocates, takes its time]
    ///
    /// # Errors
    /// If it cannot run here: in one line, why. The native engine always can.
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String>;
    /// Bytes on the heap. [any thread]
    fn bytes(&self) -> usize;
}

/// The state of all channels of one processor. Output does not depend on how the stream is cut into blocks, nor a channel's on the
/// others.
pub trait Voices: Send {
    /// In place, a slice for each channel that this was made for, of any one length. `knobs`: a slice for each further input of
    /// the network, as long as the block, the same for all channels. The audio must be finite. [audio thread]
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]);
    /// Prewarmed, bit by bit as if made with these values of the knobs. Returns what comes out of it for silence; 0 where only
    /// another thread knows that. With the knobs of the last time it is a copy, and also where knobs have stood while sound
    /// played for half a second, as that is prepared meanwhile, a channel's work for as many frames; with others a recurrent network
    /// runs over silence, one channel for all, until it rests, for half a second of sound at the most. [audio thread]
    fn settle(&mut self, knobs: &[f32]) -> f32;
    /// Back to the prewarmed state, knobs as they were for it, bit by bit. [audio thread]
    fn reset(&mut self);
    /// True where more frames of the input that came last would change neither state nor output. May be false where that is hard to
    /// know. [audio thread]
    fn rests(&self) -> bool;
    /// Frames by which the output lags the input. [any thread]
    fn latency(&self) -> usize {
        0
    }
    /// From now on `process` may wait (`true`), or must not. [audio thread]
    fn set_offline(&mut self, offline: bool) {
        let _ = offline;
    }
    /// Stretches of sound so far that were not ready in time, and were heard dry. [any thread]
    fn misses(&self) -> u64 {
        0
    }
    /// Others in the same state, which go on as these would; nothing if the state is not all here, as on another thread. [control
    /// thread: allocates]
    fn duplicate(&self) -> Option<Box<dyn Voices>> {
        None
    }
    /// Bytes on the heap beyond the weights. [any thread]
    fn bytes(&self) -> usize;
}
