//! The editor's window: the panels of `ui` over this instance's parameters, meters and models.
//!
//! egui-baseview (0.9) does not pass on the files that baseview sees dropped, so the panels get none in a plug-in's window yet.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use nice_plug::context::gui::GuiContext;
use nice_plug::prelude::*;
use nice_plug_egui::{Frame, NiceEguiApp, RepaintNotifier, baseview};

use super::Shared;
use super::models::Wish;
use super::params::{Knob, SLOTS};
use super::twin;
use super::window;
use super::workshop::RECORD;
use crate::algorithm::REGISTRY;
use crate::ui::{BlindView, Control, Controls, Editor, Level, Look, Slot, Snapshot, TakeAction, TwinWish, Watch};

/// Keeps the parameters alive for as long as the wrapper uses them.
pub struct SharedParams(pub Arc<Shared>);

// SAFETY: the pointers are to fields of the `Bank` inside the `Arc` that `self` holds.
unsafe impl Params for SharedParams {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        self.0.bank.param_map()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        let models = SLOTS.iter().zip(&self.0.models).map(|(name, model)| (model_field(name), model.stored().to_string()));
        let takes = (TAKES_FIELD.into(), self.0.takes.stored());
        models.chain([takes, (window::FIELD.into(), self.0.window.stored())]).collect()
    }

    /// Reads nothing: a host may call this on any thread. What is not there stays, as with parameters.
    fn deserialize_fields(&self, fields: &BTreeMap<String, String>) {
        if let Some(field) = fields.get(TAKES_FIELD) {
            self.0.takes.restore(field);
            self.0.orders.ask(RECORD);
        }
        if let Some(field) = fields.get(window::FIELD) {
            self.0.window.restore(field);
        }
        for (slot, name) in SLOTS.iter().enumerate() {
            if let Some(field) = fields.get(&model_field(name)) {
                self.0.ask_model(slot, Wish::Restore(field.clone()));
            }
        }
    }
}

/// A state's name for what is recorded, and where, for ever.
const TAKES_FIELD: &str = "takes";

/// A state's name for a slot's model, for ever: `a_model`.
fn model_field(slot: &str) -> String {
    format!("{}_model", slot.to_lowercase())
}

/// What the panels keep while their window is closed.
pub struct Panels(Editor);

impl Default for Panels {
    fn default() -> Self {
        Self(Editor::new(REGISTRY))
    }
}

impl Panels {
    /// The window is gone: ends what a hand had begun. [control thread]
    pub fn close(&mut self, shared: &Arc<Shared>, context: &GuiContext) {
        self.0.close(&Hand { shared, setter: context.param_setter(), takes: None });
    }
}

/// An open window.
pub struct App {
    shared: Arc<Shared>,
    panels: Arc<Mutex<Panels>>,
    notifier: RepaintNotifier,
    open: Option<(GuiContext, Watch<Seen>)>,
}

impl App {
    pub fn new(shared: Arc<Shared>, panels: Arc<Mutex<Panels>>, notifier: RepaintNotifier) -> Self {
        Self { shared, panels, notifier, open: None }
    }
}

/// What a window shows: the audio side and, in short, all values.
#[derive(Clone)]
struct Seen {
    snapshot: Snapshot,
    values: u64,
}

impl Look for Seen {
    fn absorb(&mut self, earlier: &Self) {
        self.snapshot.absorb(&earlier.snapshot);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        self.values == shown.values && self.snapshot.is_shown_by(&shown.snapshot)
    }
}

impl NiceEguiApp for App {
    fn build(&mut self, _: egui::Context, context: GuiContext, frame: &mut Frame) -> Result<(), baseview::HandlerError> {
        // A model can be opened before there is sound.
        if let Err(error) = self.shared.open_workshop() {
            nice_error!("no thread to read models on: {error}");
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = window::mark_embeddable(frame.baseview_window()) {
            nice_error!("the window is not marked as one to be embedded: {error}");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = frame;
        let (shared, notifier) = (self.shared.clone(), self.notifier.clone());
        let look = move || Seen { snapshot: snapshot(&shared), values: values(&shared) };
        self.open = Some((context, Watch::start(look, move || notifier.request_repaint())?));
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut Frame) {
        let Some((context, watch)) = &self.open else { return };
        let seen = watch.frame();
        let mut panels = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        panels.0.show(ui, &Hand { shared: &self.shared, setter: context.param_setter(), takes: None }, &seen.snapshot);
    }

    fn resized(&mut self, size: baseview::WindowSize) {
        self.shared.window.is(size);
    }
}

/// All values that the panels can show.
pub fn values(shared: &Shared) -> u64 {
    let bank = &shared.bank;
    let mut hash = DefaultHasher::new();
    (bank.listen.value(), bank.bypass.value(), bank.blind.value()).hash(&mut hash);
    for slot in &bank.slots {
        slot.algorithm.value().hash(&mut hash);
        for knob in slot.rows.iter().flatten() {
            match knob {
                Knob::Float(p) => p.value().to_bits().hash(&mut hash),
                Knob::Int(p) => p.value().hash(&mut hash),
                Knob::Bool(p) => p.value().hash(&mut hash),
            }
        }
    }
    hash.finish()
}

fn slot_of(position: usize) -> Slot {
    Slot::ALL[position.min(1)]
}

fn position_of(slot: Slot) -> usize {
    usize::from(slot == Slot::B)
}

pub fn snapshot(shared: &Shared) -> Snapshot {
    let channels = shared.channels.load(Ordering::Relaxed);
    let levels = |meter: &crate::graph::Meter| {
        let level = |c| meter.take(c).map(|l| Level { peak: l.peak, rms: l.rms, clipped: l.clipped });
        (0..channels).filter_map(level).collect()
    };
    Snapshot {
        channels,
        input: levels(&shared.meters.input),
        output: levels(&shared.meters.output),
        sample_rate: f32::from_bits(shared.sample_rate.load(Ordering::Relaxed)),
        latency_frames: shared.latency.load(Ordering::Relaxed),
        // Nothing is processed while no sound comes.
        load: f32::from_bits(shared.load.load(Ordering::Relaxed)) * shared.meters.input.freshness(0),
        blind: match (shared.bank.blind.value(), shared.blind.is_revealed()) {
            (false, _) => BlindView::Off,
            (true, false) => BlindView::Hidden,
            (true, true) => BlindView::Revealed { left: slot_of(shared.blind.slot(0)) },
        },
        models: [shared.models[0].view(), shared.models[1].view()],
        twin: shared.twin_view(),
        take: shared.takes.view(shared.is_armed(), channels),
    }
}

/// The user's hand on the host's parameters.
pub struct Hand<'a> {
    pub shared: &'a Arc<Shared>,
    pub setter: ParamSetter<'a>,
    /// Who does what is asked of takes, if it is not the plug-in.
    pub takes: Option<&'a dyn Fn(TakeAction)>,
}

enum Target<'a> {
    Int(&'a IntParam),
    Bool(&'a BoolParam),
    Float(&'a FloatParam),
}

impl Hand<'_> {
    /// The framework cannot say that a state is no longer the saved one; a touched parameter does.
    fn ask_model(&self, slot: Slot, wish: Wish) {
        self.shared.ask_model(position_of(slot), wish);
        let control = Control::Algorithm(slot);
        self.begin(control);
        self.set(control, self.get(control));
        self.end(control);
    }

    /// Slot B plays the model that it has, with neutral settings.
    fn seat_twin(&self) {
        let neutral = twin::neutral();
        let Some(algorithm) = REGISTRY.iter().position(|row| row.id == neutral.algorithm().id) else { return };
        let parameter = |index| (Control::Parameter { slot: Slot::B, algorithm, index }, neutral.get(index));
        let all = (0..neutral.algorithm().parameters.len()).map(parameter);
        for (control, value) in all.chain([(Control::Algorithm(Slot::B), algorithm as f32)]) {
            self.begin(control);
            self.set(control, value);
            self.end(control);
        }
        self.shared.training.seated();
    }

    fn switch(&self, parameter: &BoolParam, on: bool) {
        self.setter.begin_set_parameter(parameter);
        self.setter.set_parameter(parameter, on);
        self.setter.end_set_parameter(parameter);
    }

    fn target(&self, control: Control) -> Option<Target<'_>> {
        let bank = &self.shared.bank;
        Some(match control {
            Control::Listen => Target::Int(&bank.listen),
            Control::Bypass => Target::Bool(&bank.bypass),
            Control::Blind => Target::Bool(&bank.blind),
            Control::Algorithm(slot) => Target::Int(&bank.slots[position_of(slot)].algorithm),
            Control::Parameter { slot, algorithm, index } => {
                match bank.slots[position_of(slot)].rows.get(algorithm)?.get(index)? {
                    Knob::Float(p) => Target::Float(p),
                    Knob::Int(p) => Target::Int(p),
                    Knob::Bool(p) => Target::Bool(p),
                }
            }
        })
    }
}

impl Controls for Hand<'_> {
    fn get(&self, control: Control) -> f32 {
        match self.target(control) {
            // The slot behind the side, once it may be known.
            Some(Target::Int(p)) if control == Control::Listen && self.shared.bank.blind.value() => {
                self.shared.blind.slot(p.value().clamp(0, 1) as usize) as f32
            }
            Some(Target::Int(p)) => p.value() as f32,
            Some(Target::Bool(p)) => f32::from(u8::from(p.value())),
            Some(Target::Float(p)) => p.value(),
            None => 0.0,
        }
    }

    fn begin(&self, control: Control) {
        match self.target(control) {
            Some(Target::Int(p)) => self.setter.begin_set_parameter(p),
            Some(Target::Bool(p)) => self.setter.begin_set_parameter(p),
            Some(Target::Float(p)) => self.setter.begin_set_parameter(p),
            None => {}
        }
    }

    fn set(&self, control: Control, value: f32) {
        match self.target(control) {
            Some(Target::Int(p)) => self.setter.set_parameter(p, value.round() as i32),
            Some(Target::Bool(p)) => self.setter.set_parameter(p, value >= 0.5),
            Some(Target::Float(p)) => self.setter.set_parameter(p, value),
            None => {}
        }
    }

    fn end(&self, control: Control) {
        match self.target(control) {
            Some(Target::Int(p)) => self.setter.end_set_parameter(p),
            Some(Target::Bool(p)) => self.setter.end_set_parameter(p),
            Some(Target::Float(p)) => self.setter.end_set_parameter(p),
            None => {}
        }
    }

    /// The parameter holds the side, so that in a blind comparison no host's display tells the slot.
    fn press_listen(&self, side: u8) {
        self.shared.presses.fetch_add(1, Ordering::Relaxed);
        self.begin(Control::Listen);
        self.set(Control::Listen, f32::from(side));
        self.end(Control::Listen);
    }

    fn reveal(&self) {
        self.shared.blind.reveal();
    }

    fn open_model(&self, slot: Slot, path: &Path) {
        self.ask_model(slot, Wish::Open(path.to_owned()));
    }

    fn browse_models(&self, slot: Slot) {
        self.shared.ask_model(position_of(slot), Wish::Browse);
    }

    fn step_model(&self, slot: Slot, step: i32) {
        self.ask_model(slot, Wish::Step(step));
    }

    fn clear_model(&self, slot: Slot) {
        self.ask_model(slot, Wish::Clear);
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
        let bank = &self.shared.bank;
        match action {
            TakeAction::Arm(on) => self.switch(&bank.arm, on),
            TakeAction::Record(on) => {
                if !on || bank.record.value() {
                    self.shared.takes.tell(on);
                }
                self.switch(&bank.record, on);
            }
            TakeAction::Mark => self.shared.takes.mark(),
            TakeAction::Setup(setup) => {
                self.shared.takes.set(setup);
                self.shared.orders.ask(RECORD);
                // The framework cannot say that a state is no longer the saved one; a touched parameter does.
                self.switch(&bank.arm, bank.arm.value());
            }
        }
    }
}
