//! One instance of the effect: its parameter values, the two slots with their models, takes, the training of twins, the blind
//! switch and listening tests. It knows no host; the plug-in (`plugin`) and the program with a window (`app`) are layers on top of it.

pub mod builder;
pub mod controls;
pub mod engine;
pub mod listen;
pub mod models;
pub mod parameters;
pub mod state;
pub mod takes;
pub mod twin;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dsp::{ProcessSpec, Settings};
use crate::effect::{Effect, EffectSnapshot};
use crate::listen::BlindSwitch;
use crate::slots::{Listen, Meters};
use crate::view::{BlindView, ChannelLevel, Controls, InstanceView, TakeAction};
use builder::{BuildTarget, BuilderRequests, BuilderThread};
pub use controls::{InstanceControls, ParameterGestures};
use engine::Engine;
pub use engine::{InstanceProcessor, MonitorInsert};
use listen::ListeningTests;
use models::{ModelRequest, ModelSlot};
use parameters::{BLIND, BYPASS, LISTEN, ParameterStore, RECORD, STANDBY};
pub use state::InstanceState;
use takes::Takes;

/// Number of channels that have level meters; further ones are processed, but not metered.
const METERED_CHANNELS: usize = 32;

/// The part of an instance that its threads share: control thread, audio thread, builder thread and training thread.
pub struct SharedInstance {
    pub(crate) parameters: Arc<ParameterStore>,
    /// The model of slot A and of slot B.
    pub(crate) models: [ModelSlot; 2],
    pub(crate) takes: Takes,
    pub(crate) blind: BlindSwitch,
    pub(crate) tests: ListeningTests,
    /// Count of presses of a listen button. It tells the audio thread of a press that does not change the parameter: the sound
    /// dips all the same.
    listen_button_presses: AtomicU32,
    meters: Meters,
    /// Locked while models are read or slots are made; never by the audio thread.
    build_target: Mutex<BuildTarget>,
    pub(crate) requests: Arc<BuilderRequests>,
    /// Runs from the first `prepare` or the first open window until the instance is dropped.
    builder: Mutex<Option<BuilderThread>>,
    pub(crate) training: twin::Training,
    /// True once the instance is dropped: no thread is started any more.
    is_closed: AtomicBool,
    /// Number of channels that run.
    channels: AtomicUsize,
    /// Latency of the slots in frames.
    latency: AtomicUsize,
    /// Sample rate in hertz, as the bits of an f32; 0 before the first `prepare`.
    sample_rate: AtomicU32,
    /// Processing time as a share of real time (1 is all of it), as the bits of an f32.
    load: AtomicU32,
}

impl SharedInstance {
    fn new() -> (Arc<Self>, takes::TakeWriter) {
        let requests: Arc<BuilderRequests> = Arc::default();
        let (takes, take_writer) = Takes::new();
        let shared = Arc::new(Self {
            parameters: Arc::new(ParameterStore::new(requests.clone())),
            models: Default::default(),
            takes,
            blind: BlindSwitch::new(),
            tests: ListeningTests::default(),
            listen_button_presses: AtomicU32::new(0),
            meters: Meters::new(METERED_CHANNELS),
            build_target: Mutex::default(),
            requests,
            builder: Mutex::default(),
            training: twin::Training::default(),
            is_closed: AtomicBool::new(false),
            channels: AtomicUsize::new(2),
            latency: AtomicUsize::new(0),
            sample_rate: AtomicU32::new(0),
            load: AtomicU32::new(0),
        });
        (shared, take_writer)
    }

    /// The effect snapshot (settings and the model's id) that each slot is asked to run, which may be newer than the one that
    /// runs. [audio thread]
    pub(crate) fn requested_snapshots(&self) -> [EffectSnapshot; 2] {
        self.effect_snapshots(&self.settings())
    }

    /// The settings of both slots, read from the parameter store. [audio thread]
    fn settings(&self) -> [Settings; 2] {
        std::array::from_fn(|slot| self.parameters.settings(slot))
    }

    /// `settings` with the id of each slot's model, where the algorithm runs one. [audio thread]
    fn effect_snapshots(&self, settings: &[Settings; 2]) -> [EffectSnapshot; 2] {
        std::array::from_fn(|slot| {
            let settings = settings[slot];
            let model = self.models[slot].id().filter(|_| settings.algorithm().plays_model);
            EffectSnapshot { settings, model }
        })
    }

    /// The effects of [`Self::requested_snapshots`], with the models themselves in place of their ids. [control thread]
    fn requested_effects(&self) -> [Effect; 2] {
        std::array::from_fn(|slot| {
            let settings = self.parameters.settings(slot);
            let model = if settings.algorithm().plays_model { self.models[slot].model() } else { None };
            Effect { settings, model }
        })
    }

    /// The slot that is let through, or bypass, as the parameters ask for it. [audio thread]
    fn requested_listen(&self) -> Listen {
        let side = self.parameters.get(LISTEN) as usize;
        match (self.parameters.is_on(BYPASS), self.parameters.is_on(BLIND)) {
            (true, _) => Listen::Bypass,
            (false, true) => Listen::Slot(self.blind.slot(side)),
            (false, false) => Listen::Slot(side),
        }
    }

    /// True if a recorder has to be open: it is on standby, or a take is asked for. [audio thread]
    fn is_on_standby(&self) -> bool {
        self.parameters.is_on(STANDBY) || self.parameters.is_on(RECORD)
    }

    /// Locks the build target, for as long as models are read or slots are made. [any thread but the audio thread]
    fn build_target(&self) -> MutexGuard<'_, BuildTarget> {
        self.build_target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the instance's threads and waits for them. [control thread]
    fn shut_down(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.training.cancel_and_join();
        self.tests.shut_down();
        let builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(builder);
    }

    /// Queues a request for the model of a slot (0 is A, 1 is B) and wakes the builder thread, which does it. [any thread but the
    /// audio thread]
    pub fn request_model(&self, slot: usize, request: ModelRequest) {
        self.models[slot].request(request);
        self.requests.request_models();
    }

    /// The state of the instance as the panels show it. Reading it restarts the peak levels of the meters. [control thread]
    pub fn view(&self) -> InstanceView {
        let channels = self.channels.load(Ordering::Relaxed);
        let levels = |meter: &crate::graph::Meter| {
            let level = |c| meter.take(c).map(|l| ChannelLevel { peak: l.peak, rms: l.rms, clipped: l.clipped });
            (0..channels).filter_map(level).collect()
        };
        InstanceView {
            channels,
            input: levels(&self.meters.input),
            output: levels(&self.meters.output),
            sample_rate: f32::from_bits(self.sample_rate.load(Ordering::Relaxed)),
            latency_frames: self.latency.load(Ordering::Relaxed),
            // Without blocks the last load would be shown for ever: it fades as the meters do.
            load: f32::from_bits(self.load.load(Ordering::Relaxed)) * self.meters.input.freshness(0),
            blind: match (self.parameters.is_on(BLIND), self.blind.is_revealed()) {
                (false, _) => BlindView::Off,
                (true, false) => BlindView::Hidden,
                (true, true) => BlindView::Revealed { left: controls::slot_at(self.blind.slot(0)) },
            },
            models: [self.models[0].view(), self.models[1].view()],
            twin: self.twin_view(),
            take: self.takes.view(self.is_on_standby(), channels),
            listen: self.tests.view(),
        }
    }
}

/// One instance of the effect. Dropping it ends its threads. All methods: [control thread]
pub struct Instance {
    shared: Arc<SharedInstance>,
}

/// An instance that records no takes of its own; its owner may record them.
impl Default for Instance {
    fn default() -> Self {
        Self { shared: SharedInstance::new().0 }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shared.shut_down();
    }
}

impl Instance {
    /// An instance that records its own takes, and the processor that the audio thread runs for it.
    #[must_use]
    pub fn with_takes() -> (Self, InstanceProcessor) {
        let (shared, take_writer) = SharedInstance::new();
        let processor = InstanceProcessor::new(Engine::new(shared.clone()), take_writer);
        (Self { shared }, processor)
    }

    /// The part that the instance's threads share.
    #[must_use]
    pub fn shared(&self) -> &Arc<SharedInstance> {
        &self.shared
    }

    /// A processor that runs the slots without recording, for a monitor path. It takes the place of an earlier one, whose output
    /// no longer follows changes of structure. None if slots cannot be made for `spec`; the log says why.
    #[must_use]
    pub fn monitor_insert(&self, spec: ProcessSpec) -> Option<MonitorInsert> {
        let mut engine = Engine::new(self.shared.clone());
        engine.prepare(spec)?;
        Some(MonitorInsert(engine))
    }

    /// Latency of the slots, in frames.
    #[must_use]
    pub fn latency_frames(&self) -> usize {
        self.shared.latency.load(Ordering::Relaxed)
    }

    /// Starts the builder thread, so that models can be opened before sound runs.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn open(&self) -> std::io::Result<()> {
        self.shared.open_builder()
    }

    /// The state of the instance as the panels show it. An owner that records takes itself replaces [`InstanceView::take`].
    #[must_use]
    pub fn view(&self) -> InstanceView {
        self.shared.view()
    }

    /// The listening tests: their folder, and the name of the place where they are taken.
    #[must_use]
    pub fn listening_tests(&self) -> &ListeningTests {
        &self.shared.tests
    }

    /// The values of all parameters, which can be set here, too.
    #[must_use]
    pub fn parameters(&self) -> &ParameterStore {
        &self.shared.parameters
    }

    /// Calls `with` with the controls over this instance, for an owner that is not a plug-in. `on_take` gets the user's actions
    /// on takes, which the owner records.
    pub fn with_controls<R>(&self, on_take: &dyn Fn(TakeAction), with: impl FnOnce(&dyn Controls) -> R) -> R {
        with(&InstanceControls { shared: &self.shared, gestures: &*self.shared.parameters, on_take: Some(on_take) })
    }
}
