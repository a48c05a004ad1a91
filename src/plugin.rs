//! The plug-in: CLAP and VST3 through nice-plug. Hosts see parameters made from the registry; sound runs through the slots.

mod editor;
mod models;
mod params;
mod record;
mod twin;
mod workshop;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use nice_plug::prelude::*;

use crate::dsp::{MAX_CHANNELS, Settings, Spec};
use crate::graph::{Swap, SwapSender};
use crate::listen::Blind;
use crate::slots::{Heard, Meters, Slots};
use models::{Holder, Wish};
use params::Bank;
use record::{Deck, Takes};
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
    sent: Option<[Settings; 2]>,
}

fn same_structure(a: &[Settings; 2], b: &[Settings; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.same_structure(b))
}

impl Shared {
    /// The slots' settings as they are set now. [audio thread]
    fn settings(&self) -> [Settings; 2] {
        std::array::from_fn(|i| {
            let mut settings = self.bank.slots[i].settings();
            if settings.algorithm().model {
                settings.set_model(self.models[i].key());
            }
            settings
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
            let (settings, heard) = (self.settings(), self.heard());
            let error = match Slots::compile(spec, &settings, heard, Some(&self.meters)) {
                Ok(mut slots) => {
                    slots.set_offline(self.offline.load(Ordering::Relaxed));
                    self.models.iter().for_each(Holder::settle);
                    return Some(Box::new(slots));
                }
                Err(error) => error,
            };
            let fails = |slot: &[Settings]| slot[0].model().is_some() && Slots::compile(spec, slot, heard, None).is_err();
            let Some(slot) = settings.chunks(1).position(fails) else {
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
            if sent.is_some_and(|sent| same_structure(&sent, &self.settings())) {
                return;
            }
            let Some(slots) = self.make(*spec) else { return };
            let made = [*slots.settings(0), *slots.settings(1)];
            if sent.is_some_and(|sent| same_structure(&sent, &made)) {
                return;
            }
            // A host sets one value after the other: only the last of them is worth a dip.
            if last || same_structure(&made, &self.settings()) {
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

    /// Asks for something to be done with a slot's model. [any thread but the audio thread]
    fn ask_model(&self, slot: usize, wish: Wish) {
        self.models[slot].ask(wish);
        self.orders.ask_for_models();
    }
}

/// The plug-in.
pub struct Isotherm {
    shared: Arc<Shared>,
    editor_state: Arc<nice_plug_egui::EguiEditorState>,
    /// Nothing before the first `activate`.
    swap: Option<Swap<Slots>>,
    deck: Deck,
    /// No frame since `activate` or `reset`: other slots are taken at once, without a dip.
    fresh: bool,
    offline: bool,
    /// The latency that the host knows or was told to ask for.
    reported: usize,
    presses: u32,
    was_blind: bool,
}

impl Default for Isotherm {
    fn default() -> Self {
        let (width, height) = crate::ui::SIZE;
        let orders: Arc<Orders> = Arc::default();
        let (takes, deck) = Takes::new();
        let plugin = Self {
            shared: Arc::new(Shared {
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
                gone: AtomicBool::new(false),
                offline: AtomicBool::new(false),
                channels: AtomicUsize::new(2),
                latency: AtomicUsize::new(0),
                sample_rate: AtomicU32::new(0),
                load: AtomicU32::new(0),
            }),
            editor_state: nice_plug_egui::EguiEditorState::from_size(
                nice_plug_egui::baseview::dpi::LogicalSize::new(f64::from(width), f64::from(height)),
                1.0,
            ),
            swap: None,
            deck,
            fresh: true,
            offline: false,
            reported: 0,
            presses: 0,
            was_blind: false,
        };
        #[cfg(test)]
        twin::tests::LAST.set(Arc::downgrade(&plugin.shared));
        plugin
    }
}

impl Drop for Isotherm {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        self.shared.training.end();
        let workshop = self.shared.workshop.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(workshop);
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

/// How long an offline render waits for slots of another structure.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(10);

impl Isotherm {
    /// Brings what runs to what is set; asks for other slots where that needs another structure. [audio thread]
    fn follow(&mut self) {
        let Some(swap) = &mut self.swap else { return };
        if self.fresh {
            swap.settle();
        }
        let mut wanted = self.shared.settings();
        let fits = |slots: &Slots| (0..2).all(|i| slots.settings(i).same_structure(&wanted[i]));
        let fit = match swap.waiting() {
            Some(next) => fits(next),
            None => fits(swap.current()),
        };
        let orders = &self.shared.orders;
        if self.offline && (!fit || orders.is_loading()) {
            // Nobody listens: what is set counts from this block on, whatever the machine's speed. What is being made already may
            // have been asked for before all was set.
            let start = Instant::now();
            for _ in 0..2 {
                orders.ask_for_slots();
                while (orders.is_making() || orders.is_loading()) && start.elapsed() < OFFLINE_PATIENCE {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            wanted = self.shared.settings();
            if self.fresh {
                swap.settle();
            }
        } else if !fit {
            orders.ask_for_slots();
        }
        let heard = self.shared.heard();
        let presses = self.shared.presses.load(Ordering::Relaxed);
        let pressed = presses != self.presses;
        self.presses = presses;
        let blind = self.shared.bank.blind.modulated_plain_value();
        if self.was_blind && !blind {
            self.shared.orders.ask(TOSS);
        }
        self.was_blind = blind;
        let follow = |slots: &mut Slots, pressed: bool| {
            slots.follow(0, &wanted[0]);
            slots.follow(1, &wanted[1]);
            if pressed || slots.heard() != heard {
                slots.press(heard);
            }
        };
        follow(swap.current(), pressed);
        if let Some(next) = swap.waiting() {
            follow(next, false);
        }
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

    type Editor = nice_plug_egui::EguiEditor<editor::App>;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::new(editor::SharedParams(self.shared.clone()))
    }

    fn editor(&mut self, _: AsyncExecutor<Self>) -> Option<Self::Editor> {
        editor::create(self.shared.clone(), self.editor_state.clone())
    }

    fn activate(&mut self, layout: &AudioIOLayout, config: &BufferConfig, context: &mut impl ActivateContext<Self>) -> bool {
        let channels = layout.main_output_channels.map_or(0, |n| n.get() as usize);
        let spec = Spec { sample_rate: config.sample_rate, channels, max_frames: (config.max_buffer_size as usize).max(1) };
        self.offline = config.process_mode == ProcessMode::Offline;
        self.shared.offline.store(self.offline, Ordering::Relaxed);
        if let Err(error) = self.shared.open_workshop() {
            nice_error!("no thread to make slots on: {error}");
            return false;
        }
        let mut bench = self.shared.bench();
        // A state that came before is whole before the first sound.
        self.shared.models.iter().for_each(Holder::work);
        self.shared.models.iter().for_each(Holder::retry);
        let Some(slots) = self.shared.make(spec) else { return false };
        let latency = slots.latency();
        let sent = Some([*slots.settings(0), *slots.settings(1)]);
        let (swap, sender) = Swap::new(slots, config.sample_rate);
        *bench = Bench { spec: Some(spec), sender: Some(sender), sent };
        // What is armed already misses no frame.
        self.shared.takes.work(bench.spec, self.shared.is_armed());
        drop(bench);
        self.swap = Some(swap);
        self.fresh = true;
        self.shared.channels.store(channels, Ordering::Relaxed);
        self.shared.sample_rate.store(config.sample_rate.to_bits(), Ordering::Relaxed);
        self.shared.latency.store(latency, Ordering::Relaxed);
        self.reported = latency;
        context.set_latency_samples(latency as u32);
        true
    }

    fn reset(&mut self) {
        self.fresh = true;
        if let Some(swap) = &mut self.swap {
            swap.settle();
            swap.current().reset();
        }
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let start = Instant::now();
        let frames = buffer.samples();
        self.follow();
        let (armed, record) = (self.shared.is_armed(), self.shared.bank.record.modulated_plain_value());
        let playing = context.transport().playing;
        self.deck.follow(&self.shared.takes, &self.shared.orders, armed, record, playing, self.offline);
        let Some(swap) = &mut self.swap else { return ProcessStatus::Normal };
        let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = buffer.as_slice().iter_mut().map(|c| &mut **c).collect();
        let mut rolling = self.deck.begin(frames);
        let mut from = 0;
        let replaced = swap.run(&mut block, Slots::latency, |slots, block| {
            let frames = block.first().map_or(0, |c| c.len());
            match &mut rolling {
                Some(rolling) => {
                    slots.process_tapped(block, |tap, channel, at, samples| rolling.tap(tap, channel, from + at, samples));
                }
                None => slots.process(block),
            }
            from += frames;
        });
        if let Some(rolling) = rolling {
            rolling.finish(&block);
        }
        let settled = self.fresh;
        self.fresh &= frames == 0;
        if replaced || settled {
            let latency = swap.current().latency();
            self.shared.latency.store(latency, Ordering::Relaxed);
            self.shared.orders.ask(FREE);
            // CLAP: latency changes only while inactive, so the host is asked to restart, and `activate` tells the new one. VST3: the
            // host is told at once and reads it when it likes.
            if latency != self.reported {
                match context.plugin_api() {
                    PluginApi::Clap => context.request_restart(),
                    _ => context.set_latency_samples(latency as u32),
                }
                self.reported = latency;
            }
        }
        if frames > 0 {
            let real = frames as f32 / f32::from_bits(self.shared.sample_rate.load(Ordering::Relaxed)).max(1.0);
            let now = start.elapsed().as_secs_f32() / real;
            let before = f32::from_bits(self.shared.load.load(Ordering::Relaxed));
            // About a third of a second, so that the number can be read.
            let share = (real / 0.3).min(1.0);
            self.shared.load.store((before + share * (now - before)).to_bits(), Ordering::Relaxed);
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

nice_export_clap!(Isotherm);
nice_export_vst3!(Isotherm);
