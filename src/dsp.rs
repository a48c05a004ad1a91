//! Signal processing: the [`Processor`] trait, parameters and their descriptors, the algorithms and their building blocks.
//!
//! Nothing here knows a host, a file, a device or a thread.

pub mod approximate;
pub mod bitcrusher;
pub mod clipper;
mod delay;
pub mod dry_wet;
pub mod filter;
pub mod oversample;
mod parameter;
mod ramp;
mod random;
pub mod saturator;
mod settings;

pub use delay::Delay;

pub use parameter::{ChangeMode, Parameter, ParameterIndex, ParameterKind, Scale, Unit, ValueError, choice_id, parse_number};
pub use ramp::{RAMP_SECONDS, Ramp};
pub use settings::{Algorithm, MAX_PARAMETERS, SettingError, Settings};

pub use isotherm_kernels::{Block, CHUNK, MAX_CHANNELS};

/// The work buffer of one channel: algorithms process at most [`CHUNK`] frames at a time.
pub type Chunk = [f32; CHUNK];

/// The sample rate, channels and block size that a processor is prepared for, and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessSpec {
    /// In hertz: 1 or more, finite.
    pub sample_rate: f32,
    /// Number of channels, 1 to [`MAX_CHANNELS`].
    pub channels: usize,
    /// The longest block that `process` will get, in frames: 1 or more.
    pub max_frames: usize,
    /// True if blocks may take longer than their sound: a render or a bounce. A processor may then wait for another thread, and
    /// its settings may ask for another quality. Its latency is the same.
    pub offline: bool,
}

/// An error while a processor is prepared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PrepareError {
    /// A sample rate below 1 Hz or not finite.
    #[error("sample rate is {found} Hz; expected a finite rate of 1 Hz or more")]
    SampleRate {
        /// The sample rate asked for, in hertz.
        found: f32,
    },
    /// No channel, or more than [`MAX_CHANNELS`].
    #[error("{found} channels; expected 1 to {MAX_CHANNELS}")]
    Channels {
        /// The number of channels asked for.
        found: usize,
    },
    /// [`ProcessSpec::max_frames`] is 0.
    #[error("blocks of {found} frames; expected 1 or more")]
    Frames {
        /// The number of frames asked for.
        found: usize,
    },
    /// A model cannot run at the host's sample rate.
    #[error("model is for {model} Hz, the sound has {host} Hz; expected {expected}")]
    Rate {
        /// The model's own sample rate, in hertz.
        model: f32,
        /// The sample rate asked for, in hertz.
        host: f32,
        /// The rates that would work, as text for the message.
        expected: String,
    },
    /// Any other reason: the error of a model's network or resampler, or of the plan that runs the effect, as text.
    #[error("{0}")]
    Other(String),
}

impl ProcessSpec {
    /// A spec for real time, of a sample rate in hertz, a number of channels and the longest block in frames. [any thread]
    #[must_use]
    pub const fn new(sample_rate: f32, channels: usize, max_frames: usize) -> Self {
        Self { sample_rate, channels, max_frames, offline: false }
    }

    /// Returns this spec for processing offline; see [`Self::offline`](#structfield.offline). [any thread]
    #[must_use]
    pub const fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// Checks that all values are in range. [any thread]
    ///
    /// # Errors
    /// [`PrepareError`] for the first value that is out of its range.
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

/// Converts decibels to an amplitude ratio, 10^(db / 20). [any thread]
#[must_use]
pub fn db_to_gain(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// Converts an amplitude ratio to decibels, 20 log10(gain); minus infinity for 0. [any thread]
#[must_use]
pub fn gain_to_db(gain: f32) -> f32 {
    20.0 * gain.log10()
}

/// A prepared effect, ready to process audio in place. [`Settings::prepare`] makes one for a [`ProcessSpec`].
///
/// A processor owns its whole state and allocates only when it is made. Every processor of the registry obeys the laws in
/// `tests/laws/contract.rs`. Values of parameters are plain (in their unit, such as dB or Hz), never normalised.
///
/// # Examples
/// An algorithm of the registry, in blocks of 64 frames:
/// ```
/// use isotherm::{algorithm, dsp::{ProcessSpec, Settings}};
///
/// let settings = Settings::new(algorithm::find("clipper").expect("a row of the registry")).with("shape", 0.0);
/// let spec = ProcessSpec::new(48_000.0, 2, 64);
/// let mut clipper = settings.prepare(spec)?;
/// let output = settings.index("output").expect("a parameter of the clipper");
///
/// let (mut left, mut right) = ([0.25f32; 640], [0.0f32; 640]);
/// for (left, right) in left.chunks_mut(64).zip(right.chunks_mut(64)) {
///     clipper.process(&mut [left, right]); // A slice per channel, in place.
///     clipper.set(output, -20.0); // Glides to -20 dB within 20 ms; the next blocks contain the glide.
/// }
/// assert!(clipper.latency() < 100 && right == [0.0; 640]);
/// assert!(left[200] > 0.2, "the glide is under way");
/// clipper.reset(); // Forgets the sound, keeps the values.
/// # Ok::<(), isotherm::dsp::PrepareError>(())
/// ```
///
/// A processor of one's own, with one parameter:
/// ```
/// use isotherm::dsp::{Block, ParameterIndex, Processor, Ramp};
///
/// #[derive(Clone)]
/// struct Gain(Ramp);
///
/// impl Processor for Gain {
///     fn set(&mut self, parameter: ParameterIndex, value: f32) {
///         if parameter == 0 {
///             self.0.set(value, false);
///         }
///     }
///     fn reset(&mut self) {
///         self.0.finish();
///     }
///     fn process(&mut self, block: &mut Block<'_>) {
///         let frames = block.first().map_or(0, |channel| channel.len());
///         for frame in 0..frames {
///             let mut gain = [0.0];
///             self.0.fill(&mut gain);
///             for channel in block.iter_mut() {
///                 channel[frame] *= gain[0];
///             }
///         }
///     }
///     fn duplicate(&self) -> Option<Box<dyn Processor>> {
///         Some(Box::new(self.clone()))
///     }
///     fn bytes(&self) -> usize {
///         0
///     }
/// }
///
/// let mut gain = Gain(Ramp::new(1.0, 1000.0)); // At 1000 Hz, the 20 ms of a glide are 20 frames.
/// gain.set(0, 0.5);
/// let mut samples = [1.0f32; 30];
/// gain.process(&mut [&mut samples]);
/// assert!(samples[0] < 1.0 && samples[0] > 0.9 && samples[29] == 0.5);
/// ```
pub trait Processor: Send {
    /// Sets a ramped parameter, which glides to `value` (plain), starting with the next frame; before the first frame after
    /// `reset` it changes at once. A structural parameter is left alone. [audio thread]
    fn set(&mut self, parameter: ParameterIndex, value: f32);

    /// Returns to the state in which the processor was made; values that were set stay. [audio thread]
    fn reset(&mut self);

    /// Processes a block in place, a slice per channel. The output depends on the samples and on the frames at which values were
    /// set, never on how the stream is cut into blocks. NaN counts as silence. [audio thread: no allocation, lock, log or I/O]
    fn process(&mut self, block: &mut Block<'_>);

    /// Frames by which the output lags the input; constant. [any thread]
    fn latency(&self) -> usize {
        0
    }

    /// Called instead of `process` when input and output have been constant for long: leaves the state that `frames` more
    /// frames of the same input would leave. Returns `false` if it cannot, and then has changed nothing. [audio thread]
    fn skip(&mut self, frames: usize) -> bool {
        let _ = frames;
        false
    }

    /// Returns a copy in the same state, which continues exactly as this one would; `None` if the state cannot be copied, for
    /// example that of a network that runs on another thread. [control thread: allocates]
    fn duplicate(&self) -> Option<Box<dyn Processor>>;

    /// Bytes of buffers and tables on the heap. [any thread]
    fn bytes(&self) -> usize;
}
