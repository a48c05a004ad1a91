//! [`Model`]: the checked content of a model file with its packed networks, shared by everything that plays it. Also
//! [`ModelInfo`] and the other types that the readers of files make.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::alignment::{self, Alignment};
use super::description::Architecture;
use super::engine::{self, EngineError, Network};

/// The largest value of [`ModelInfo::late_frames`] that a file may have.
#[cfg(feature = "models")]
pub const MAX_LATE_FRAMES: usize = 512;

/// The whole frames of the number `late_frames` in a file, which must be from 0 to [`MAX_LATE_FRAMES`]; a fraction is dropped.
#[cfg(feature = "models")]
pub(super) fn whole_late_frames(number: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is from 0 to MAX_LATE_FRAMES")]
    let frames = number as usize;
    frames
}

/// The information that a file has about its model. Fields that the file does not have are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// Id of the file's format: `nam`, `keras`, `proteus`, `onnx` (the rows in `formats.rs`).
    pub format: &'static str,
    /// Version of the format as the file has it: `0.5.4`.
    pub version: Option<String>,
    /// Name of the model.
    pub name: Option<String>,
    /// Person who made the model.
    pub author: Option<String>,
    /// Manufacturer of the modelled device.
    pub gear_make: Option<String>,
    /// Product name of the modelled device.
    pub gear_model: Option<String>,
    /// Kind of the modelled device, in the format's words: `amp`, `pedal`.
    pub gear_type: Option<String>,
    /// Character of the sound, in the format's words: `clean`, `hi_gain`.
    pub tone_type: Option<String>,
    /// Description of the network for users, in one line: `WaveNet, 2 arrays of 16 and 8 channels`.
    pub architecture: String,
    /// Count of the trained numbers of the network (of the largest one, if the model has several sizes).
    pub parameters: usize,
    /// Sample rate that the model was trained at, in Hz.
    pub sample_rate: f32,
    /// True if the file has the sample rate; false if it is the format's default.
    pub sample_rate_given: bool,
    /// Loudness of the output for the trainer's standard input, in dB.
    pub loudness_db: Option<f32>,
    /// Level at the device's input in dBu that corresponds to full scale at the model's input.
    pub input_level_dbu: Option<f32>,
    /// Level at the device's output in dBu that corresponds to full scale at the model's output.
    pub output_level_dbu: Option<f32>,
    /// Error-to-signal ratio (power, 0 is perfect) that the trainer measured.
    pub esr: Option<f32>,
    /// Frames, at the model's rate, by which the output is late because the model was trained to look that far ahead. They
    /// count as latency.
    pub late_frames: usize,
    /// Names of the knobs: the inputs after the audio. Each goes from 0 to 1.
    pub knobs: Vec<String>,
    /// A line for each value of the file that cannot be used and was left out: `metadata.name: 5; expected a text`.
    pub ignored: Vec<String>,
}

impl ModelInfo {
    /// An info with the fields that every format has; the optional fields are absent, and the sample rate counts as the
    /// format's default. [any thread]
    #[must_use]
    pub fn new(format: &'static str, architecture: impl Into<String>, parameters: usize, sample_rate: f32) -> Self {
        Self {
            format,
            version: None,
            name: None,
            author: None,
            gear_make: None,
            gear_model: None,
            gear_type: None,
            tone_type: None,
            architecture: architecture.into(),
            parameters,
            sample_rate,
            sample_rate_given: false,
            loudness_db: None,
            input_level_dbu: None,
            output_level_dbu: None,
            esr: None,
            late_frames: 0,
            knobs: Vec::new(),
            ignored: Vec::new(),
        }
    }
}

/// A test of the network that a file contains: from a zero state, without settling, this input gives this output.
#[derive(Clone, Debug, PartialEq)]
pub struct TestVector {
    /// Samples at the model's rate, of one channel.
    pub input: Vec<f32>,
    /// The same number of samples, as the trainer's implementation computes them from the input.
    pub output: Vec<f32>,
}

/// One of the networks of a slimmable model (a model with networks of several sizes), or the only network of any other model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSize {
    /// End of the range of the parameter *Size* (0 to 1) for which this network is used: values below this one, down to the end
    /// of the previous size. The last size is also used for all values above.
    pub below: f32,
    /// Description of the network; `None` if the native engine does not run it.
    pub architecture: Option<Architecture>,
    /// Loudness of this size, as [`ModelInfo::loudness_db`], if the file has one for each size.
    pub loudness_db: Option<f32>,
    /// Level of this size, as [`ModelInfo::input_level_dbu`], if only the model of this size in the file has it.
    pub input_level_dbu: Option<f32>,
    /// Level of this size, as [`ModelInfo::output_level_dbu`], if only the model of this size in the file has it.
    pub output_level_dbu: Option<f32>,
}

impl ModelSize {
    /// A size for values below `below`, without levels of its own. [any thread]
    #[must_use]
    pub fn new(below: f32, architecture: Option<Architecture>) -> Self {
        Self { below, architecture, loudness_db: None, input_level_dbu: None, output_level_dbu: None }
    }
}

/// The content of a file, checked: the result of a format's reader.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedModel {
    /// Name, sample rate and other information.
    pub info: ModelInfo,
    /// The networks, the smallest first; at least one.
    pub sizes: Vec<ModelSize>,
    /// The test in the file, if there is one.
    pub test_vector: Option<TestVector>,
}

/// The reason why a file is not a model: one line with what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Path of the file.
        path: String,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The file is larger than any model may be.
    #[error("{found} bytes; expected a model of at most {limit}")]
    TooLarge {
        /// Bytes of the file.
        found: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// A user gives a sample rate for a model whose file has one.
    #[error("{found} Hz for a model whose file says {expected} Hz; expected no other rate than the file's")]
    OtherRate {
        /// Rate in Hz that the user gave.
        found: f32,
        /// Rate in Hz of the file.
        expected: f32,
    },
    /// The content is not a valid model: the text names the field, what was found and what was expected.
    #[error("{0}")]
    Invalid(String),
    /// Any error in the content of a file, with the path of the file.
    #[error("{path}: {error}")]
    File {
        /// Path of the file.
        path: String,
        /// Error in its content.
        error: Box<ModelError>,
    },
}

impl ModelError {
    /// Returns the error in one line with the reason before the path, for places that show the beginning of a line. [any thread]
    #[must_use]
    pub fn reason_first(&self) -> String {
        match self {
            Self::Read { path, source } => format!("{source}: {path}"),
            Self::File { path, error } => format!("{error}: {path}"),
            Self::TooLarge { .. } | Self::Invalid(_) | Self::OtherRate { .. } => self.to_string(),
        }
    }
}

/// The id of a model, unique in this process: no two models ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelId(pub NonZeroU32);

impl ModelId {
    /// Returns an id that no model had before.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        loop {
            if let Some(number) = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed)) {
                return Self(number);
            }
        }
    }
}

/// The checked content of a model file with its networks, packed for this machine. It is immutable, apart from counters, and
/// shared by all processors that play it.
///
/// # Examples
/// A model that multiplies by 0.5, made in memory. With the feature `models`, `Model::open` reads one from a file.
/// ```
/// use isotherm::effect::Effect;
/// use isotherm::neural::description::{Activation, Architecture, Conv1d, Layer, Sequence};
/// use isotherm::neural::{Model, ModelInfo, ModelSize, ParsedModel};
///
/// // A convolution with one tap: from one channel of audio to one channel.
/// let weights = vec![0.5];
/// let conv = Conv1d { inputs: 1, outputs: 1, taps: 1, dilation: 1, groups: 1, weights, bias: None };
/// let layers = vec![Layer::Conv1d(conv, Activation::Identity)];
/// let architecture = Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false });
/// let info = ModelInfo::new("example", "one convolution", 1, 48_000.0);
/// let sizes = vec![ModelSize::new(1.0, Some(architecture))];
/// let model = Model::new(ParsedModel { info, sizes, test_vector: None }, Vec::new());
///
/// assert_eq!(model.info().sample_rate, 48_000.0);
/// assert_eq!((model.sizes().len(), model.knob_count(0), model.nan_resets()), (1, 0, 0));
///
/// // The neural algorithm plays it.
/// let effect = Effect::from_id("neural")?.with_model(model);
/// assert!(effect.active_model().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Model {
    id: ModelId,
    /// Path of the file that the model was opened from.
    pub(super) path: Option<PathBuf>,
    /// Sample rate in Hz that a user gave for a file that has none.
    pub(super) user_rate: Option<f32>,
    parsed: ParsedModel,
    /// The network of each size.
    networks: Vec<Arc<dyn Network>>,
    /// The alignment of each size, once it was measured.
    alignments: Vec<OnceLock<Alignment>>,
    nan_resets: AtomicU64,
    underruns: AtomicU64,
    bytes: Vec<u8>,
}

impl Model {
    /// Makes a model of the parsed content of a file: packs the networks for the native engine. `bytes` is the file, kept for
    /// callers that store the model ([`Self::bytes`]); it may be empty. [control thread]
    ///
    /// # Panics
    /// If a size has no architecture, or one whose weights do not fit its shapes.
    #[must_use]
    pub fn new(parsed: ParsedModel, bytes: Vec<u8>) -> Arc<Self> {
        let build = |s: &ModelSize| engine::build(s.architecture.as_ref().expect("an architecture"), parsed.info.sample_rate);
        let networks = parsed.sizes.iter().map(build).collect();
        Self::assemble(parsed, networks, bytes)
    }

    /// A copy that runs at another sample rate, which a user gave for it.
    #[cfg(feature = "models")]
    pub(super) fn with_user_rate(&self, rate: f32) -> Arc<Self> {
        let mut parsed = self.parsed.clone();
        parsed.info.sample_rate = rate;
        let network = |(size, network): (&ModelSize, &Arc<dyn Network>)| {
            size.architecture.as_ref().map_or_else(|| network.clone(), |architecture| engine::build(architecture, rate))
        };
        let networks = parsed.sizes.iter().zip(&self.networks).map(network).collect();
        let mut model = Self::assemble(parsed, networks, self.bytes.clone());
        if let Some(model) = Arc::get_mut(&mut model) {
            (model.path, model.user_rate) = (self.path.clone(), Some(rate));
        }
        model
    }

    /// Makes a model of one size whose network an engine other than the native one runs. [control thread]
    #[must_use]
    pub fn from_network(info: ModelInfo, network: Arc<dyn Network>, bytes: Vec<u8>) -> Arc<Self> {
        let size = ModelSize { loudness_db: info.loudness_db, ..ModelSize::new(1.0, None) };
        Self::assemble(ParsedModel { info, sizes: vec![size], test_vector: None }, vec![network], bytes)
    }

    fn assemble(parsed: ParsedModel, networks: Vec<Arc<dyn Network>>, bytes: Vec<u8>) -> Arc<Self> {
        let alignments = vec![OnceLock::new(); networks.len()];
        Arc::new(Self {
            id: ModelId::new(),
            path: None,
            user_rate: None,
            parsed,
            networks,
            alignments,
            nan_resets: AtomicU64::new(0),
            underruns: AtomicU64::new(0),
            bytes,
        })
    }

    /// The id, unique in this process. [any thread]
    #[must_use]
    pub fn id(&self) -> ModelId {
        self.id
    }

    /// Path of the file that the model was opened from; `None` if it was made in memory. [any thread]
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Sample rate in Hz that a user gave with `Model::at_rate`; `None` if the model runs at the rate that its file has, or that
    /// its format has by default. [any thread]
    #[must_use]
    pub fn user_rate(&self) -> Option<f32> {
        self.user_rate
    }

    /// Name, sample rate and other information from the file. [any thread]
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.parsed.info
    }

    /// The networks' descriptions, the smallest first; at least one. [any thread]
    #[must_use]
    pub fn sizes(&self) -> &[ModelSize] {
        &self.parsed.sizes
    }

    /// The test in the file, if there is one. Only models of one size have one. [any thread]
    #[must_use]
    pub fn test_vector(&self) -> Option<&TestVector> {
        self.parsed.test_vector.as_ref()
    }

    /// Index in [`Self::sizes`] for a value of the parameter *Size* (0 to 1). [any thread]
    #[must_use]
    pub fn size_index(&self, value: f32) -> usize {
        let sizes = self.sizes();
        sizes.iter().position(|s| value < s.below).unwrap_or(sizes.len() - 1)
    }

    /// The lowest value of the parameter *Size* (0 to 1) for which the size with this index is used; 1 for the last one. [any
    /// thread]
    ///
    /// # Panics
    /// If there is no such size.
    #[must_use]
    pub fn value_of_size(&self, size: usize) -> f32 {
        let sizes = self.sizes();
        if size + 1 == sizes.len() { 1.0 } else { size.checked_sub(1).map_or(0.0, |before| sizes[before].below) }
    }

    /// A copy of this model with its own id and counters, for a measurement that a user does not hear. The networks are shared; the
    /// file's bytes are left out. [control thread]
    #[cfg(feature = "measure")]
    #[must_use]
    pub(crate) fn with_own_counters(&self) -> Arc<Self> {
        Self::assemble(self.parsed.clone(), self.networks.clone(), Vec::new())
    }

    /// Number of knobs (inputs after the audio) of the size with this index. [any thread]
    ///
    /// # Panics
    /// If there is no such size.
    #[must_use]
    pub fn knob_count(&self, size: usize) -> usize {
        self.sizes()[size].architecture.as_ref().map_or(self.info().knobs.len(), |a| a.inputs().saturating_sub(1))
    }

    /// The network of the size with this index. [any thread]
    ///
    /// # Panics
    /// If there is no such size.
    #[must_use]
    pub fn network(&self, size: usize) -> &Arc<dyn Network> {
        &self.networks[size]
    }

    /// Delay and polarity of the size with this index. The delay is the one beyond [`ModelInfo::late_frames`]. The first call
    /// measures them with a sweep, which takes as long as the network needs for half a second of sound. [control thread]
    ///
    /// # Errors
    /// If the network cannot run on this machine.
    ///
    /// # Panics
    /// If there is no such size.
    pub fn alignment(&self, size: usize) -> Result<Alignment, EngineError> {
        let known = &self.alignments[size];
        if let Some(alignment) = known.get() {
            return Ok(*alignment);
        }
        let measured = alignment::measure(&self.networks[size], self.info().sample_rate, self.knob_count(size))?;
        let delay_frames = measured.delay_frames - self.info().late_frames as f32;
        Ok(*known.get_or_init(|| Alignment { delay_frames, ..measured }))
    }

    /// Times that the output was NaN or infinite, so that it was silenced and the network was reset; the sum over all
    /// processors that play the model. [any thread]
    #[must_use]
    pub fn nan_resets(&self) -> u64 {
        self.nan_resets.load(Ordering::Relaxed)
    }

    /// Adds one to [`Self::nan_resets`]. [any thread]
    pub(super) fn count_nan_reset(&self) {
        self.nan_resets.fetch_add(1, Ordering::Relaxed);
    }

    /// Chunks of output that were not ready in time, so that the dry sound was played instead; the sum over all processors that
    /// play the model. Only networks that run on a thread of their own (ONNX) have any. [any thread]
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.underruns.load(Ordering::Relaxed)
    }

    /// Adds `more` to [`Self::underruns`]. [any thread]
    pub(super) fn count_underruns(&self, more: u64) {
        self.underruns.fetch_add(more, Ordering::Relaxed);
    }

    /// The bytes of the file; empty if the model was made in memory without them. [any thread]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("id", &self.id).field("info", &self.parsed.info).finish_non_exhaustive()
    }
}
