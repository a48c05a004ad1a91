//! The audio thread's part of an instance: runs the slots and, before every block, brings them to the values that are set.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::SharedInstance;
use super::builder::{BuildTarget, jobs};
use super::listen::TestInsert;
use super::models::ModelSlot;
use super::parameters::{BLIND, BYPASS, RECORD};
use super::takes::TakeWriter;
use crate::dsp::{Block, ProcessSpec, Settings};
use crate::graph::Swap;
use crate::slots::Slots;

/// Longest time that a block of an offline render waits for slots of another structure.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time constant of the mean of the load, in seconds: long enough that the number on the screen can be read.
const LOAD_SECONDS: f32 = 0.3;

/// Runs the slots, and knows which generation of the parameters they have.
pub struct Engine {
    shared: Arc<SharedInstance>,
    /// The slots; None before the first `prepare`.
    swap: Option<Swap<Slots>>,
    /// True until a frame has run since `prepare` or `reset`: until then other slots take over at once, without a dip.
    at_start: bool,
    /// True while the host renders offline: the audio thread may wait then, so that a change takes effect in the next block.
    offline: bool,
    /// The settings that were read last.
    settings: [Settings; 2],
    /// The store's generation when `settings` was read; None if slots run that have not got these settings yet.
    generation: Option<u32>,
    /// Count of presses of a listen button at the last block. A press makes a dip even if the branch stays the same, so that the
    /// dip tells nothing in a blind comparison.
    listen_button_presses: u32,
    /// True if the blind switch was on at the last block.
    was_blind: bool,
    /// The end of listening tests; None before the first `prepare`.
    tests: Option<TestInsert>,
}

impl Engine {
    /// An engine without slots, which [`Self::prepare`] makes. [control thread]
    pub fn new(shared: Arc<SharedInstance>) -> Self {
        let settings = shared.settings();
        Self {
            shared,
            swap: None,
            at_start: true,
            offline: false,
            settings,
            generation: None,
            listen_button_presses: 0,
            was_blind: false,
            tests: None,
        }
    }

    /// Makes slots for the values that are set, models included, and starts the builder thread. Returns their latency in
    /// frames, or None if slots cannot be made; the log says why. If `spec` is offline, the audio thread may wait. [control
    /// thread, while no block runs]
    pub fn prepare(&mut self, spec: ProcessSpec) -> Option<usize> {
        let shared = &self.shared;
        self.offline = spec.offline;
        if let Err(error) = shared.open_builder() {
            tracing::error!("no thread to make slots on: {error}");
            return None;
        }
        // Locked until the slots are made, so that no other thread reads models or makes slots meanwhile.
        let mut target = shared.build_target();
        // The models of a state that was loaded before are read here, so that they play from the first frame.
        shared.models.iter().for_each(ModelSlot::run_requests);
        shared.models.iter().for_each(ModelSlot::retry_rejected);
        shared.requests.post(jobs::MEASURE_AND_ENCODE_MODELS);
        let slots = shared.build_slots(spec)?;
        let latency = slots.latency();
        let newest_snapshots = Some([*slots.snapshot(0), *slots.snapshot(1)]);
        let (swap, sender) = Swap::new(slots, spec.sample_rate);
        *target = BuildTarget { spec: Some(spec), sender: Some(sender), newest_snapshots };
        // A recorder that is on standby already is opened here, so that it misses no frame.
        shared.takes.update_recorder(target.spec, shared.is_on_standby());
        drop(target);
        // Tests play in real time only. A bounce between two trials is no other stream for them.
        let real_time = ProcessSpec { offline: false, ..spec };
        if !self.tests.as_mut().is_some_and(|tests| tests.fits(real_time)) {
            // The old end parks its player before the new one looks for it.
            drop(self.tests.take());
            self.tests = Some(TestInsert::new(shared.tests.link(), real_time));
        }
        shared.channels.store(spec.channels, Ordering::Relaxed);
        shared.sample_rate.store(spec.sample_rate.to_bits(), Ordering::Relaxed);
        shared.latency.store(latency, Ordering::Relaxed);
        self.swap = Some(swap);
        self.at_start = true;
        Some(latency)
    }

    /// Clears the memory of past sound; the values of the parameters stay. [audio thread]
    pub fn reset(&mut self) {
        self.at_start = true;
        if let Some(swap) = &mut self.swap {
            swap.replace_now();
            swap.current().reset();
        }
    }

    /// Brings the slots that run to the values that are set, before a block. Asks the builder thread for other slots where the
    /// values need another structure; an offline render waits for them. [audio thread]
    pub fn follow(&mut self) {
        let Some(swap) = &mut self.swap else { return };
        if self.at_start {
            swap.replace_now();
        }
        let generation = self.shared.parameters.generation();
        let mut values_changed = self.at_start || self.generation != Some(generation);
        if values_changed {
            self.settings = self.shared.settings();
            self.generation = Some(generation);
        }
        let mut requested = self.shared.effect_snapshots(&self.settings);
        let has_structure = |slots: &Slots| (0..2).all(|i| slots.snapshot(i).same_structure(&requested[i]));
        let fits = match swap.pending() {
            Some(next) => has_structure(next),
            None => has_structure(swap.current()),
        };
        let requests = &self.shared.requests;
        if self.offline && (!fits || requests.is_loading_models()) {
            // An offline render has time: the values take effect in this block, however slow the machine is. Slots that are
            // being made may have been requested before all values were set, so slots are requested twice.
            let start = Instant::now();
            for _ in 0..2 {
                requests.request_slots();
                while (requests.is_building_slots() || requests.is_loading_models()) && start.elapsed() < OFFLINE_TIMEOUT {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            requested = self.shared.requested_snapshots();
            // Another thread may have set a value meanwhile.
            (values_changed, self.generation) = (true, None);
            if self.at_start {
                swap.replace_now();
            }
        } else if !fits {
            requests.request_slots();
        }
        let listen = self.shared.requested_listen();
        let listen_button_presses = self.shared.listen_button_presses.load(Ordering::Relaxed);
        let pressed = listen_button_presses != self.listen_button_presses;
        self.listen_button_presses = listen_button_presses;
        let blind = self.shared.parameters.is_on(BLIND);
        // Tossed when the blind comparison ends, so that the next one begins with a new coin.
        if self.was_blind && !blind {
            requests.post(jobs::TOSS_COIN);
        }
        self.was_blind = blind;
        let follow = |slots: &mut Slots, values_changed: bool, pressed: bool| {
            if values_changed {
                slots.follow(0, &requested[0]);
                slots.follow(1, &requested[1]);
            }
            if pressed || slots.listen() != listen {
                slots.set_listen(listen);
            }
        };
        follow(swap.current(), values_changed, pressed);
        if let Some(next) = swap.pending() {
            // These slots were made for values that may be old by now. They are compared again at the next block.
            follow(next, true, false);
            self.generation = None;
        }
        if !fits {
            self.generation = None;
        }
    }

    /// Runs a block: calls `run_part` with the slots and each part of the block in turn (a block is cut where other slots take
    /// over). Returns the latency in frames if it may be new: if other slots took over, or if no frame had run since `prepare` or
    /// `reset`. [audio thread]
    pub fn run(&mut self, block: &mut Block<'_>, run_part: impl FnMut(&mut Slots, &mut Block<'_>)) -> Option<usize> {
        let start = Instant::now();
        let swap = self.swap.as_mut()?;
        let frames = block.first().map_or(0, |channel| channel.len());
        let replaced = swap.run(block, Slots::latency, run_part);
        if replaced {
            self.generation = None;
        }
        let was_at_start = self.at_start;
        self.at_start &= frames == 0;
        let new_latency = (replaced || was_at_start).then(|| {
            let latency = swap.current().latency();
            self.shared.latency.store(latency, Ordering::Relaxed);
            self.shared.requests.post(jobs::FREE_SLOTS);
            latency
        });
        if frames > 0 {
            let block_seconds = frames as f32 / f32::from_bits(self.shared.sample_rate.load(Ordering::Relaxed)).max(1.0);
            let load_now = start.elapsed().as_secs_f32() / block_seconds;
            let mean_before = f32::from_bits(self.shared.load.load(Ordering::Relaxed));
            let weight = (block_seconds / LOAD_SECONDS).min(1.0);
            self.shared.load.store((mean_before + weight * (load_now - mean_before)).to_bits(), Ordering::Relaxed);
        }
        new_latency
    }
}

impl Engine {
    /// Keeps a block of input for listening tests, while their panel is open. [audio thread]
    fn keep_input(&mut self, block: &Block<'_>) {
        if let Some(tests) = self.tests.as_mut().filter(|_| !self.offline) {
            tests.keep(block);
        }
    }

    /// Plays the sound of a listening test in place of the output, while one runs; never into an offline render. [audio thread]
    fn play_test(&mut self, block: &mut Block<'_>, started: Instant) {
        if let Some(tests) = self.tests.as_mut().filter(|_| !self.offline) {
            let bypassed = self.shared.parameters.is_on(BYPASS);
            if tests.play(block, started, bypassed) {
                self.shared.requests.post(jobs::FREE_SLOTS);
            }
        }
    }
}

/// The slots of an instance as an insert of a monitor path, for a program without a host. It records nothing. [audio thread]
pub struct MonitorInsert(pub(super) Engine);

impl MonitorInsert {
    /// Processes a block in place; it may have any number of frames.
    pub fn process(&mut self, block: &mut Block<'_>) {
        let started = Instant::now();
        self.0.keep_input(block);
        self.0.follow();
        self.0.run(block, |slots: &mut Slots, block: &mut Block<'_>| slots.process(block));
        self.0.play_test(block, started);
    }

    /// Clears the memory of past sound, as the next block does not continue the last one.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// The audio thread's end of an instance: runs the slots and feeds the recorder of its takes.
pub struct InstanceProcessor {
    engine: Engine,
    take_writer: TakeWriter,
}

impl InstanceProcessor {
    pub(super) fn new(engine: Engine, take_writer: TakeWriter) -> Self {
        Self { engine, take_writer }
    }

    /// Makes slots for the values that are set, models included, and starts the builder thread. Returns their latency in
    /// frames, or None if slots cannot be made; the log says why. If `spec` is offline, the audio thread may wait. [control
    /// thread, while no block runs]
    pub fn prepare(&mut self, spec: ProcessSpec) -> Option<usize> {
        self.engine.prepare(spec)
    }

    /// Clears the memory of past sound; the values of the parameters stay. [audio thread]
    pub fn reset(&mut self) {
        self.engine.reset();
    }

    /// Processes a block in place; it may have any number of frames. `playing` is true while the host's transport runs, which
    /// may start a take. Returns the latency in frames if it may be new, as `Engine::run` does. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>, playing: bool) -> Option<usize> {
        let Self { engine, take_writer } = self;
        let frames = block.first().map_or(0, |channel| channel.len());
        let started = Instant::now();
        engine.keep_input(block);
        engine.follow();
        let shared = &engine.shared;
        let (standby, record) = (shared.is_on_standby(), shared.parameters.is_on(RECORD));
        take_writer.follow(&shared.takes, &shared.requests, standby, record, playing, engine.offline);
        let mut take_block = if engine.swap.is_some() { take_writer.begin(frames) } else { None };
        let latency = engine.run(block, |slots, part| match &mut take_block {
            Some(take_block) => take_block.run(slots, part),
            None => slots.process(part),
        });
        if let Some(take_block) = take_block {
            take_block.finish(block);
        }
        // After the take, whose output would otherwise tell what was behind the buttons.
        engine.play_test(block, started);
        latency
    }
}
