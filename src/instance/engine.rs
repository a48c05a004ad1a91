//! The audio thread's part: the slots, brought to the values that are set before every block.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use super::builder::{Target, jobs};
use super::models::ModelSlot;
use super::parameters::{BLIND, RECORD};
use super::takes::Deck;
use crate::dsp::{Block, Settings, Spec};
use crate::graph::Swap;
use crate::slots::Slots;

/// How long an offline render waits for slots of another structure.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(10);
/// The load that is shown is a mean of this time, so that it can be read.
const LOAD_SECONDS: f32 = 0.3;

/// See the module.
pub struct Engine {
    shared: Arc<Shared>,
    /// Nothing before the first `prepare`.
    swap: Option<Swap<Slots>>,
    /// No frame since `prepare` or `reset`: other slots are taken at once, without a dip.
    fresh: bool,
    offline: bool,
    /// As they were read last, and the generation of the values then; nothing if slots run that were not brought to them yet.
    settings: [Settings; 2],
    generation: Option<u32>,
    presses: u32,
    was_blind: bool,
}

impl Engine {
    /// [control thread]
    pub fn new(shared: Arc<Shared>) -> Self {
        let settings = shared.settings();
        Self { shared, swap: None, fresh: true, offline: false, settings, generation: None, presses: 0, was_blind: false }
    }

    /// Makes slots for what is set, models included; the builder thread works from now on. Returns their latency in frames; nothing if there
    /// are none, and then the log says why. [control thread, while no block runs]
    pub fn prepare(&mut self, spec: Spec, offline: bool) -> Option<usize> {
        let shared = &self.shared;
        self.offline = offline;
        shared.offline.store(offline, Ordering::Relaxed);
        if let Err(error) = shared.open_builder() {
            tracing::error!("no thread to make slots on: {error}");
            return None;
        }
        let mut target = shared.target();
        // A state that came before is whole before the first sound.
        shared.models.iter().for_each(ModelSlot::work);
        shared.models.iter().for_each(ModelSlot::retry);
        shared.requests.ask(jobs::FINISH);
        let slots = shared.make(spec)?;
        let latency = slots.latency();
        let sent = Some([*slots.outline(0), *slots.outline(1)]);
        let (swap, sender) = Swap::new(slots, spec.sample_rate);
        *target = Target { spec: Some(spec), sender: Some(sender), sent };
        // What is armed already misses no frame.
        shared.takes.work(target.spec, shared.is_armed());
        drop(target);
        shared.channels.store(spec.channels, Ordering::Relaxed);
        shared.sample_rate.store(spec.sample_rate.to_bits(), Ordering::Relaxed);
        shared.latency.store(latency, Ordering::Relaxed);
        self.swap = Some(swap);
        self.fresh = true;
        Some(latency)
    }

    /// Back to silence; values stay. [audio thread]
    pub fn reset(&mut self) {
        self.fresh = true;
        if let Some(swap) = &mut self.swap {
            swap.settle();
            swap.current().reset();
        }
    }

    /// Brings what runs to what is set; asks for other slots where that needs another structure. [audio thread]
    pub fn follow(&mut self) {
        let Some(swap) = &mut self.swap else { return };
        if self.fresh {
            swap.settle();
        }
        let generation = self.shared.parameters.generation();
        let mut moved = self.fresh || self.generation != Some(generation);
        if moved {
            self.settings = self.shared.settings();
            self.generation = Some(generation);
        }
        let mut wanted = self.shared.outlines(&self.settings);
        let fits = |slots: &Slots| (0..2).all(|i| slots.outline(i).same_structure(&wanted[i]));
        let fit = match swap.waiting() {
            Some(next) => fits(next),
            None => fits(swap.current()),
        };
        let requests = &self.shared.requests;
        if self.offline && (!fit || requests.is_loading()) {
            // Nobody listens: what is set counts from this block on, whatever the machine's speed. What is being made already may
            // have been asked for before all was set.
            let start = Instant::now();
            for _ in 0..2 {
                requests.ask_for_slots();
                while (requests.is_making() || requests.is_loading()) && start.elapsed() < OFFLINE_PATIENCE {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            wanted = self.shared.wanted();
            // Another thread may have set something meanwhile.
            (moved, self.generation) = (true, None);
            if self.fresh {
                swap.settle();
            }
        } else if !fit {
            requests.ask_for_slots();
        }
        let heard = self.shared.heard();
        let presses = self.shared.presses.load(Ordering::Relaxed);
        let pressed = presses != self.presses;
        self.presses = presses;
        let blind = self.shared.parameters.is_on(BLIND);
        if self.was_blind && !blind {
            requests.ask(jobs::TOSS);
        }
        self.was_blind = blind;
        let follow = |slots: &mut Slots, moved: bool, pressed: bool| {
            if moved {
                slots.follow(0, &wanted[0]);
                slots.follow(1, &wanted[1]);
            }
            if pressed || slots.heard() != heard {
                slots.press(heard);
            }
        };
        follow(swap.current(), moved, pressed);
        if let Some(next) = swap.waiting() {
            // Made for what was set a while ago.
            follow(next, true, false);
            self.generation = None;
        }
        if !fit {
            self.generation = None;
        }
    }

    /// Runs a block through `each`, which is given the slots and a part of it at a time. Returns the latency in frames if other slots
    /// run now. [audio thread]
    pub fn run(&mut self, block: &mut Block<'_>, each: impl FnMut(&mut Slots, &mut Block<'_>)) -> Option<usize> {
        let start = Instant::now();
        let swap = self.swap.as_mut()?;
        let frames = block.first().map_or(0, |channel| channel.len());
        let replaced = swap.run(block, Slots::latency, each);
        if replaced {
            self.generation = None;
        }
        let settled = self.fresh;
        self.fresh &= frames == 0;
        let changed = (replaced || settled).then(|| {
            let latency = swap.current().latency();
            self.shared.latency.store(latency, Ordering::Relaxed);
            self.shared.requests.ask(jobs::FREE);
            latency
        });
        if frames > 0 {
            let real = frames as f32 / f32::from_bits(self.shared.sample_rate.load(Ordering::Relaxed)).max(1.0);
            let now = start.elapsed().as_secs_f32() / real;
            let before = f32::from_bits(self.shared.load.load(Ordering::Relaxed));
            let share = (real / LOAD_SECONDS).min(1.0);
            self.shared.load.store((before + share * (now - before)).to_bits(), Ordering::Relaxed);
        }
        changed
    }
}

/// The slots as they play. [audio thread]
pub struct Voice(pub(super) Engine);

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

/// The slots as they play, and what is recorded of them.
pub struct Player {
    engine: Engine,
    deck: Deck,
}

impl Player {
    pub(super) fn new(engine: Engine, deck: Deck) -> Self {
        Self { engine, deck }
    }

    /// Makes slots for what is set, models included; the builder thread works from now on. Returns their latency in frames; nothing if
    /// there are none, and then the log says why. [control thread, while no block runs]
    pub fn prepare(&mut self, spec: Spec, offline: bool) -> Option<usize> {
        self.engine.prepare(spec, offline)
    }

    /// Back to silence; values stay. [audio thread]
    pub fn reset(&mut self) {
        self.engine.reset();
    }

    /// In place, any number of frames; `playing` says whether the host's transport runs. Returns the latency in frames if other slots
    /// run now. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>, playing: bool) -> Option<usize> {
        let Self { engine, deck } = self;
        let frames = block.first().map_or(0, |channel| channel.len());
        engine.follow();
        let shared = &engine.shared;
        let (armed, record) = (shared.is_armed(), shared.parameters.is_on(RECORD));
        deck.follow(&shared.takes, &shared.requests, armed, record, playing, engine.offline);
        let mut rolling = if engine.swap.is_some() { deck.begin(frames) } else { None };
        let latency = engine.run(block, |slots, part| match &mut rolling {
            Some(rolling) => rolling.run(slots, part),
            None => slots.process(part),
        });
        if let Some(rolling) = rolling {
            rolling.finish(block);
        }
        latency
    }
}
