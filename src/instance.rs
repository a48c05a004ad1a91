//! One instance: parameters, models, slots, takes, the training of twins, the blind switch. It knows no host; the plug-in and
//! the program are faces on it.

pub mod builder;
pub mod controls;
pub mod engine;
pub mod models;
pub mod parameters;
pub mod state;
pub mod takes;
pub mod twin;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dsp::{Settings, Spec};
use crate::effect::{Effect, Outline};
use crate::listen::Blind;
use crate::slots::{Heard, Meters};
use crate::view::{BlindView, Controls, Level, Snapshot, TakeAction};
use builder::{BuilderThread, Requests, Target};
pub use controls::{Gestures, InstanceControls};
use engine::Engine;
pub use engine::{Player, Voice};
use models::{ModelRequest, ModelSlot};
use parameters::{ARM, BLIND, BYPASS, LISTEN, Parameters, RECORD};
pub use state::InstanceState;
use takes::Takes;

/// The most channels whose levels are shown.
const WIDEST: usize = 32;

/// What the threads of one instance share.
pub struct Shared {
    pub(crate) parameters: Arc<Parameters>,
    /// Of each slot.
    pub(crate) models: [ModelSlot; 2],
    pub(crate) takes: Takes,
    pub(crate) blind: Blind,
    /// Grows with every press of a listen button, so that pressing the same side again is heard.
    presses: AtomicU32,
    meters: Meters,
    /// The audio thread never touches it.
    target: Mutex<Target>,
    pub(crate) requests: Arc<Requests>,
    /// From the first sound or window on, until the instance goes.
    builder: Mutex<Option<BuilderThread>>,
    pub(crate) training: twin::Training,
    gone: AtomicBool,
    /// Nobody listens while the sound is rendered.
    offline: AtomicBool,
    channels: AtomicUsize,
    latency: AtomicUsize,
    /// Bits of f32: hertz, and processing time as a share of real time.
    sample_rate: AtomicU32,
    load: AtomicU32,
}

impl Shared {
    fn new() -> (Arc<Self>, takes::Deck) {
        let requests: Arc<Requests> = Arc::default();
        let (takes, deck) = Takes::new();
        let shared = Arc::new(Self {
            parameters: Arc::new(Parameters::new(requests.clone())),
            models: Default::default(),
            takes,
            blind: Blind::new(),
            presses: AtomicU32::new(0),
            meters: Meters::new(WIDEST),
            target: Mutex::default(),
            requests,
            builder: Mutex::default(),
            training: twin::Training::default(),
            gone: AtomicBool::new(false),
            offline: AtomicBool::new(false),
            channels: AtomicUsize::new(2),
            latency: AtomicUsize::new(0),
            sample_rate: AtomicU32::new(0),
            load: AtomicU32::new(0),
        });
        (shared, deck)
    }

    /// What the slots are set to now. [audio thread]
    pub(crate) fn wanted(&self) -> [Outline; 2] {
        self.outlines(&self.settings())
    }

    /// Settings of both slots as they are set now. [audio thread]
    fn settings(&self) -> [Settings; 2] {
        std::array::from_fn(|slot| self.parameters.settings(slot))
    }

    /// These settings with the models that the slots shall run. [audio thread]
    fn outlines(&self, settings: &[Settings; 2]) -> [Outline; 2] {
        std::array::from_fn(|slot| {
            let settings = settings[slot];
            let model = self.models[slot].id().filter(|_| settings.algorithm().model);
            Outline { settings, model }
        })
    }

    /// As [`Self::wanted`], with the models themselves. [control thread]
    fn effects(&self) -> [Effect; 2] {
        std::array::from_fn(|slot| {
            let settings = self.parameters.settings(slot);
            let model = if settings.algorithm().model { self.models[slot].model() } else { None };
            Effect { settings, model }
        })
    }

    /// What shall be heard. [audio thread]
    fn heard(&self) -> Heard {
        let side = self.parameters.get(LISTEN) as usize;
        match (self.parameters.is_on(BYPASS), self.parameters.is_on(BLIND)) {
            (true, _) => Heard::Bypass,
            (false, true) => Heard::Slot(self.blind.slot(side)),
            (false, false) => Heard::Slot(side),
        }
    }

    /// Whether there shall be a recorder. [audio thread]
    fn is_armed(&self) -> bool {
        self.parameters.is_on(ARM) || self.parameters.is_on(RECORD)
    }

    fn target(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance goes: its threads end. [control thread]
    fn go(&self) {
        self.gone.store(true, Ordering::Release);
        self.training.end();
        let builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(builder);
    }

    /// Asks for something to be done with a slot's model. [any thread but the audio thread]
    pub fn ask_model(&self, slot: usize, request: ModelRequest) {
        self.models[slot].ask(request);
        self.requests.ask_for_models();
    }

    /// For the panels. [control thread]
    pub fn snapshot(&self) -> Snapshot {
        let channels = self.channels.load(Ordering::Relaxed);
        let levels = |meter: &crate::graph::Meter| {
            let level = |c| meter.take(c).map(|l| Level { peak: l.peak, rms: l.rms, clipped: l.clipped });
            (0..channels).filter_map(level).collect()
        };
        Snapshot {
            channels,
            input: levels(&self.meters.input),
            output: levels(&self.meters.output),
            sample_rate: f32::from_bits(self.sample_rate.load(Ordering::Relaxed)),
            latency_frames: self.latency.load(Ordering::Relaxed),
            // Nothing is processed while no sound comes.
            load: f32::from_bits(self.load.load(Ordering::Relaxed)) * self.meters.input.freshness(0),
            blind: match (self.parameters.is_on(BLIND), self.blind.is_revealed()) {
                (false, _) => BlindView::Off,
                (true, false) => BlindView::Hidden,
                (true, true) => BlindView::Revealed { left: controls::slot_of(self.blind.slot(0)) },
            },
            models: [self.models[0].view(), self.models[1].view()],
            twin: self.twin_view(),
            take: self.takes.view(self.is_armed(), channels),
        }
    }
}

/// One instance. Dropped, its threads end. All of it: [control thread]
pub struct Instance {
    shared: Arc<Shared>,
}

/// One whose takes, if any, are its owner's.
impl Default for Instance {
    fn default() -> Self {
        Self { shared: Shared::new().0 }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shared.go();
    }
}

impl Instance {
    /// An instance that records its own takes, and its sound.
    #[must_use]
    pub fn with_takes() -> (Self, Player) {
        let (shared, deck) = Shared::new();
        let player = Player::new(Engine::new(shared.clone()), deck);
        (Self { shared }, player)
    }

    /// What its threads share.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

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
        self.shared.open_builder()
    }

    /// For the panels; takes are the owner's.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// The values of all parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.shared.parameters
    }

    /// A user's hand on it, without a host; takes are the owner's, who gets what is asked of them.
    pub fn with_controls<R>(&self, take: &dyn Fn(TakeAction), with: impl FnOnce(&dyn Controls) -> R) -> R {
        with(&InstanceControls { shared: &self.shared, gestures: &*self.shared.parameters, takes: Some(take) })
    }
}
