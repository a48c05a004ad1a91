//! The saved state of an instance: values by the parameters' ids, and texts beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::builder::jobs;
use super::models::ModelRequest;
use super::parameters::{SLOTS, descriptors};
use super::{Instance, Shared};

/// What an instance without a host is set to, to be kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceState {
    /// Of each parameter's id, the plain value.
    pub parameters: BTreeMap<String, f32>,
    /// What a state keeps beside the parameters: models and what is recorded.
    pub fields: BTreeMap<String, String>,
}

/// A state's name for what is recorded, and where, for ever.
const TAKES_FIELD: &str = "takes";

/// A state's name for a slot's model, for ever: `a_model`.
fn model_field(slot: &str) -> String {
    format!("{}_model", slot.to_lowercase())
}

impl Shared {
    /// What a state keeps beside the parameters. [any thread but the audio thread]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let models = SLOTS.iter().zip(&self.models).map(|(name, model)| (model_field(name), model.stored().to_string()));
        models.chain([(TAKES_FIELD.into(), self.takes.stored())]).collect()
    }

    /// Back to what was kept; what is not there stays. Reads no file. [any thread but the audio thread]
    pub fn restore_fields(&self, fields: &BTreeMap<String, String>) {
        if let Some(field) = fields.get(TAKES_FIELD) {
            self.takes.restore(field);
            self.requests.ask(jobs::RECORD);
        }
        for (slot, name) in SLOTS.iter().enumerate() {
            if let Some(field) = fields.get(&model_field(name)) {
                self.ask_model(slot, ModelRequest::Restore(field.clone()));
            }
        }
    }
}

impl Instance {
    /// What it is set to now. [control thread]
    #[must_use]
    pub fn state(&self) -> InstanceState {
        let value = |at: usize| self.parameters().get(at);
        let parameters = descriptors().iter().enumerate().map(|(at, d)| (d.id.clone(), value(at))).collect();
        InstanceState { parameters, fields: self.shared().fields() }
    }

    /// Back to what was kept; what that does not say stays. [control thread]
    pub fn restore(&self, state: &InstanceState) {
        for (at, descriptor) in descriptors().iter().enumerate() {
            if let Some(value) = state.parameters.get(&descriptor.id).filter(|value| value.is_finite()) {
                self.parameters().set(at, *value);
            }
        }
        self.shared().restore_fields(&state.fields);
    }
}
