//! From an effect to a playable model of its twin: material, training, evaluation, export.

use std::sync::Arc;

use super::export::{self, ModelMetadata};
use super::material::{KeepGoing, Material, MaterialError, Target};
use super::trainer::{Evaluation, Trainer, TrainingConfig, TrainingConfigError};
use super::training_loop::{EarlyStopping, TrainingLoop, TwinProgress};
use crate::effect::Effect;
use crate::neural::{Model, ModelError};

/// Seconds of generated passages to train on.
const MATERIAL_SECONDS: f64 = 120.0;

/// A trained model, with its errors.
#[derive(Debug)]
pub struct Twin {
    /// The model; its bytes are those of a model file.
    pub model: Arc<Model>,
    /// The errors on the held-out sounds.
    pub evaluation: Evaluation,
    /// Lines for the user about what the training lacked: [`TrainedNetwork::remarks`](super::TrainedNetwork::remarks).
    pub remarks: Vec<String>,
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

/// Trains a network to change a sound as an effect does, and returns it as a model with this name. The model has the best weights
/// that an evaluation found. `watch` is called after every step. Returns `None` soon after `keep_going` returns false: it is asked
/// about once a millisecond, except within a step and at the beginning and the end of the work. [training thread, of low priority:
/// takes as long as the steps of the configuration, or as `early_stopping` says]
///
/// # Errors
/// If the effect cannot be rendered, the configuration does not fit, or the network diverged.
pub fn train_twin(
    effect: &Effect,
    sample_rate: u32,
    config: TrainingConfig,
    early_stopping: EarlyStopping,
    name: String,
    keep_going: KeepGoing<'_>,
    watch: &mut dyn FnMut(&TwinProgress),
) -> Result<Option<Twin>, TwinError> {
    let target = Target::Effect(effect.clone());
    let material = match Material::of_target(&target, None, sample_rate, (MATERIAL_SECONDS, config.seed), keep_going) {
        Err(MaterialError::Cancelled) => return Ok(None),
        other => other?,
    };
    let late_frames = config.look_ahead;
    let mut training = TrainingLoop::new(Trainer::new(config, Arc::new(material))?, early_stopping);
    while !training.is_over() {
        if !training.step(keep_going) {
            return Ok(None);
        }
        watch(&training.progress());
        if !keep_going() {
            return Ok(None);
        }
    }
    let Some(trained) = training.finish(keep_going) else { return Ok(None) };
    let metadata = ModelMetadata { name, sample_rate, esr: trained.evaluation.esr, late_frames, knob: None };
    let architecture = &trained.architecture;
    let file = export::nam(architecture, &metadata).or_else(|| export::keras(architecture, &metadata)).ok_or(TwinError::File)?;
    let remarks = trained.remarks();
    Ok(Some(Twin { model: Model::read(file.into_bytes())?, evaluation: trained.evaluation, remarks }))
}
