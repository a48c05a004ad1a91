//! The plug-in without a host: for a program that has a window and a device of its own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::params::InternalParamMut;
use nice_plug::prelude::{ParamPtr, Params, PluginApi, PluginState};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::editor::{Hand, SharedParams, snapshot, values};
use super::engine::Engine;
use crate::dsp::{Block, Spec};
use crate::slots::Slots;
use crate::ui::{Controls, Snapshot, TakeAction};

/// Slots with their parameters, models, meters and twins. Dropped, its threads end. All of it: [control thread]
pub struct Rack {
    shared: Arc<Shared>,
    context: GuiContext,
}

/// What a rack is set to, to be kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RackState {
    /// Of each parameter's id, the plain value.
    pub parameters: BTreeMap<String, f32>,
    /// What a state keeps beside the parameters: models.
    pub fields: BTreeMap<String, String>,
}

/// Sets a parameter as it is asked for: there is no host that would have to know.
struct Direct {
    /// Those that there are; `_shared` keeps them alive.
    parameters: HashSet<ParamPtr>,
    _shared: Arc<Shared>,
}

impl Direct {
    fn new(shared: &Arc<Shared>) -> Self {
        let parameters = SharedParams(shared.clone()).param_map().into_iter().map(|(_, parameter, _)| parameter).collect();
        Self { parameters, _shared: shared.clone() }
    }
}

impl GuiContextInner for Direct {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {}

    unsafe fn raw_set_parameter_normalized(&self, parameter: ParamPtr, normalized: f32) {
        if self.parameters.contains(&parameter) {
            // SAFETY: it is a field of the `Bank` inside the `Arc` that `self` holds.
            unsafe { parameter._internal_set_normalized_value(normalized) };
        }
    }

    unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {}

    /// Not asked for by the editor.
    fn get_state(&self) -> PluginState {
        PluginState { version: String::new(), params: BTreeMap::new(), fields: BTreeMap::new() }
    }

    /// Not asked for by the editor.
    fn set_state(&self, _: PluginState) {}

    fn request_restart(&self) {}
}

/// Sets a parameter of a `Bank` that is held to exactly this: by way of the normalised value it would be off by a rounding.
fn set_plain(parameter: ParamPtr, value: f32) {
    // SAFETY: the pointer is to a field of the `Bank` inside the `Arc` that the caller holds.
    unsafe {
        match parameter {
            ParamPtr::FloatParam(p) => (*p)._internal_set_plain_value(value),
            ParamPtr::IntParam(p) => (*p)._internal_set_plain_value(value.round() as i32),
            ParamPtr::BoolParam(p) => (*p)._internal_set_plain_value(value >= 0.5),
            // There is none.
            ParamPtr::EnumParam(_) => false,
        };
    }
}

impl Default for Rack {
    fn default() -> Self {
        let (shared, _) = Shared::new();
        let context = GuiContext::new(Arc::new(Direct::new(&shared)));
        Self { shared, context }
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.shared.go();
    }
}

impl Rack {
    /// What plays through the slots from now on; what played before is heard no more. Nothing if slots cannot be made for this.
    #[must_use]
    pub fn voice(&self, spec: Spec) -> Option<Voice> {
        let mut engine = Engine::new(self.shared.clone());
        engine.prepare(spec, false)?;
        Some(Voice(engine))
    }

    /// Frames by which the slots lag.
    #[must_use]
    pub fn latency_frames(&self) -> usize {
        self.shared.latency.load(Ordering::Relaxed)
    }

    /// Lets models be opened before there is sound.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn open(&self) -> std::io::Result<()> {
        self.shared.open_workshop()
    }

    /// For the editor; takes are the owner's.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.shared)
    }

    /// All values of the panels in short: two that differ are of different values.
    #[must_use]
    pub fn values(&self) -> u64 {
        values(&self.shared)
    }

    /// The user's hand; takes are the owner's, who gets what is asked of them.
    pub fn with_controls<R>(&self, take: &dyn Fn(TakeAction), with: impl FnOnce(&dyn Controls) -> R) -> R {
        with(&Hand { shared: &self.shared, setter: self.context.param_setter(), takes: Some(take) })
    }

    /// What it is set to now.
    #[must_use]
    pub fn state(&self) -> RackState {
        let params = SharedParams(self.shared.clone());
        // SAFETY: the pointers are to fields of the `Bank` inside the `Arc` that `self` holds.
        let plain = |parameter: ParamPtr| unsafe { parameter.unmodulated_plain_value() };
        let parameters = params.param_map().into_iter().map(|(id, parameter, _)| (id, plain(parameter))).collect();
        RackState { parameters, fields: params.serialize_fields() }
    }

    /// Back to what was kept; what that does not say stays.
    pub fn restore(&self, state: &RackState) {
        let params = SharedParams(self.shared.clone());
        for (id, parameter, _) in params.param_map() {
            if let Some(value) = state.parameters.get(&id).filter(|value| value.is_finite()) {
                set_plain(parameter, *value);
            }
        }
        params.deserialize_fields(&state.fields);
    }
}

/// The slots as they play. [audio thread]
pub struct Voice(Engine);

impl Voice {
    /// In place, any number of frames.
    pub fn process(&mut self, block: &mut Block<'_>) {
        self.0.follow();
        self.0.run(block, |slots: &mut Slots, block: &mut Block<'_>| slots.process(block));
    }

    /// What comes next does not follow what came before.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}
