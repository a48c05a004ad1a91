//! The panels' controls over an instance: turns a user's actions into parameter changes and requests, in a host or without one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::models::ModelRequest;
use super::parameters::{BLIND, BYPASS, LISTEN, ParameterStore, RECORD, STANDBY, algorithm_parameter, effect_parameter};
use super::{SharedInstance, builder::jobs, twin};
use crate::algorithm::REGISTRY;
use crate::view::{Control, Controls, ListenAction, Slot, TakeAction, TwinRequest};

/// Setting of parameters by gestures of a user, which a host can record as automation: `begin`, any number of `set`, `end`.
/// `index` is the parameter's index in `parameters::descriptors`. [control thread]
pub trait ParameterGestures {
    /// Begins a gesture on a parameter.
    fn begin(&self, index: usize);
    /// Sets the parameter to a plain value, in its own unit. Through a host it may take effect only a while later.
    fn set(&self, index: usize, value: f32);
    /// Ends the gesture.
    fn end(&self, index: usize);
}

/// Sets the values at once: without a host there is nobody to tell of a gesture.
impl ParameterGestures for ParameterStore {
    fn begin(&self, _: usize) {}

    fn set(&self, index: usize, value: f32) {
        ParameterStore::set(self, index, value);
    }

    fn end(&self, _: usize) {}
}

/// A user's controls over an instance.
pub struct InstanceControls<'a> {
    /// The instance that is controlled.
    pub shared: &'a Arc<SharedInstance>,
    /// The way parameters are set: through a host, or straight in the store.
    pub gestures: &'a dyn ParameterGestures,
    /// Receiver of the user's actions on takes; None if the instance records its own.
    pub on_take: Option<&'a dyn Fn(TakeAction)>,
}

/// The slot with an index: 0 is A, anything else B.
pub fn slot_at(index: usize) -> Slot {
    Slot::ALL[index.min(1)]
}

/// The index of a slot: 0 for A, 1 for B.
fn index_of(slot: Slot) -> usize {
    usize::from(slot == Slot::B)
}

impl InstanceControls<'_> {
    /// Sets a parameter in a gesture of its own.
    fn press(&self, index: usize, value: f32) {
        self.gestures.begin(index);
        self.gestures.set(index, value);
        self.gestures.end(index);
    }

    /// Sets a parameter to the value that it has, so that the host notices that the state is no longer the saved one: nice-plug
    /// has no other way to say so.
    fn touch(&self, index: usize) {
        self.press(index, self.shared.parameters.get(index));
    }

    /// Queues a request for a slot's model, and lets the host notice that the state changes.
    fn request_model(&self, slot: Slot, request: ModelRequest) {
        self.shared.request_model(index_of(slot), request);
        self.touch(algorithm_parameter(index_of(slot)));
    }

    /// Sets slot B to the neural algorithm with neutral settings, so that it plays the twin's model, which it has already.
    fn play_twin_in_b(&self) {
        let neutral = twin::neutral_settings();
        let Some(row) = REGISTRY.iter().position(|row| row.id == neutral.algorithm().id) else { return };
        let slot = index_of(Slot::B);
        for parameter in 0..neutral.algorithm().parameters.len() {
            if let Some(index) = effect_parameter(slot, row, parameter) {
                self.press(index, neutral.get(parameter));
            }
        }
        self.press(algorithm_parameter(slot), row as f32);
        self.shared.training.mark_playing_in_b();
    }

    /// The index of a control's parameter in `parameters::descriptors`; None if the algorithm has no such parameter.
    fn parameter(&self, control: Control) -> Option<usize> {
        match control {
            Control::Listen => Some(LISTEN),
            Control::Bypass => Some(BYPASS),
            Control::Blind => Some(BLIND),
            Control::Algorithm(slot) => Some(algorithm_parameter(index_of(slot))),
            Control::Parameter { slot, algorithm, index } => effect_parameter(index_of(slot), algorithm, index),
        }
    }
}

impl Controls for InstanceControls<'_> {
    fn get(&self, control: Control) -> f32 {
        let parameters = &self.shared.parameters;
        match self.parameter(control) {
            // The parameter holds the side; the panels need the slot that the coin gave to that side.
            Some(LISTEN) if parameters.is_on(BLIND) => self.shared.blind.slot(parameters.get(LISTEN) as usize) as f32,
            Some(index) => parameters.get(index),
            None => 0.0,
        }
    }

    fn begin(&self, control: Control) {
        if let Some(index) = self.parameter(control) {
            self.gestures.begin(index);
        }
    }

    fn set(&self, control: Control, value: f32) {
        if let Some(index) = self.parameter(control) {
            self.gestures.set(index, value);
        }
    }

    fn end(&self, control: Control) {
        if let Some(index) = self.parameter(control) {
            self.gestures.end(index);
        }
    }

    /// Sets the parameter to the side, not to the slot: a host's display must not give away a blind comparison.
    fn press_listen(&self, side: u8) {
        self.shared.listen_button_presses.fetch_add(1, Ordering::Relaxed);
        self.press(LISTEN, f32::from(side));
    }

    fn reveal(&self) {
        self.shared.blind.reveal();
    }

    fn open_model(&self, slot: Slot, path: &Path) {
        self.request_model(slot, ModelRequest::Open(path.to_owned()));
    }

    fn browse_models(&self, slot: Slot) {
        self.shared.request_model(index_of(slot), ModelRequest::Browse);
    }

    fn step_model(&self, slot: Slot, step: i32) {
        self.request_model(slot, ModelRequest::Step(step));
    }

    fn set_model_rate(&self, slot: Slot, sample_rate: f32) {
        self.request_model(slot, ModelRequest::SetRate(sample_rate));
    }

    fn clear_model(&self, slot: Slot) {
        self.request_model(slot, ModelRequest::Clear);
    }

    fn request_twin(&self, request: TwinRequest) {
        match request {
            TwinRequest::Train(size) => self.shared.train_twin(size),
            TwinRequest::Cancel => self.shared.training.cancel(),
            TwinRequest::LoadIntoB => self.shared.load_twin_into_b(),
            TwinRequest::PlayInB => self.play_twin_in_b(),
            TwinRequest::Save => self.shared.training.save(&twin::folder()),
            TwinRequest::Dismiss => self.shared.training.dismiss(),
        }
    }

    fn request_take(&self, action: TakeAction) {
        if let Some(on_take) = self.on_take {
            return on_take(action);
        }
        match action {
            TakeAction::Standby(on) => self.press(STANDBY, f32::from(u8::from(on))),
            TakeAction::Record(on) => {
                if !on || self.shared.parameters.is_on(RECORD) {
                    self.shared.takes.start_or_stop(on);
                }
                self.press(RECORD, f32::from(u8::from(on)));
            }
            TakeAction::Mark => self.shared.takes.mark(),
            TakeAction::Setup(setup) => {
                self.shared.takes.set_setup(setup);
                self.shared.requests.post(jobs::OPEN_OR_CLOSE_RECORDER);
                self.touch(STANDBY);
            }
        }
    }

    fn listen(&self, action: ListenAction) {
        self.shared.listen(action);
    }
}
