//! The traits that recurrent and convolutional networks share: [`Network`] (the weights) and [`NetworkState`] (what one processor
//! keeps from frame to frame); and the [`StateSpec`] that a state is made from.

use std::fmt;
use std::sync::Arc;

use crate::Block;
use crate::activation::Precision;
use crate::simd::SimdLevel;

/// Knobs (inputs of a network after the audio) whose values a [`StateSpec`] gives. Further knobs are at [`KNOB_MIDDLE`].
pub const KNOBS: usize = 4;
/// The value of a knob that nobody has turned. Knobs go from 0 to 1.
pub const KNOB_MIDDLE: f32 = 0.5;

/// Channels, precision, instruction set and knobs that a network's state is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateSpec {
    /// Channels, 1 to [`crate::MAX_CHANNELS`].
    pub channels: usize,
    /// The way in which tanh and the logistic function are computed.
    pub precision: Precision,
    /// The highest instruction set that may be used. A lower one is used if the machine lacks it or if it is slower for this
    /// network.
    pub level: SimdLevel,
    /// Largest number of frames that a host passes at a time. The latency of a network that runs on a thread of its own grows
    /// with it; the networks of this package ignore it and take blocks of any length.
    pub max_frames: usize,
    /// Values of the knobs, 0 to 1, at which the new state is settled.
    pub knobs: [f32; KNOBS],
    /// The sample that comes in for ever in silence, to which the state is settled: 0, and for a network behind another the
    /// constant that the other makes of silence. Networks that run on a thread of their own ignore it.
    pub silence: f32,
}

impl StateSpec {
    /// Returns the usual spec: [`Precision::Fast`], the best instruction set of the machine, up to 512 frames at a time, all
    /// knobs in the middle, and a silence of zeros. [any thread]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            precision: Precision::Fast,
            level: SimdLevel::Avx512,
            max_frames: 512,
            knobs: [KNOB_MIDDLE; KNOBS],
            silence: 0.0,
        }
    }
}

/// The reason, in one line of text, why a network cannot run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError(String);

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EngineError {}

impl From<String> for EngineError {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

/// Lets `?` pass the error on in functions whose error is a line of text.
impl From<EngineError> for String {
    fn from(error: EngineError) -> Self {
        error.0
    }
}

/// The weights of a network, packed once, immutable, and shared by all channels and slots.
pub trait Network: Send + Sync {
    /// Makes a settled state (see [`NetworkState::settle`]) for the channels and at the knobs of `spec`. [control thread:
    /// allocates, and may take milliseconds]
    ///
    /// # Errors
    /// If the network cannot run on this machine. The networks of this package always can.
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError>;
    /// True if the network can run at N times its rate as a state of N times as many channels, each of which gets every Nth
    /// frame. [any thread]
    fn can_oversample(&self) -> bool {
        true
    }
    /// Bytes on the heap. [any thread]
    fn bytes(&self) -> usize;
}

/// The state of all channels of one processor. The output does not depend on how the stream is cut into blocks, and no channel's
/// output depends on the other channels.
pub trait NetworkState: Send {
    /// Processes a block in place. `block` has one slice for each channel that the state was made for, all of one length; the
    /// audio must be finite. `knobs` has one slice for each further input of the network, as long as the block; all channels read
    /// the same knobs. [audio thread]
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]);
    /// Settles: puts the state where endless silence with these values of the knobs would have left it, bit by bit the state that
    /// [`Network::state`] makes for them. (Neural Amp Modeler calls this *prewarm*.) Returns the network's output for silence, or
    /// 0 if only another thread knows it. [audio thread]
    ///
    /// Cost: only a copy if the knobs have the values of the last call, or if they had the new values while sound played for
    /// about half a second, since `process` prepares that state meanwhile (one channel's work for as many frames). For other
    /// values a recurrent network runs over silence, one channel for all, until it comes to rest, at most half a
    /// second of sound.
    fn settle(&mut self, knobs: &[f32]) -> f32;
    /// Goes back to the settled state for the knobs of the last [`settle`](Self::settle) (or of the spec), bit by bit. [audio
    /// thread]
    fn reset(&mut self);
    /// True if more frames equal to the last input would change neither state nor output. May be false where that is hard to
    /// know. [audio thread]
    fn rests(&self) -> bool;
    /// Frames by which the output lags the input. [any thread]
    fn latency(&self) -> usize {
        0
    }
    /// Allows `process` to wait for another thread (`true`, offline rendering) or forbids it (`false`, real time). [audio thread]
    fn set_offline(&mut self, offline: bool) {
        let _ = offline;
    }
    /// Chunks of output so far that another thread did not deliver in time, so that the dry sound was played instead. [any
    /// thread]
    fn underruns(&self) -> u64 {
        0
    }
    /// Returns a copy that goes on from the same place, or `None` if part of the state is on another thread. [control thread:
    /// allocates]
    fn duplicate(&self) -> Option<Box<dyn NetworkState>> {
        None
    }
    /// Bytes on the heap, without the weights. [any thread]
    fn bytes(&self) -> usize;
}
