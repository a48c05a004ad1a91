//! The saved state of an instance: values by the parameters' ids, and texts beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::builder::jobs;
use super::models::ModelRequest;
use super::parameters::{SLOT_NAMES, descriptors};
use super::{Instance, SharedInstance};

/// The saved state of an instance without a host, for a settings file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceState {
    /// The plain value of each parameter, by its id.
    pub parameters: BTreeMap<String, f32>,
    /// Texts beside the parameters, by name: the slots' models and the setup of takes.
    pub fields: BTreeMap<String, String>,
}

/// Name of the field with the setup of takes (which sources, to which folder). Saved states hold it, so it never changes.
const TAKES_FIELD: &str = "takes";

/// Name of the field with a slot's model: `a_model`, `b_model`. Saved states hold it, so it never changes.
fn model_field(slot: &str) -> String {
    format!("{}_model", slot.to_lowercase())
}

impl SharedInstance {
    /// The texts that a state keeps beside the parameters, by name. [any thread but the audio thread]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let models = SLOT_NAMES.iter().zip(&self.models).map(|(name, model)| (model_field(name), model.state_text().to_string()));
        models.chain([(TAKES_FIELD.into(), self.takes.state_text())]).collect()
    }

    /// Restores the texts of [`Self::fields`]; anything whose field is missing stays unchanged. Reads no file: the builder thread
    /// does. [any thread but the audio thread]
    pub fn restore_fields(&self, fields: &BTreeMap<String, String>) {
        if let Some(text) = fields.get(TAKES_FIELD) {
            self.takes.restore(text);
            self.requests.post(jobs::OPEN_OR_CLOSE_RECORDER);
        }
        for (slot, name) in SLOT_NAMES.iter().enumerate() {
            if let Some(text) = fields.get(&model_field(name)) {
                self.request_model(slot, ModelRequest::Restore(text.clone()));
            }
        }
    }
}

impl Instance {
    /// The current state. [control thread]
    #[must_use]
    pub fn state(&self) -> InstanceState {
        let value = |index: usize| self.parameters().get(index);
        let parameters = descriptors().iter().enumerate().map(|(index, d)| (d.id.clone(), value(index))).collect();
        InstanceState { parameters, fields: self.shared().fields() }
    }

    /// Restores a state. Parameters and fields that it does not hold stay unchanged, and so do those whose value is not finite.
    /// [control thread]
    pub fn restore(&self, state: &InstanceState) {
        for (index, descriptor) in descriptors().iter().enumerate() {
            if let Some(value) = state.parameters.get(&descriptor.id).filter(|value| value.is_finite()) {
                self.parameters().set(index, *value);
            }
        }
        self.shared().restore_fields(&state.fields);
    }
}
