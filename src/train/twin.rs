//! From an effect to a playable model of its twin: material, training, evaluation, export.

use std::sync::Arc;

use super::export::{self, ModelMetadata};
use super::material::{KeepGoing, Material, MaterialError, Target};
use super::trainer::{Evaluation, Trainer, TrainingConfig, TrainingConfigError};
use crate::effect::Effect;
use crate::neural::{Model, ModelError};

/// Seconds of training until the first evaluation; each later one is at twice the seconds of the previous one.
const FIRST_EVALUATION_SECONDS: f64 = 2.0;
/// Seconds of generated passages to train on.
const MATERIAL_SECONDS: f64 = 120.0;

/// The progress of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwinProgress {
    /// Part of the training that is done: 0 to 1.
    pub done: f64,
    /// Steps done.
    pub steps: u64,
    /// Seconds of training, without the time for evaluation.
    pub seconds: f64,
    /// Error to signal at the last evaluation; `None` before the first.
    pub esr: Option<f64>,
}

/// A trained model, with its errors.
#[derive(Debug)]
pub struct Twin {
    /// The model; its bytes are those of a model file.
    pub model: Arc<Model>,
    /// The errors on the held-out sounds.
    pub evaluation: Evaluation,
}

/// A failure to train a twin.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// The effect cannot be rendered, or its output is not finite.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The configuration does not fit the material, or its values do not fit together.
    #[error(transparent)]
    Config(#[from] TrainingConfigError),
    /// The exported model cannot be read back, as when the weights diverged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No model file format holds the network.
    #[error("a network that no model file holds")]
    File,
}

/// Trains a network to change a sound as an effect does, and returns it as a model with this name. `watch` is called after every
/// step. Returns `None` soon after `keep_going` returns false: it is asked about once a millisecond, except within a step and at
/// the beginning and the end of the work. [training thread, of low priority: takes as long as the configuration says]
///
/// # Errors
/// If the effect cannot be rendered, the configuration does not fit, or the network diverged.
pub fn train_twin(
    effect: &Effect,
    sample_rate: u32,
    config: TrainingConfig,
    name: String,
    keep_going: KeepGoing<'_>,
    watch: &mut dyn FnMut(&TwinProgress),
) -> Result<Option<Twin>, TwinError> {
    let target = Target::Effect(effect.clone());
    let material = match Material::of_target(&target, None, sample_rate, (MATERIAL_SECONDS, config.seed), keep_going) {
        Err(MaterialError::Cancelled) => return Ok(None),
        other => other?,
    };
    let mut trainer = Trainer::new(config, Arc::new(material))?;
    let (mut esr, mut next) = (None, FIRST_EVALUATION_SECONDS);
    while trainer.progress() < 1.0 {
        trainer.step();
        if trainer.seconds() >= next {
            let Some(evaluation) = trainer.evaluate_while(keep_going) else { return Ok(None) };
            esr = Some(evaluation.esr);
            next = 2.0 * trainer.seconds();
        }
        watch(&TwinProgress { done: trainer.progress(), steps: trainer.steps(), seconds: trainer.seconds(), esr });
        if !keep_going() {
            return Ok(None);
        }
    }
    let Some(evaluation) = trainer.evaluate_while(keep_going) else { return Ok(None) };
    let architecture = trainer.architecture();
    let metadata = ModelMetadata { name, sample_rate, esr: evaluation.esr, late_frames: trainer.config().look_ahead, knob: None };
    let file =
        export::nam(&architecture, &metadata).or_else(|| export::keras(&architecture, &metadata)).ok_or(TwinError::File)?;
    Ok(Some(Twin { model: Model::read(file.into_bytes())?, evaluation }))
}
