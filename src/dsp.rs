//! What changes samples. Knows no host, file, device or thread.

pub mod approximate;
pub mod bitcrusher;
pub mod blend;
pub mod clipper;
mod delay;
pub mod filter;
pub mod oversample;
mod parameter;
mod ramp;
mod random;
pub mod saturator;
mod settings;

pub use delay::Delay;

pub use parameter::{Change, Index, Kind, Parameter, Scale, Unit, ValueError, choice_id};
pub use ramp::{RAMP_SECONDS, Ramp};
pub use settings::{Algorithm, MAX_PARAMETERS, SettingError, Settings};

pub use isotherm_kernels::{Block, CHUNK, MAX_CHANNELS};

/// A channel's share of what is being worked on.
pub type Chunk = [f32; CHUNK];

/// What a processor is prepared for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// In hertz: 1 or more, finite.
    pub sample_rate: f32,
    /// 1 to [`MAX_CHANNELS`].
    pub channels: usize,
    /// The longest block that `process` will get, in frames: 1 or more.
    pub max_frames: usize,
}

/// Why a processor cannot be prepared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PrepareError {
    #[error("sample rate is {found} Hz; expected a finite rate of 1 Hz or more")]
    SampleRate { found: f32 },
    #[error("{found} channels; expected 1 to {MAX_CHANNELS}")]
    Channels { found: usize },
    #[error("blocks of {found} frames; expected 1 or more")]
    Frames { found: usize },
    #[error("model is for {model} Hz, the sound has {host} Hz; expected {expected}")]
    Rate { model: f32, host: f32, expected: String },
    #[error("{0}")]
    Engine(String),
}

impl Spec {
    /// [any thread]
    ///
    /// # Errors
    /// If a value is out of its range.
    pub fn check(&self) -> Result<(), PrepareError> {
        if !(self.sample_rate.is_finite() && self.sample_rate >= 1.0) {
            return Err(PrepareError::SampleRate { found: self.sample_rate });
        }
        if !(1..=MAX_CHANNELS).contains(&self.channels) {
            return Err(PrepareError::Channels { found: self.channels });
        }
        if self.max_frames == 0 {
            return Err(PrepareError::Frames { found: 0 });
        }
        Ok(())
    }
}

/// The factor that `db` decibels are. [any thread]
#[must_use]
pub fn db_to_gain(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// Decibels of a factor; 0 is minus infinity. [any thread]
#[must_use]
pub fn gain_to_db(gain: f32) -> f32 {
    20.0 * gain.log10()
}

/// An effect that is prepared: made for one [`Spec`] by [`Settings::prepare`]. The laws in `tests/laws/contract.rs` hold for every one.
pub trait Processor: Send {
    /// A ramped parameter glides to `value` (plain) from the next frame on; right after `reset` it is simply there. A
    /// structural parameter does not change. [audio thread]
    fn set(&mut self, parameter: Index, value: f32);

    /// Back to the state that it was made in; values that were set stay. [audio thread]
    fn reset(&mut self);

    /// In place. Output depends on the samples and on the frames at which values were set, never on how the stream is cut
    /// into blocks. Samples that are no number count as silence. [audio thread: no allocation, lock, log or I/O]
    fn process(&mut self, block: &mut Block<'_>);

    /// Samples by which output lags input; constant. [any thread]
    fn latency(&self) -> usize {
        0
    }

    /// Called instead of `process` when input and output have been constant for long: leaves the state that `frames` more
    /// frames of the same input would leave. `false`: it cannot, and changed nothing. [audio thread]
    fn skip(&mut self, frames: usize) -> bool {
        let _ = frames;
        false
    }

    /// From now on `process` may take its time (`true`: nobody listens while it works), or must not. Changes no sample where all is
    /// done in time. [audio thread]
    fn set_offline(&mut self, offline: bool) {
        let _ = offline;
    }

    /// Another one in the same state, which goes on as this one would; nothing if the state is not all here, as where a network runs
    /// on another thread. [control thread: allocates]
    fn duplicate(&self) -> Option<Box<dyn Processor>>;

    /// Bytes on the heap: buffers and tables. [any thread]
    fn bytes(&self) -> usize;
}
