//! Export of a model for a multiple of its rate: every convolution looks N times as many frames back, so a player that runs
//! the file at N times the rate has the model with N times oversampling, without knowing of it.
//!
//! The new file is the old text with few numbers changed: the dilations, the taps of an impulse response, the sample rate. Such
//! a network gives at each Nth frame what the old one makes of each Nth frame of the input, bit for bit.

use std::sync::Arc;

use super::FORMAT;
use super::text::{Edits, Place};
use crate::audio::Random;
use crate::neural::budget::{MAX_DILATION, MAX_TAPS, SAMPLE_RATES};
use crate::neural::description::{Architecture, ConditionModel, WaveNet};
use crate::neural::engine::{EngineError, StateSpec};
use crate::neural::formats;
use crate::neural::json::{self, Field};
use crate::neural::metadata::Ignored;
use crate::neural::model::MAX_LATE_FRAMES;
use crate::neural::{Model, ModelError};

/// The key in `metadata` of a line on what was done to a file.
const REMARK: &str = "oversampled";

/// Frames of the test sound, at the model's own rate, beyond its receptive field.
const TEST_FRAMES: usize = 1024;

/// The reason why a model cannot be exported at a multiple of its rate: one line with what was found and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum OversampleError {
    /// A factor that is not 2, 4, 8 and so on.
    #[error("a factor of {found}; expected a power of two: 2, 4 and so on")]
    Factor {
        /// The factor asked for.
        found: usize,
    },
    /// The model's file has another format.
    #[error("a model in {found}; expected .nam, the format with dilations and a sample rate that can be raised")]
    Format {
        /// Name of the format.
        found: &'static str,
    },
    /// The rate would be higher than those that are read.
    #[error("a sample rate of {found} Hz at {factor}x; expected at most {limit}")]
    Rate {
        /// The rate that the file would have, in Hz.
        found: f32,
        /// The factor asked for.
        factor: usize,
        /// The highest sample rate of a model, in Hz.
        limit: f64,
    },
    /// The model would be late by more frames than a file may say.
    #[error("metadata.late_frames: {found} at {factor}x; expected at most {MAX_LATE_FRAMES}")]
    LateFrames {
        /// The frames that the file would say.
        found: usize,
        /// The factor asked for.
        factor: usize,
    },
    /// Part of the model has nothing in the format that could be raised. The error names the field.
    #[error(transparent)]
    Part(ModelError),
    /// The file that would be written is none that is read.
    #[error("at {factor}x: {error}")]
    Result {
        /// The factor asked for.
        factor: usize,
        /// The reader's error.
        error: ModelError,
    },
    /// A network cannot run on this machine, so the result cannot be checked.
    #[error("{0}")]
    Engine(String),
    /// The exported model does not sound as it must.
    #[error("size {size}: {found} at frame {frame} of a test sound; expected {expected}, as the model at {factor}x gives")]
    Sound {
        /// Number of the size, from 1 on.
        size: usize,
        /// The factor asked for.
        factor: usize,
        /// The first frame that differs.
        frame: usize,
        /// Sample of the exported model.
        found: f32,
        /// Sample of the model that was exported.
        expected: f32,
    },
}

impl From<EngineError> for OversampleError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error.to_string())
    }
}

impl Model {
    /// The model for `factor` times its sample rate, made from its `.nam` file; [`Model::bytes`] is the new file. All dilations
    /// and `late_frames` are multiplied by the factor, `head_dilation` is set for heads of several taps, the taps of a Linear
    /// get zeros between them, the metadata get the line `oversampled`; every other byte is as before. [control thread:
    /// allocates]
    ///
    /// # Errors
    /// If the factor is no power of two from 2 on, the model is recurrent or its file is no `.nam`, a head behind the arrays has
    /// several taps (the format has no dilation for it), or the result exceeds a limit of what is read.
    ///
    /// # Examples
    /// ```
    /// use isotherm::neural::Model;
    ///
    /// let file = r#"{"version": "0.5.4", "architecture": "ConvNet", "sample_rate": 48000, "weights": [0.5, 1, 0, 1, 0],
    ///     "config": {"channels": 1, "dilations": [3], "batchnorm": false, "activation": "Tanh"}}"#;
    /// let model = Model::read(file.into())?;
    /// let twice = model.oversampled(2)?;
    /// assert!(twice.bytes().windows(16).any(|part| part == br#""dilations": [6]"#));
    /// assert_eq!(twice.info().sample_rate, 96_000.0);
    /// model.check_oversampled(&twice, 2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oversampled(&self, factor: usize) -> Result<Arc<Model>, OversampleError> {
        let info = self.info();
        if factor < 2 || !factor.is_power_of_two() {
            return Err(OversampleError::Factor { found: factor });
        }
        if info.format != FORMAT.id {
            let row = formats::FORMATS.iter().find(|row| row.id == info.format);
            return Err(OversampleError::Format { found: row.map_or(info.format, |row| row.name) });
        }
        let rate = info.sample_rate * factor as f32;
        if f64::from(rate) > SAMPLE_RATES.1 {
            return Err(OversampleError::Rate { found: rate, factor, limit: SAMPLE_RATES.1 });
        }
        let late_frames = info.late_frames * factor;
        if late_frames > MAX_LATE_FRAMES {
            return Err(OversampleError::LateFrames { found: late_frames, factor });
        }
        let place = Place::root(self.bytes());
        let value = json::parse(place.bytes()).map_err(OversampleError::Part)?;
        let root = Node { field: Field::root(&value), place };
        let mut export = Export { factor, edits: Edits::default() };
        export.model(&root).map_err(OversampleError::Part)?;
        export.edits.set(place, "sample_rate", &rate.to_string());
        export.metadata(&root, late_frames).map_err(OversampleError::Part)?;
        Model::read(export.edits.apply(self.bytes())).map_err(|error| OversampleError::Result { factor, error })
    }

    /// Checks that `exported`, made by [`Model::oversampled`] from this model, gives the same samples as this model at `factor`
    /// times its rate: noise goes through each size, at once through the exported network and, every `factor`th frame, through
    /// as many states of this one. Returns the number of frames that are equal bit for bit, from the first on: all of them, or
    /// those before this model's output becomes NaN or infinite. [control thread: allocates, and takes as long as the networks need]
    ///
    /// # Errors
    /// If a sample differs, or a network cannot run on this machine.
    pub fn check_oversampled(&self, exported: &Model, factor: usize) -> Result<usize, OversampleError> {
        let mut compared = usize::MAX;
        for (index, size) in self.sizes().iter().enumerate() {
            let reach = size.architecture.as_ref().and_then(|a| a.receptive_field()).unwrap_or(1);
            let frames = (reach + TEST_FRAMES) * factor;
            let mut random = Random::new(1);
            let input: Vec<f32> = (0..frames).map(|_| random.within(-1.0, 1.0)).collect();
            let mut output = input.clone();
            exported.network(index).clone().state(StateSpec::new(1))?.process(&mut [&mut output], &[]);
            let mut expected = vec![0.0; frames];
            for phase in 0..factor {
                let mut part: Vec<f32> = input.iter().skip(phase).step_by(factor).copied().collect();
                self.network(index).clone().state(StateSpec::new(1))?.process(&mut [&mut part], &[]);
                expected.iter_mut().skip(phase).step_by(factor).zip(part).for_each(|(to, y)| *to = y);
            }
            let finite = expected.iter().position(|y| !y.is_finite()).unwrap_or(frames);
            let mut both = output.iter().zip(&expected).take(finite).enumerate();
            if let Some((frame, (found, expected))) = both.find(|(_, (found, expected))| found != expected) {
                return Err(OversampleError::Sound { size: index + 1, factor, frame, found: *found, expected: *expected });
            }
            compared = compared.min(finite);
        }
        Ok(compared)
    }

    /// True if a head of an array of layers has taps that are further apart than one frame. NeuralAmpModelerCore knows this
    /// (`head_dilation`) from version 0.5.5 on; older ones play such a model as if the taps were neighbours. [any thread]
    #[must_use]
    pub fn has_head_dilation(&self) -> bool {
        self.sizes().iter().filter_map(|size| size.architecture.as_ref()).any(has_head_dilation)
    }
}

fn has_head_dilation(architecture: &Architecture) -> bool {
    fn in_wavenet(w: &WaveNet) -> bool {
        let in_condition = match w.condition.as_deref() {
            Some(ConditionModel::WaveNet(w)) => in_wavenet(w),
            Some(ConditionModel::Sequence(_)) | None => false,
        };
        in_condition || w.arrays.iter().any(|array| array.head.taps > 1 && array.head.dilation > 1)
    }
    match architecture {
        Architecture::Sequence(_) => false,
        Architecture::WaveNet(w) => in_wavenet(w),
        Architecture::Series(parts) => parts.iter().any(has_head_dilation),
    }
}

/// A value of the file: what it is, and where it is in the text.
struct Node<'a> {
    field: Field<'a>,
    place: Place<'a>,
}

impl<'a> Node<'a> {
    /// The value of a key of this object; `None` if the key is missing or its value is null.
    fn find(&self, key: &str) -> Result<Option<Self>, ModelError> {
        Ok(self.field.find(key)?.zip(self.place.find(key)).map(|(field, place)| Node { field, place }))
    }

    /// The value of a key of this object.
    fn get(&self, key: &str) -> Result<Self, ModelError> {
        self.find(key)?.ok_or_else(|| self.field.error(format!("no '{key}'"), "one"))
    }

    /// The items of this list.
    fn items(&self) -> Result<Vec<Self>, ModelError> {
        let fields = self.field.list(0, usize::MAX)?;
        Ok(fields.into_iter().zip(self.place.items()).map(|(field, place)| Node { field, place }).collect())
    }
}

/// The changes of a file for `factor` times the sample rate.
struct Export {
    factor: usize,
    edits: Edits,
}

impl Export {
    /// Changes a model without its sample rate and metadata: the whole file or a model inside it.
    fn model(&mut self, at: &Node<'_>) -> Result<(), ModelError> {
        let (architecture, config) = (at.get("architecture")?, at.get("config")?);
        match architecture.field.text()? {
            "WaveNet" => self.wavenet(&config),
            "ConvNet" => self.dilations(&config),
            "Linear" => self.linear(&config, &at.get("weights")?),
            "SlimmableContainer" => {
                config.get("submodels")?.items()?.iter().try_for_each(|size| self.inner_model(&size.get("model")?))
            }
            "Sequential" => config.get("models")?.items()?.iter().try_for_each(|part| self.inner_model(part)),
            _ => {
                let expected = "WaveNet, ConvNet or Linear: the format has nothing to make a recurrence slower";
                Err(architecture.field.unexpected(expected))
            }
        }
    }

    /// Changes a model inside another, with its sample rate if it has one.
    fn inner_model(&mut self, at: &Node<'_>) -> Result<(), ModelError> {
        if let Some(rate) = Ignored::default().sample_rate(&at.field, "sample_rate")? {
            self.edits.set(at.place, "sample_rate", &(rate * self.factor as f32).to_string());
        }
        self.model(at)
    }

    fn wavenet(&mut self, config: &Node<'_>) -> Result<(), ModelError> {
        for array in config.get("layers")?.items()? {
            self.dilations(&array)?;
            if let Some(head) = array.find("head")?
                && head.field.get("kernel_size")?.whole(1, MAX_TAPS)? > 1
            {
                let dilation = head.field.find("head_dilation")?.map_or(Ok(1), |field| field.whole(1, MAX_DILATION))?;
                self.edits.set(head.place, "head_dilation", &(dilation * self.factor).to_string());
            }
        }
        if let Some(head) = config.find("head")? {
            for taps in head.get("kernel_sizes")?.items()? {
                if taps.field.whole(1, MAX_TAPS)? > 1 {
                    return Err(taps.field.unexpected("1: the format has no dilation for the head behind the arrays"));
                }
            }
        }
        config.find("condition_dsp")?.map_or(Ok(()), |condition| self.inner_model(&condition))
    }

    /// Multiplies the dilations of all layers.
    fn dilations(&mut self, config: &Node<'_>) -> Result<(), ModelError> {
        for dilation in config.get("dilations")?.items()? {
            let frames = dilation.field.whole(1, MAX_DILATION)?;
            self.edits.replace(dilation.place, (frames * self.factor).to_string());
        }
        Ok(())
    }

    /// Puts zeros between the taps of an impulse response.
    fn linear(&mut self, config: &Node<'_>, weights: &Node<'_>) -> Result<(), ModelError> {
        let field = config.get("receptive_field")?;
        let taps = field.field.whole(1, MAX_TAPS)?;
        let spread = (taps - 1) * self.factor + 1;
        if spread > MAX_TAPS {
            return Err(field.field.error(format!("{spread} taps at {}x", self.factor), format!("at most {MAX_TAPS}")));
        }
        self.edits.replace(field.place, spread.to_string());
        for tap in weights.place.items().into_iter().take(taps - 1) {
            self.edits.insert_after(tap, ", 0".repeat(self.factor - 1));
        }
        Ok(())
    }

    /// Sets what the metadata of the file say of it.
    fn metadata(&mut self, root: &Node<'_>, late_frames: usize) -> Result<(), ModelError> {
        let mut remark = format!("{}x by Isotherm {}", self.factor, env!("CARGO_PKG_VERSION"));
        let Some(metadata) = root.find("metadata")? else {
            self.edits.set(root.place, "metadata", &format!("{{\"{REMARK}\": {}}}", quoted(&remark)));
            return Ok(());
        };
        if !metadata.field.is_object() {
            return Err(metadata.field.unexpected("an object"));
        }
        // A file that was exported before keeps what was done then.
        if let Some(before) = metadata.field.find(REMARK)?
            && let Ok(before) = before.text()
        {
            remark = format!("{before}, {remark}");
        }
        self.edits.set(metadata.place, REMARK, &quoted(&remark));
        if late_frames > 0 {
            self.edits.set(metadata.place, "late_frames", &late_frames.to_string());
        }
        Ok(())
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
