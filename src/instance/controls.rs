//! The panels' controls over an instance: what a user does in a window, whoever owns the window.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::models::ModelRequest;
use super::parameters::{ARM, BLIND, BYPASS, LISTEN, Parameters, RECORD, algorithm_of, effect_of};
use super::{Shared, builder::jobs, twin};
use crate::algorithm::REGISTRY;
use crate::view::{Control, Controls, Slot, TakeAction, TwinWish};

/// The way in which a face sets parameters, each by its position in `parameters::descriptors`: a host is told of a gesture, so that
/// it can record automation. [control thread]
pub trait Gestures {
    fn begin(&self, at: usize);
    /// The value is plain, and counts as soon as the face can let it.
    fn set(&self, at: usize, value: f32);
    fn end(&self, at: usize);
}

/// Without a host nobody has to be told.
impl Gestures for Parameters {
    fn begin(&self, _: usize) {}

    fn set(&self, at: usize, value: f32) {
        Parameters::set(self, at, value);
    }

    fn end(&self, _: usize) {}
}

/// An instance in the hands of a user.
pub struct InstanceControls<'a> {
    pub shared: &'a Arc<Shared>,
    pub gestures: &'a dyn Gestures,
    /// Who does what is asked of takes, if it is not the instance.
    pub takes: Option<&'a dyn Fn(TakeAction)>,
}

pub fn slot_of(position: usize) -> Slot {
    Slot::ALL[position.min(1)]
}

fn position_of(slot: Slot) -> usize {
    usize::from(slot == Slot::B)
}

impl InstanceControls<'_> {
    /// A whole gesture.
    fn press(&self, at: usize, value: f32) {
        self.gestures.begin(at);
        self.gestures.set(at, value);
        self.gestures.end(at);
    }

    /// A host cannot be told that a state is no longer the saved one; a touched parameter tells it.
    fn touch(&self, at: usize) {
        self.press(at, self.shared.parameters.get(at));
    }

    fn ask_model(&self, slot: Slot, request: ModelRequest) {
        self.shared.ask_model(position_of(slot), request);
        self.touch(algorithm_of(position_of(slot)));
    }

    /// Slot B plays the model that it has, with neutral settings.
    fn seat_twin(&self) {
        let neutral = twin::neutral();
        let Some(row) = REGISTRY.iter().position(|row| row.id == neutral.algorithm().id) else { return };
        let slot = position_of(Slot::B);
        for index in 0..neutral.algorithm().parameters.len() {
            if let Some(at) = effect_of(slot, row, index) {
                self.press(at, neutral.get(index));
            }
        }
        self.press(algorithm_of(slot), row as f32);
        self.shared.training.seated();
    }

    fn parameter(&self, control: Control) -> Option<usize> {
        match control {
            Control::Listen => Some(LISTEN),
            Control::Bypass => Some(BYPASS),
            Control::Blind => Some(BLIND),
            Control::Algorithm(slot) => Some(algorithm_of(position_of(slot))),
            Control::Parameter { slot, algorithm, index } => effect_of(position_of(slot), algorithm, index),
        }
    }
}

impl Controls for InstanceControls<'_> {
    fn get(&self, control: Control) -> f32 {
        let parameters = &self.shared.parameters;
        match self.parameter(control) {
            // The slot behind the side, once it may be known.
            Some(LISTEN) if parameters.is_on(BLIND) => self.shared.blind.slot(parameters.get(LISTEN) as usize) as f32,
            Some(at) => parameters.get(at),
            None => 0.0,
        }
    }

    fn begin(&self, control: Control) {
        if let Some(at) = self.parameter(control) {
            self.gestures.begin(at);
        }
    }

    fn set(&self, control: Control, value: f32) {
        if let Some(at) = self.parameter(control) {
            self.gestures.set(at, value);
        }
    }

    fn end(&self, control: Control) {
        if let Some(at) = self.parameter(control) {
            self.gestures.end(at);
        }
    }

    /// The parameter holds the side, so that in a blind comparison no host's display tells the slot.
    fn press_listen(&self, side: u8) {
        self.shared.presses.fetch_add(1, Ordering::Relaxed);
        self.press(LISTEN, f32::from(side));
    }

    fn reveal(&self) {
        self.shared.blind.reveal();
    }

    fn open_model(&self, slot: Slot, path: &Path) {
        self.ask_model(slot, ModelRequest::Open(path.to_owned()));
    }

    fn browse_models(&self, slot: Slot) {
        self.shared.ask_model(position_of(slot), ModelRequest::Browse);
    }

    fn step_model(&self, slot: Slot, step: i32) {
        self.ask_model(slot, ModelRequest::Step(step));
    }

    fn clear_model(&self, slot: Slot) {
        self.ask_model(slot, ModelRequest::Clear);
    }

    fn twin(&self, wish: TwinWish) {
        match wish {
            TwinWish::Train(size) => self.shared.train_twin(size),
            TwinWish::Cancel => self.shared.training.cancel(),
            TwinWish::Use => self.shared.use_twin(),
            TwinWish::Seat => self.seat_twin(),
            TwinWish::Save => self.shared.training.save(&twin::folder()),
            TwinWish::Dismiss => self.shared.training.dismiss(),
        }
    }

    fn take(&self, action: TakeAction) {
        if let Some(takes) = self.takes {
            return takes(action);
        }
        match action {
            TakeAction::Arm(on) => self.press(ARM, f32::from(u8::from(on))),
            TakeAction::Record(on) => {
                if !on || self.shared.parameters.is_on(RECORD) {
                    self.shared.takes.tell(on);
                }
                self.press(RECORD, f32::from(u8::from(on)));
            }
            TakeAction::Mark => self.shared.takes.mark(),
            TakeAction::Setup(setup) => {
                self.shared.takes.set(setup);
                self.shared.requests.ask(jobs::RECORD);
                self.touch(ARM);
            }
        }
    }
}
