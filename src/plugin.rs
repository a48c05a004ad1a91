//! The plug-in: CLAP and VST3 through nice-plug. Hosts see parameters made from the registry; sound runs through the slots.

mod editor;
mod engine;
mod models;
mod params;
mod rack;
mod record;
mod twin;
mod window;
mod workshop;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;
use nice_plug::prelude::*;

use crate::dsp::{MAX_CHANNELS, Spec};
use crate::effect::{Effect, Outline};
use crate::graph::SwapSender;
use crate::listen::Blind;
use crate::slots::{Heard, Meters, Slots};
use engine::Engine;
use models::{Holder, Wish};
use params::Bank;
pub use rack::{Rack, RackState, Voice};
use record::{Deck, Takes};
pub use record::{folder as take_folder, settings as take_settings, view as take_view};
use workshop::{FREE, LOAD, Orders, RECORD, REMAKE, TOSS, Workshop};

/// The most channels of a layout.
const WIDEST: usize = 32;

/// What the threads of one instance share.
struct Shared {
    bank: Bank,
    /// Of each slot.
    models: [Holder; 2],
    takes: Takes,
    blind: Blind,
    /// Grows with every press of a listen button, so that pressing the same side again is heard.
    presses: AtomicU32,
    meters: Meters,
    /// The audio thread never touches it.
    bench: Mutex<Bench>,
    orders: Arc<Orders>,
    /// From the first sound or window on, until the plug-in goes.
    workshop: Mutex<Option<Workshop>>,
    training: twin::Training,
    window: window::Geometry,
    gone: AtomicBool,
    /// Nobody listens while the host renders.
    offline: AtomicBool,
    channels: AtomicUsize,
    latency: AtomicUsize,
    /// Bits of f32: hertz, and processing time as a share of real time.
    sample_rate: AtomicU32,
    load: AtomicU32,
}

/// For what the running slots were prepared, and where other slots are sent. Who reads models or makes slots holds it meanwhile.
#[derive(Default)]
struct Bench {
    spec: Option<Spec>,
    sender: Option<SwapSender<Slots>>,
    /// What the slots that were sent last run with.
    sent: Option<[Outline; 2]>,
}

fn same_structure(a: &[Outline; 2], b: &[Outline; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.same_structure(b))
}

impl Shared {
    /// What the slots are set to now. [audio thread]
    fn wanted(&self) -> [Outline; 2] {
        std::array::from_fn(|i| {
            let settings = self.bank.slots[i].settings();
            let model = self.models[i].id().filter(|_| settings.algorithm().model);
            Outline { settings, model }
        })
    }

    /// The same, with the models themselves. [control thread]
    fn effects(&self) -> [Effect; 2] {
        std::array::from_fn(|i| {
            let settings = self.bank.slots[i].settings();
            let model = if settings.algorithm().model { self.models[i].model() } else { None };
            Effect { settings, model }
        })
    }

    /// What shall be heard. [audio thread]
    fn heard(&self) -> Heard {
        let side = self.bank.listen.modulated_plain_value().clamp(0, 1) as usize;
        match (self.bank.bypass.modulated_plain_value(), self.bank.blind.modulated_plain_value()) {
            (true, _) => Heard::Bypass,
            (false, true) => Heard::Slot(self.blind.slot(side)),
            (false, false) => Heard::Slot(side),
        }
    }

    /// Whether there shall be a recorder. [audio thread]
    fn is_armed(&self) -> bool {
        self.bank.arm.modulated_plain_value() || self.bank.record.modulated_plain_value()
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slots for what is set now. A model that cannot be prepared for this is left out, and its slot says why. [control thread]
    fn make(&self, spec: Spec) -> Option<Box<Slots>> {
        loop {
            let (effects, heard) = (self.effects(), self.heard());
            let error = match Slots::compile(spec, &effects, heard, Some(&self.meters)) {
                Ok(mut slots) => {
                    slots.set_offline(self.offline.load(Ordering::Relaxed));
                    self.models.iter().for_each(Holder::settle);
                    return Some(Box::new(slots));
                }
                Err(error) => error,
            };
            let fails = |slot: &[Effect]| slot[0].model.is_some() && Slots::compile(spec, slot, heard, None).is_err();
            let Some(slot) = effects.chunks(1).position(fails) else {
                nice_error!("{error}");
                return None;
            };
            // At most twice for each: what was loaded, then what ran before.
            self.models[slot].refuse(error.to_string());
        }
    }

    /// Does what was asked for. [workshop thread]
    fn work(&self, jobs: u8) {
        let mut bench = self.bench();
        if jobs & FREE != 0
            && let Some(sender) = &mut bench.sender
        {
            sender.free();
        }
        if jobs & TOSS != 0 {
            self.blind.toss();
        }
        let asked = self.orders.models_asked();
        if jobs & LOAD != 0 {
            self.models.iter().for_each(Holder::work);
        }
        if jobs & (LOAD | REMAKE) != 0 {
            self.remake(&mut bench);
        }
        if jobs & LOAD != 0 {
            self.orders.models_are_there(asked);
        }
        if jobs & REMAKE != 0 {
            self.orders.made();
        }
        if jobs & RECORD != 0 {
            self.takes.work(bench.spec, self.is_armed());
        }
    }

    /// Makes slots for what is set now and sends them to the audio thread, unless those that were sent last will do.
    fn remake(&self, bench: &mut Bench) {
        let Bench { spec: Some(spec), sender: Some(sender), sent } = bench else { return };
        for last in [false, false, true] {
            if sent.is_some_and(|sent| same_structure(&sent, &self.wanted())) {
                return;
            }
            let Some(slots) = self.make(*spec) else { return };
            let made = [*slots.outline(0), *slots.outline(1)];
            if sent.is_some_and(|sent| same_structure(&sent, &made)) {
                return;
            }
            // A host sets one value after the other: only the last of them is worth a dip.
            if last || same_structure(&made, &self.wanted()) {
                // Too many wait only while nothing runs; the next block asks again.
                if sender.send(slots).is_ok() {
                    *sent = Some(made);
                }
                return;
            }
        }
    }

    /// Lets there be a thread that works. [control thread]
    ///
    /// # Errors
    /// If the system gives none.
    fn open_workshop(self: &Arc<Self>) -> std::io::Result<()> {
        let mut workshop = self.workshop.lock().unwrap_or_else(PoisonError::into_inner);
        if workshop.is_none() && !self.gone.load(Ordering::Acquire) {
            let shared = self.clone();
            *workshop = Some(Workshop::open(self.orders.clone(), move |jobs| shared.work(jobs))?);
        }
        Ok(())
    }

    /// What one instance shares, and what its audio thread records with. [control thread]
    fn new() -> (Arc<Self>, Deck) {
        let orders: Arc<Orders> = Arc::default();
        let (takes, deck) = Takes::new();
        let shared = Arc::new(Self {
            bank: Bank::new(&orders),
            models: Default::default(),
            takes,
            blind: Blind::new(),
            presses: AtomicU32::new(0),
            meters: Meters::new(WIDEST),
            bench: Mutex::default(),
            orders,
            workshop: Mutex::default(),
            training: twin::Training::default(),
            window: window::Geometry::default(),
            gone: AtomicBool::new(false),
            offline: AtomicBool::new(false),
            channels: AtomicUsize::new(2),
            latency: AtomicUsize::new(0),
            sample_rate: AtomicU32::new(0),
            load: AtomicU32::new(0),
        });
        (shared, deck)
    }

    /// The instance goes: its threads end. [control thread]
    fn go(&self) {
        self.gone.store(true, Ordering::Release);
        self.training.end();
        let workshop = self.workshop.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(workshop);
    }

    /// Asks for something to be done with a slot's model. [any thread but the audio thread]
    fn ask_model(&self, slot: usize, wish: Wish) {
        self.models[slot].ask(wish);
        self.orders.ask_for_models();
    }
}

/// The plug-in.
pub struct Isotherm {
    shared: Arc<Shared>,
    engine: Engine,
    deck: Deck,
    /// The latency that the host knows or was told to ask for.
    reported: usize,
}

impl Default for Isotherm {
    fn default() -> Self {
        let (shared, deck) = Shared::new();
        let plugin = Self { engine: Engine::new(shared.clone()), shared, deck, reported: 0 };
        #[cfg(test)]
        twin::tests::LAST.set(Arc::downgrade(&plugin.shared));
        plugin
    }
}

impl Drop for Isotherm {
    fn drop(&mut self) {
        self.shared.go();
    }
}

/// As many channels out as in.
const fn layout(channels: u32) -> AudioIOLayout {
    AudioIOLayout {
        main_input_channels: NonZeroU32::new(channels),
        main_output_channels: NonZeroU32::new(channels),
        ..AudioIOLayout::const_default()
    }
}

impl Plugin for Isotherm {
    const NAME: &'static str = "Isotherm";
    const VENDOR: &'static str = "Isotherm";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[layout(2), layout(1), layout(4), layout(8), layout(16), layout(32)];
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = window::Opener;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::new(editor::SharedParams(self.shared.clone()))
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<Self::Editor> {
        Some(window::Opener::new(self.shared.clone()))
    }

    fn filter_state(state: &mut PluginState) {
        params::complete(state);
    }

    fn activate(&mut self, layout: &AudioIOLayout, config: &BufferConfig, context: &mut impl ActivateContext<Self>) -> bool {
        let channels = layout.main_output_channels.map_or(0, |n| n.get() as usize);
        let spec = Spec { sample_rate: config.sample_rate, channels, max_frames: (config.max_buffer_size as usize).max(1) };
        let offline = config.process_mode == ProcessMode::Offline;
        let Some(latency) = self.engine.prepare(spec, offline) else { return false };
        self.reported = latency;
        context.set_latency_samples(latency as u32);
        true
    }

    fn reset(&mut self) {
        self.engine.reset();
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let frames = buffer.samples();
        self.engine.follow();
        let (armed, record) = (self.shared.is_armed(), self.shared.bank.record.modulated_plain_value());
        let (playing, offline) = (context.transport().playing, self.engine.is_offline());
        self.deck.follow(&self.shared.takes, &self.shared.orders, armed, record, playing, offline);
        let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = buffer.as_slice().iter_mut().map(|c| &mut **c).collect();
        let mut rolling = if self.engine.is_ready() { self.deck.begin(frames) } else { None };
        let latency = self.engine.run(&mut block, |slots, part| match &mut rolling {
            Some(rolling) => rolling.run(slots, part),
            None => slots.process(part),
        });
        if let Some(rolling) = rolling {
            rolling.finish(&block);
        }
        // CLAP: latency changes only while inactive, so the host is asked to restart, and `activate` tells the new one. VST3: the host
        // is told at once and reads it when it likes.
        if let Some(latency) = latency.filter(|latency| *latency != self.reported) {
            match context.plugin_api() {
                PluginApi::Clap => context.request_restart(),
                _ => context.set_latency_samples(latency as u32),
            }
            self.reported = latency;
        }
        ProcessStatus::Normal
    }
}

impl ClapPlugin for Isotherm {
    const CLAP_ID: &'static str = "audio.isotherm.isotherm";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("A tube saturator, a bitcrusher, a clipper and neural models in two comparable slots");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[
        ClapFeature::AudioEffect,
        ClapFeature::Distortion,
        ClapFeature::Stereo,
        ClapFeature::Mono,
        ClapFeature::Surround,
        ClapFeature::Analyzer,
    ];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        let bank = &self.shared.bank;
        context.add_section("Isotherm", |section| {
            section.add_page("Compare", |page| {
                page.add_param(&bank.listen);
                page.add_param(&bank.bypass);
                page.add_param(&bank.blind);
                page.add_param(&bank.slots[0].algorithm);
                page.add_param(&bank.slots[1].algorithm);
            });
            section.add_page("Takes", |page| {
                page.add_param(&bank.arm);
                page.add_param(&bank.record);
            });
        });
        for (slot, name) in bank.slots.iter().zip(params::SLOTS) {
            context.add_section(format!("Slot {name}"), |section| {
                for (row, knobs) in crate::algorithm::REGISTRY.iter().zip(&slot.rows) {
                    section.add_page(format!("{name} {}", row.name), |page| {
                        for knob in knobs {
                            match knob {
                                params::Knob::Float(p) => page.add_param(p),
                                params::Knob::Int(p) => page.add_param(p),
                                params::Knob::Bool(p) => page.add_param(p),
                            }
                        }
                    });
                }
            });
        }
    }
}

impl Vst3Plugin for Isotherm {
    const VST3_CLASS_ID: [u8; 16] = *b"IsothermEffectA1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Fx, Vst3SubCategory::Distortion];
}

// The plug-in's own tests are a host in this process.
#[cfg(test)]
nice_export_clap!(Isotherm);
