//! What the audio thread runs: the slots, brought to what is set before every block.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nice_plug::prelude::{Param, nice_error};

use super::models::Holder;
use super::workshop::{FREE, TOSS};
use super::{Bench, Shared};
use crate::dsp::{Block, Spec};
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
    presses: u32,
    was_blind: bool,
}

impl Engine {
    /// [control thread]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, swap: None, fresh: true, offline: false, presses: 0, was_blind: false }
    }

    /// Makes slots for what is set, models included; the workshop works from now on. Returns their latency in frames; nothing if there
    /// are none, and then the log says why. [control thread, while no block runs]
    pub fn prepare(&mut self, spec: Spec, offline: bool) -> Option<usize> {
        let shared = &self.shared;
        self.offline = offline;
        shared.offline.store(offline, Ordering::Relaxed);
        if let Err(error) = shared.open_workshop() {
            nice_error!("no thread to make slots on: {error}");
            return None;
        }
        let mut bench = shared.bench();
        // A state that came before is whole before the first sound.
        shared.models.iter().for_each(Holder::work);
        shared.models.iter().for_each(Holder::retry);
        let slots = shared.make(spec)?;
        let latency = slots.latency();
        let sent = Some([*slots.outline(0), *slots.outline(1)]);
        let (swap, sender) = Swap::new(slots, spec.sample_rate);
        *bench = Bench { spec: Some(spec), sender: Some(sender), sent };
        // What is armed already misses no frame.
        shared.takes.work(bench.spec, shared.is_armed());
        drop(bench);
        shared.channels.store(spec.channels, Ordering::Relaxed);
        shared.sample_rate.store(spec.sample_rate.to_bits(), Ordering::Relaxed);
        shared.latency.store(latency, Ordering::Relaxed);
        self.swap = Some(swap);
        self.fresh = true;
        Some(latency)
    }

    /// [audio thread]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether there are slots. [audio thread]
    pub fn is_ready(&self) -> bool {
        self.swap.is_some()
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
        let mut wanted = self.shared.wanted();
        let fits = |slots: &Slots| (0..2).all(|i| slots.outline(i).same_structure(&wanted[i]));
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
            wanted = self.shared.wanted();
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

    /// Runs a block through `each`, which is given the slots and a part of it at a time. Returns the latency in frames if other slots
    /// run now. [audio thread]
    pub fn run(&mut self, block: &mut Block<'_>, each: impl FnMut(&mut Slots, &mut Block<'_>)) -> Option<usize> {
        let start = Instant::now();
        let swap = self.swap.as_mut()?;
        let frames = block.first().map_or(0, |channel| channel.len());
        let replaced = swap.run(block, Slots::latency, each);
        let settled = self.fresh;
        self.fresh &= frames == 0;
        let changed = (replaced || settled).then(|| {
            let latency = swap.current().latency();
            self.shared.latency.store(latency, Ordering::Relaxed);
            self.shared.orders.ask(FREE);
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
