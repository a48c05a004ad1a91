//! An effect as a value: an algorithm, its settings and perhaps a model.
//!
//! It can be written and read as text and as JSON, compared, cloned and sent between threads; [`Effect::prepare`] makes what processes
//! sound. Slots, rendering, measuring and training all speak of effects.
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

use crate::algorithm::{UnknownAlgorithm, find};
use crate::dsp::{Algorithm, Block, Change, PrepareError, Processor, SettingError, Settings, Spec};
use crate::neural::{Model, ModelId, Neural};

/// See the module.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The algorithm and a value for each of its parameters.
    pub settings: Settings,
    /// The model, for an algorithm that plays one; others leave it alone.
    pub model: Option<Arc<Model>>,
}

/// An effect as plain data, its model by the identity: copied freely, also on the audio thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outline {
    pub settings: Settings,
    pub model: Option<ModelId>,
}

/// Why a text or a JSON is no effect, or an effect cannot be written as one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EffectError {
    #[error("no effect; expected an algorithm and its settings, as in 'saturator drive=24'")]
    Empty,
    #[error(transparent)]
    Algorithm(#[from] UnknownAlgorithm),
    #[error("'{found}' is no setting; expected PARAMETER=VALUE")]
    NotASetting { found: String },
    #[error("{id} is given twice; expected once")]
    Twice { id: String },
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("{algorithm} plays no model; expected none, or 'neural'")]
    PlaysNone { algorithm: &'static str },
    #[error("{algorithm} has no model; expected model=FILE, or model=none to let the sound pass")]
    NoModel { algorithm: &'static str },
    #[error("{0}")]
    Model(String),
    #[error("the model is in no file, so its name cannot be written; expected one that was opened")]
    NoFile,
    #[error("the model's path '{found}' is no Unicode; expected one that a text can hold")]
    Path { found: String },
    #[error("a quotation mark is open at the end of '{found}'; expected another one")]
    Open { found: String },
    #[error("{found}; expected {expected}")]
    Json { found: String, expected: &'static str },
}

impl Effect {
    /// Every parameter at its default, without a model. [any thread]
    #[must_use]
    pub fn new(algorithm: &'static Algorithm) -> Self {
        Settings::new(algorithm).into()
    }

    /// [`Self::new`] of the algorithm with this id. [any thread]
    ///
    /// # Errors
    /// If there is none; names those that there are.
    pub fn from_id(id: &str) -> Result<Self, UnknownAlgorithm> {
        find(id).map(Self::new)
    }

    /// [any thread]
    #[must_use]
    pub fn algorithm(&self) -> &'static Algorithm {
        self.settings.algorithm()
    }

    /// This with `id` set to the nearest value that it can have: for code that names a parameter. [any thread]
    ///
    /// # Panics
    /// If the row has no parameter `id`.
    #[must_use]
    pub fn with(&self, id: &str, value: f32) -> Self {
        Self { settings: self.settings.with(id, value), model: self.model.clone() }
    }

    /// This with a model. [any thread]
    #[must_use]
    pub fn with_model(mut self, model: Arc<Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// The model, if the algorithm plays one. [any thread]
    #[must_use]
    pub fn played(&self) -> Option<&Arc<Model>> {
        self.model.as_ref().filter(|_| self.algorithm().model)
    }

    /// [any thread]
    #[must_use]
    pub fn outline(&self) -> Outline {
        Outline { settings: self.settings, model: self.played().map(|model| model.id()) }
    }

    /// What processes sound as this effect does; it is as if `reset`. [control thread: allocates]
    ///
    /// # Errors
    /// If `spec` is out of range, or the model cannot play here.
    pub fn prepare(&self, spec: Spec) -> Result<Box<dyn Processor>, PrepareError> {
        match self.played() {
            Some(model) => Ok(Box::new(Neural::new(spec, &self.settings, Some(model.clone()))?)),
            None => self.settings.prepare(spec),
        }
    }

    /// A state to process sound with, block by block. [control thread: allocates]
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn state(&self, spec: Spec) -> Result<State, PrepareError> {
        Ok(State { processor: self.prepare(spec)?, runs: self.outline(), spec })
    }

    /// The next block of a stream, in place. Ramped values that differ from those that the state ran with glide from this block on;
    /// with another structure the state is made anew, as if before the first frame. [control thread: allocates]
    ///
    /// # Errors
    /// As [`Self::prepare`], only where the structure is another.
    ///
    /// # Panics
    /// If the block has another number of channels than the state.
    pub fn process(&self, block: &mut Block<'_>, state: &mut State) -> Result<(), PrepareError> {
        assert_eq!(block.len(), state.spec.channels, "channels of the block and of the state");
        let wanted = self.outline();
        if !wanted.same_structure(&state.runs) {
            *state = self.state(state.spec)?;
        }
        for index in 0..wanted.settings.algorithm().parameters.len() {
            let value = wanted.settings.get(index);
            if value != state.runs.settings.get(index) {
                state.processor.set(index, value);
            }
        }
        state.runs = wanted;
        let longest = state.spec.max_frames;
        let frames = block.first().map_or(0, |channel| channel.len());
        for from in (0..frames).step_by(longest) {
            let to = frames.min(from + longest);
            let mut part: Vec<&mut [f32]> = block.iter_mut().map(|channel| &mut channel[from..to]).collect();
            state.processor.process(&mut part);
        }
        Ok(())
    }
}

/// Where an effect stands between two blocks of a stream.
pub struct State {
    processor: Box<dyn Processor>,
    runs: Outline,
    spec: Spec,
}

impl State {
    /// Frames by which the output lags the input. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.processor.latency()
    }

    /// Back to before the first frame. [any thread]
    pub fn reset(&mut self) {
        self.processor.reset();
    }

    /// Another state that goes on from the same place; nothing where a part of it cannot be copied: a model at another rate than the
    /// sound's, or one that ONNX Runtime runs. [control thread: allocates]
    #[must_use]
    pub fn duplicate(&self) -> Option<Self> {
        Some(Self { processor: self.processor.duplicate()?, runs: self.runs, spec: self.spec })
    }
}

impl Outline {
    /// Whether `other` needs no other processor: same algorithm, same structural values, same model. [any thread]
    #[must_use]
    pub fn same_structure(&self, other: &Self) -> bool {
        let (a, b) = (&self.settings, &other.settings);
        std::ptr::eq(a.algorithm(), b.algorithm())
            && self.model == other.model
            && a.algorithm().parameters.iter().enumerate().all(|(i, p)| p.change == Change::Ramped || a.get(i) == b.get(i))
    }
}

impl From<Settings> for Effect {
    fn from(settings: Settings) -> Self {
        Self { settings, model: None }
    }
}

/// Two models are the same if they are one, or came from the same bytes.
impl PartialEq for Effect {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.played(), other.played()) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b) || (!a.bytes().is_empty() && a.bytes() == b.bytes()),
            _ => false,
        };
        same && self.settings == other.settings
    }
}
