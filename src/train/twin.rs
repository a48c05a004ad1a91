//! From an effect to a model that can be played at once.

use std::sync::Arc;

use super::export::{self, Label};
use super::material::{Material, MaterialError, Target, Wanted};
use super::trainer::{Evaluation, Plan, PlanError, Trainer};
use crate::effect::Effect;
use crate::neural::{Model, ModelError};

/// Seconds of training after which what is held out is measured for the first time; then each time at twice the seconds.
const FIRST_LOOK_SECONDS: f64 = 2.0;
/// Of generated material.
const MATERIAL_SECONDS: f64 = 120.0;

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Part of the plan: 0 to 1.
    pub done: f64,
    pub steps: u64,
    /// Of training.
    pub seconds: f64,
    /// Error to signal when it was last measured.
    pub esr: Option<f64>,
}

/// A model and how good it is.
#[derive(Debug)]
pub struct Twin {
    /// Its bytes are the file.
    pub model: Arc<Model>,
    pub found: Evaluation,
}

/// Why there is no twin.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    #[error(transparent)]
    Material(#[from] MaterialError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("a network that no model file holds")]
    File,
}

/// Trains a network to do what an effect does, as a model of this name. `watch` is called behind every step. As
/// soon as it is no longer `wanted` it ends without a twin; within a millisecond's work, apart from the beginning and the end of a step
/// and of a file. [a thread of its own, of low priority: takes as long as the plan says]
///
/// # Errors
/// If the effect cannot be rendered, the plan does not fit, or the network diverged.
pub fn twin(
    effect: &Effect,
    sample_rate: u32,
    plan: Plan,
    name: String,
    wanted: Wanted<'_>,
    watch: &mut dyn FnMut(&Progress),
) -> Result<Option<Twin>, TwinError> {
    let target = Target::Effect(effect.clone());
    let material = match Material::of_target(&target, None, sample_rate, (MATERIAL_SECONDS, plan.seed), wanted) {
        Err(MaterialError::CalledOff) => return Ok(None),
        other => other?,
    };
    let mut trainer = Trainer::new(plan, Arc::new(material))?;
    let (mut esr, mut next) = (None, FIRST_LOOK_SECONDS);
    while trainer.progress() < 1.0 {
        trainer.step();
        if trainer.seconds() >= next {
            let Some(found) = trainer.evaluate_while(wanted) else { return Ok(None) };
            esr = Some(found.esr);
            next = 2.0 * trainer.seconds();
        }
        watch(&Progress { done: trainer.progress(), steps: trainer.steps(), seconds: trainer.seconds(), esr });
        if !wanted() {
            return Ok(None);
        }
    }
    let Some(found) = trainer.evaluate_while(wanted) else { return Ok(None) };
    let architecture = trainer.architecture();
    let label = Label { name, sample_rate, esr: found.esr, late_frames: trainer.plan().look_ahead, knob: None };
    let file = export::nam(&architecture, &label).or_else(|| export::keras(&architecture, &label)).ok_or(TwinError::File)?;
    Ok(Some(Twin { model: Model::read(file.into_bytes())?, found }))
}
