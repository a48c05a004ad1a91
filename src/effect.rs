//! An effect as a value: an algorithm, its settings and, for the neural algorithm, a model.
//!
//! An [`Effect`] can be written and read as text and as JSON, compared, cloned and sent between threads. [`Effect::prepare`]
//! makes the [`Processor`] that processes sound. Slots, rendering, measuring and training all take effects.
//!
//! ```
//! use isotherm::effect::Effect;
//!
//! let effect: Effect = "saturator drive=24 oversampling=4x tone=off".parse()?;
//! assert_eq!(effect, Effect::from_id("saturator")?.with("drive", 24.0).with("oversampling", 2.0).with("tone", 20_000.0));
//! assert_eq!(effect.to_text()?, "saturator drive=24 tone=off oversampling=4x");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod text;

use std::sync::Arc;

use self::text::quoted;
use crate::algorithm::{UnknownAlgorithm, find};
use crate::dsp::{Algorithm, Block, ChangeMode, PrepareError, ProcessSpec, Processor, SettingError, Settings};
use crate::neural::{Model, ModelId, NeuralProcessor};

/// An algorithm with a value for each of its parameters and, if it plays one, a model.
///
/// # Examples
/// ```
/// use isotherm::dsp::ProcessSpec;
/// use isotherm::effect::Effect;
///
/// let effect: Effect = "saturator drive=24 oversampling=4x".parse()?;
/// let mut processor = effect.prepare(ProcessSpec::new(48_000.0, 2, 512))?;
///
/// // A block of a 440 Hz sine: one slice for each channel, processed in place.
/// let sine: Vec<f32> = (0..512).map(|i| 0.5 * (std::f32::consts::TAU * 440.0 / 48_000.0 * i as f32).sin()).collect();
/// let (mut left, mut right) = (sine.clone(), sine.clone());
/// processor.process(&mut [&mut left, &mut right]);
///
/// // Both channels are processed alike. The output lags the input by the latency, here that of the oversampling filters.
/// assert_eq!(left, right);
/// assert_ne!(left, sine);
/// assert!(processor.latency() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Effect {
    /// The algorithm and a value for each of its parameters.
    pub settings: Settings,
    /// The model for an algorithm that plays one; ignored by the others.
    pub model: Option<Arc<Model>>,
}

/// An effect as plain data, with the id in place of the model: cheap to copy and compare, also on the audio thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffectSnapshot {
    /// The algorithm and a value for each of its parameters.
    pub settings: Settings,
    /// Id of the model; `None` without one, or if the algorithm plays none.
    pub model: Option<ModelId>,
}

/// The reason why a text or a JSON value is not an effect, or why an effect cannot be written as one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EffectError {
    /// The text has no words.
    #[error("no effect; expected an algorithm and its settings, as in 'saturator drive=24'")]
    Empty,
    /// The algorithm's id is unknown.
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    /// The text is the name of a model's file, without an algorithm.
    #[error("'{found}' is the name of a model; expected 'neural model={}'", quoted(found))]
    BareModel {
        /// The text.
        found: String,
    },
    /// The value of a model's knob is no number in its range.
    #[error("{knob}: '{found}' is no value of this knob of the model; expected {expected}")]
    Knob {
        /// The knob's id.
        knob: String,
        /// The value.
        found: String,
        /// The range.
        expected: String,
    },
    /// A word after the algorithm's id has no `=`.
    #[error("'{found}' is no setting; expected PARAMETER=VALUE")]
    NotASetting {
        /// The word.
        found: String,
    },
    /// A parameter is set twice.
    #[error("{id} is given twice; expected once")]
    DuplicateParameter {
        /// The parameter's id as the second setting spells it.
        id: String,
    },
    /// The algorithm has no such parameter, or the parameter cannot have this value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A model is named for an algorithm that plays none.
    #[error("{algorithm} plays no model; expected none, or 'neural'")]
    ModelNotAllowed {
        /// The algorithm's id.
        algorithm: &'static str,
    },
    /// The algorithm plays a model, and neither a file nor `none` is named.
    #[error("{algorithm} has no model; expected model=FILE, or model=none to let the sound pass")]
    ModelMissing {
        /// The algorithm's id.
        algorithm: &'static str,
    },
    /// The model's file cannot be opened: the text of the [`ModelError`](crate::neural::ModelError), which names the file.
    #[error("{0}")]
    Model(String),
    /// The effect cannot be written: its model was made in memory and has no path.
    #[error("the model is in no file, so its name cannot be written; expected one that was opened")]
    ModelWithoutFile,
    /// The effect cannot be written: the path of its model is not Unicode.
    #[error("the model's path '{found}' is no Unicode; expected one that a text can hold")]
    NonUnicodePath {
        /// The path, with replacement characters where it is not Unicode.
        found: String,
    },
    /// A quotation mark is not closed.
    #[error("a quotation mark is open at the end of '{found}'; expected another one")]
    UnclosedQuote {
        /// The whole text.
        found: String,
    },
    /// A JSON value is of the wrong type, or a key of the effect's object is unknown or missing.
    #[error("{found}; expected {expected}")]
    Json {
        /// The value or key that was found.
        found: String,
        /// A description of the expected one.
        expected: &'static str,
    },
}

impl Effect {
    /// An effect with every parameter at its default, without a model. [any thread]
    #[must_use]
    pub fn new(algorithm: &'static Algorithm) -> Self {
        Settings::new(algorithm).into()
    }

    /// Finds the algorithm with this id and returns its [`Self::new`]. [any thread]
    ///
    /// # Errors
    /// If no algorithm has this id; the error lists all ids.
    pub fn from_id(id: &str) -> Result<Self, UnknownAlgorithm> {
        find(id).map(Self::new)
    }

    /// The algorithm's row of the [registry](crate::algorithm::REGISTRY). [any thread]
    #[must_use]
    pub fn algorithm(&self) -> &'static Algorithm {
        self.settings.algorithm()
    }

    /// A copy with the parameter `id` set to the nearest value that it can have. Meant for ids that are written in the code.
    /// [any thread]
    ///
    /// # Panics
    /// If the algorithm has no parameter `id`.
    #[must_use]
    pub fn with(&self, id: &str, value: f32) -> Self {
        Self { settings: self.settings.with(id, value), model: self.model.clone() }
    }

    /// The same effect with this model. [any thread]
    #[must_use]
    pub fn with_model(mut self, model: Arc<Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// The model if the algorithm plays one; `None` for other algorithms even where [`Self::model`] is set. [any thread]
    #[must_use]
    pub fn active_model(&self) -> Option<&Arc<Model>> {
        self.model.as_ref().filter(|_| self.algorithm().plays_model)
    }

    /// A copy of the settings with the id of the active model. [any thread]
    #[must_use]
    pub fn snapshot(&self) -> EffectSnapshot {
        EffectSnapshot { settings: self.settings, model: self.active_model().map(|model| model.id()) }
    }

    /// Makes a processor that sounds as this effect does, in the state after [`Processor::reset`]. [control thread: allocates]
    ///
    /// # Errors
    /// If `spec` is out of range, or the model cannot run at its sample rate or on this machine.
    pub fn prepare(&self, spec: ProcessSpec) -> Result<Box<dyn Processor>, PrepareError> {
        match self.active_model() {
            Some(model) => Ok(Box::new(NeuralProcessor::new(spec, &self.settings, Some(model.clone()))?)),
            None => self.settings.prepare(spec),
        }
    }

    /// Makes the state for a stream that [`Self::process`] processes block by block, offline: a block may take longer than its
    /// sound, and no sample is late. [control thread: allocates]
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn state(&self, spec: ProcessSpec) -> Result<EffectState, PrepareError> {
        let spec = spec.offline();
        Ok(EffectState { processor: self.prepare(spec)?, running: self.snapshot(), spec })
    }

    /// Processes the next block of a stream in place. The block may be longer than the state's `max_frames`.
    ///
    /// The effect may differ from block to block. Ramped parameters that differ from those of the previous block glide to their
    /// new values in this block. If the algorithm, a structural parameter or the model differs, a new state is made, as
    /// before the first frame. [control thread: allocates]
    ///
    /// # Errors
    /// As [`Self::prepare`], if a new state is made.
    ///
    /// # Panics
    /// If the block has another number of channels than the state.
    pub fn process(&self, block: &mut Block<'_>, state: &mut EffectState) -> Result<(), PrepareError> {
        assert_eq!(block.len(), state.spec.channels, "channels of the block and of the state");
        let wanted = self.snapshot();
        if !wanted.same_structure(&state.running) {
            *state = self.state(state.spec)?;
        }
        for index in 0..wanted.settings.algorithm().parameters.len() {
            let value = wanted.settings.get(index);
            if value != state.running.settings.get(index) {
                state.processor.set(index, value);
            }
        }
        state.running = wanted;
        let max_frames = state.spec.max_frames;
        let frames = block.first().map_or(0, |channel| channel.len());
        for from in (0..frames).step_by(max_frames) {
            let to = frames.min(from + max_frames);
            let mut part: Vec<&mut [f32]> = block.iter_mut().map(|channel| &mut channel[from..to]).collect();
            state.processor.process(&mut part);
        }
        Ok(())
    }
}

/// The state of an effect between two blocks of a stream.
pub struct EffectState {
    processor: Box<dyn Processor>,
    /// The effect of the last block.
    running: EffectSnapshot,
    spec: ProcessSpec,
}

impl EffectState {
    /// Frames by which the output lags the input. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.processor.latency()
    }

    /// Goes back to the state before the first frame. [any thread]
    pub fn reset(&mut self) {
        self.processor.reset();
    }

    /// A copy that goes on from the same position. `None` if a part of the state cannot be copied: a model that runs at another
    /// rate than the sound's, or in ONNX Runtime. [control thread: allocates]
    #[must_use]
    pub fn duplicate(&self) -> Option<Self> {
        Some(Self { processor: self.processor.duplicate()?, running: self.running, spec: self.spec })
    }
}

impl EffectSnapshot {
    /// True if one processor can play both: same algorithm, same values of structural parameters, same model. [any thread]
    #[must_use]
    pub fn same_structure(&self, other: &Self) -> bool {
        let (a, b) = (&self.settings, &other.settings);
        std::ptr::eq(a.algorithm(), b.algorithm())
            && self.model == other.model
            && a.algorithm().parameters.iter().enumerate().all(|(i, p)| p.change == ChangeMode::Ramped || a.get(i) == b.get(i))
    }
}

impl From<Settings> for Effect {
    fn from(settings: Settings) -> Self {
        Self { settings, model: None }
    }
}

/// Equal settings and equal active models. Models are equal if they are the same object or were read from the same bytes.
impl PartialEq for Effect {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.active_model(), other.active_model()) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                Arc::ptr_eq(a, b) || (a.user_rate() == b.user_rate() && !a.bytes().is_empty() && a.bytes() == b.bytes())
            }
            _ => false,
        };
        same && self.settings == other.settings
    }
}
