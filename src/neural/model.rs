//! A model: what a file holds, checked, packed, and shared.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::alignment::{self, Alignment};
use super::description::Architecture;
use super::engine::{self, Network};

/// The latest that a model may be on purpose, in frames.
#[cfg(feature = "models")]
pub const MOST_LATE_FRAMES: usize = 512;

/// What a model says of itself. What a file does not say is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The id of its format, of the rows in `formats.rs`.
    pub format: &'static str,
    /// As the file has it: `0.5.4`.
    pub version: Option<String>,
    pub name: Option<String>,
    /// Who made the model.
    pub author: Option<String>,
    pub gear_make: Option<String>,
    pub gear_model: Option<String>,
    pub gear_type: Option<String>,
    pub tone_type: Option<String>,
    /// In one line, for a user: `WaveNet, 2 arrays of 16 and 8 channels`.
    pub architecture: String,
    /// Numbers that training found.
    pub parameters: usize,
    /// Hertz that the model was trained at.
    pub sample_rate: f32,
    /// Whether the file says the rate, or the format's own was taken.
    pub sample_rate_given: bool,
    /// Of the output for the trainer's standard input, in dB.
    pub loudness_db: Option<f32>,
    pub input_level_dbu: Option<f32>,
    pub output_level_dbu: Option<f32>,
    /// Error to signal that the trainer measured.
    pub esr: Option<f32>,
    /// Frames that the output is late on purpose, as the model looks so far ahead: part of its latency.
    pub late_frames: usize,
    /// Names of the inputs behind the audio; each is 0 to 1.
    pub knobs: Vec<String>,
}

impl Info {
    /// An info with the fields that every format has: its id, the architecture in one line, the count of trained numbers, and the
    /// rate in hertz, which counts as the format's own. The rest is absent. [any thread]
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
        }
    }
}

/// A test inside a file: this input gives this output from a zero state.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    pub input: Vec<f32>,
    pub output: Vec<f32>,
}

/// One of the networks of a slimmable model, or the only one.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// This one is used for sizes below this (0 to 1); the last one for all above.
    pub below: f32,
    /// None for a network that is not the native engine's.
    pub architecture: Option<Architecture>,
    /// Of this size alone.
    pub loudness_db: Option<f32>,
}

/// What a loader makes of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub info: Info,
    /// Smallest first, at least one.
    pub sizes: Vec<Size>,
    pub golden: Option<Golden>,
}

/// Why a file is no model. One line that names what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{found} bytes; expected a model of at most {most}")]
    TooLarge { found: u64, most: u64 },
    #[error("{0}")]
    Invalid(String),
    #[error("{path}: {error}")]
    File { path: String, error: Box<ModelError> },
}

/// Which of the models of this process: no two ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelId(pub NonZeroU32);

impl ModelId {
    /// An id that no model had before.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        loop {
            if let Some(number) = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed)) {
                return Self(number);
            }
        }
    }
}

/// See the module.
pub struct Model {
    id: ModelId,
    /// The file that it was opened from.
    pub(super) path: Option<PathBuf>,
    loaded: Loaded,
    networks: Vec<Arc<dyn Network>>,
    /// Of each network, once it was asked for.
    alignments: Vec<OnceLock<Alignment>>,
    explosions: AtomicU64,
    misses: AtomicU64,
    bytes: Vec<u8>,
}

impl Model {
    /// Packs what a loader made. `bytes` are the file's, kept for whoever stores the model. [control thread]
    ///
    /// # Panics
    /// If a size has no architecture.
    #[must_use]
    pub fn new(loaded: Loaded, bytes: Vec<u8>) -> Arc<Self> {
        let build = |s: &Size| engine::build(s.architecture.as_ref().expect("an architecture"), loaded.info.sample_rate);
        let networks = loaded.sizes.iter().map(build).collect();
        Self::put(loaded, networks, bytes)
    }

    /// A model of one size whose network is not the native engine's. [control thread]
    #[must_use]
    pub fn from_network(info: Info, network: Arc<dyn Network>, bytes: Vec<u8>) -> Arc<Self> {
        let size = Size { below: 1.0, architecture: None, loudness_db: info.loudness_db };
        Self::put(Loaded { info, sizes: vec![size], golden: None }, vec![network], bytes)
    }

    fn put(loaded: Loaded, networks: Vec<Arc<dyn Network>>, bytes: Vec<u8>) -> Arc<Self> {
        let alignments = vec![OnceLock::new(); networks.len()];
        Arc::new(Self {
            id: ModelId::new(),
            path: None,
            loaded,
            networks,
            alignments,
            explosions: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            bytes,
        })
    }

    /// Of this model alone, as long as the process lives. [any thread]
    #[must_use]
    pub fn id(&self) -> ModelId {
        self.id
    }

    /// The file that it was opened from, if it was. [any thread]
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// [any thread]
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.loaded.info
    }

    /// Smallest first, at least one. [any thread]
    #[must_use]
    pub fn sizes(&self) -> &[Size] {
        &self.loaded.sizes
    }

    /// [any thread]
    #[must_use]
    pub fn golden(&self) -> Option<&Golden> {
        self.loaded.golden.as_ref()
    }

    /// The place in [`Self::sizes`] that a wished size (0 to 1) means. [any thread]
    #[must_use]
    pub fn size_for(&self, wish: f32) -> usize {
        let sizes = self.sizes();
        sizes.iter().position(|s| wish < s.below).unwrap_or(sizes.len() - 1)
    }

    /// Inputs of a size behind the audio. [any thread]
    ///
    /// # Panics
    /// If there is no such size.
    #[must_use]
    pub fn knobs(&self, size: usize) -> usize {
        self.sizes()[size].architecture.as_ref().map_or(self.info().knobs.len(), |a| a.inputs().saturating_sub(1))
    }

    /// The network of a size. [any thread]
    ///
    /// # Panics
    /// If there is no such size.
    #[must_use]
    pub fn network(&self, size: usize) -> &Arc<dyn Network> {
        &self.networks[size]
    }

    /// How much later than its input the output of a size is beyond [`Info::late_frames`], and whether it is upside down: measured by a
    /// sweep at the first call,
    /// which takes the time of half a second of sound. [control thread]
    ///
    /// # Errors
    /// If the network cannot run here.
    ///
    /// # Panics
    /// If there is no such size.
    pub fn alignment(&self, size: usize) -> Result<Alignment, String> {
        let known = &self.alignments[size];
        if let Some(alignment) = known.get() {
            return Ok(*alignment);
        }
        let measured = alignment::measure(&self.networks[size], self.info().sample_rate, self.knobs(size))?;
        let delay_frames = measured.delay_frames - self.info().late_frames as f32;
        Ok(*known.get_or_init(|| Alignment { delay_frames, ..measured }))
    }

    /// How often its output was no number, so that it was silenced and began anew, in all processors together. [any thread]
    #[must_use]
    pub fn explosions(&self) -> u64 {
        self.explosions.load(Ordering::Relaxed)
    }

    /// [any thread]
    pub(super) fn count_explosion(&self) {
        self.explosions.fetch_add(1, Ordering::Relaxed);
    }

    /// How often its output was not ready in time and the dry sound was heard instead, in all processors together. [any thread]
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// [any thread]
    pub(super) fn count_misses(&self, more: u64) {
        self.misses.fetch_add(more, Ordering::Relaxed);
    }

    /// The file's bytes. [any thread]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("id", &self.id).field("info", &self.loaded.info).finish_non_exhaustive()
    }
}
