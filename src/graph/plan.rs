//! A fixed order of nodes that runs.

use std::time::Instant;

use arrayvec::ArrayVec;

use super::node::Kind;
use super::storage::Storage;
use super::{Bus, SUB_BLOCK};
use crate::dsp::blend::copy_flushed;
use crate::dsp::{Block, Index, MAX_CHANNELS, db_to_gain};

/// One node in the order of running.
pub(super) struct Step {
    pub(super) kind: Kind,
    /// Steps that it reads.
    pub(super) reads: Vec<usize>,
    /// Their storages.
    pub(super) inputs: Vec<usize>,
    pub(super) channels: usize,
    pub(super) storage: usize,
    nanoseconds: u64,
}

impl Step {
    pub(super) fn new(kind: Kind, reads: Vec<usize>, channels: usize) -> Self {
        Self { kind, reads, inputs: Vec::new(), channels, storage: 0, nanoseconds: 0 }
    }
}

/// What a node has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTime {
    /// What the node is: `process`, `delay` ...
    pub name: &'static str,
    /// Since measuring was switched on.
    pub nanoseconds: u64,
}

/// Nodes in a fixed order, with all that they need. Belongs to one thread at a time; nothing in it allocates, locks or waits while
/// it runs.
pub struct Plan {
    builder: usize,
    steps: Vec<Step>,
    storages: Vec<Storage>,
    /// The step of each node.
    place: Vec<usize>,
    latency: usize,
    measured: bool,
    /// No frame since `reset`: switches and levels are simply there.
    fresh: bool,
}

/// Takes what the output ends of a plan behind the first give: stems beside what is heard.
pub trait Taps {
    /// Whether anybody listens; else these ends are left out.
    const LISTENS: bool = true;

    /// Samples of a channel of the `tap`-th of these ends, from 0, from frame `at` of the block on. Each frame comes once, in pieces.
    /// [audio thread]
    fn write(&mut self, tap: usize, channel: usize, at: usize, samples: &[f32]);
}

/// Nobody listens there.
impl Taps for () {
    const LISTENS: bool = false;

    fn write(&mut self, _: usize, _: usize, _: usize, _: &[f32]) {}
}

/// Where a plan's ends reach the outside.
trait Ends {
    /// Fills `to` with frames from `at` on of a channel of an input end.
    fn read(&self, end: usize, channel: usize, at: usize, to: &mut [f32]);
    /// Whether what an output end gives is wanted.
    fn wants(&self, _end: usize) -> bool {
        true
    }
    /// At most a sub-block. No subnormal number leaves, whatever came in and whatever the nodes made of it.
    fn write(&mut self, end: usize, channel: usize, at: usize, from: &[f32]);
}

struct Separate<'a, 'i, 'j, 'o, 'p> {
    ins: &'a [&'i [&'j [f32]]],
    outs: &'a mut [&'o mut [&'p mut [f32]]],
}

impl Ends for Separate<'_, '_, '_, '_, '_> {
    fn read(&self, end: usize, channel: usize, at: usize, to: &mut [f32]) {
        match self.ins.get(end).and_then(|e| e.get(channel)).and_then(|c| c.get(at..at + to.len())) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0.0),
        }
    }

    fn write(&mut self, end: usize, channel: usize, at: usize, from: &[f32]) {
        if let Some(to) = self.outs.get_mut(end).and_then(|e| e.get_mut(channel)).and_then(|c| c.get_mut(at..at + from.len())) {
            copy_flushed(from, to);
        }
    }
}

struct Same<'a, 'b, T> {
    block: &'a mut Block<'b>,
    taps: &'a mut T,
}

impl<T: Taps> Ends for Same<'_, '_, T> {
    fn read(&self, _: usize, channel: usize, at: usize, to: &mut [f32]) {
        match self.block.get(channel).and_then(|c| c.get(at..at + to.len())) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0.0),
        }
    }

    fn wants(&self, end: usize) -> bool {
        end == 0 || T::LISTENS
    }

    fn write(&mut self, end: usize, channel: usize, at: usize, from: &[f32]) {
        if let Some(tap) = end.checked_sub(1) {
            let mut samples = [0.0; SUB_BLOCK];
            copy_flushed(from, &mut samples);
            self.taps.write(tap, channel, at, &samples[..from.len()]);
        } else if let Some(to) = self.block.get_mut(channel).and_then(|c| c.get_mut(at..at + from.len())) {
            copy_flushed(from, to);
        }
    }
}

impl Plan {
    pub(super) fn new(builder: usize, steps: Vec<Step>, storages: Vec<Storage>, place: Vec<usize>, latency: usize) -> Self {
        Self { builder, steps, storages, place, latency, measured: false, fresh: true }
    }

    /// Frames by which all output ends lag the input ends. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.latency
    }

    /// Bytes that its effects hold on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        let effects: usize = self.steps.iter().map(|s| if let Kind::Process(p) = &s.kind { p.bytes() } else { 0 }).sum();
        effects + self.storages.iter().map(|s| size_of_val(s.as_slice())).sum::<usize>()
    }

    /// Storages for samples: fewer than nodes where nodes work in place. [any thread]
    #[must_use]
    pub fn storages(&self) -> usize {
        self.storages.len()
    }

    /// `ins[k]` is read by the k-th input end, `outs[k]` filled by the k-th output end: a slice per channel. Any number of
    /// frames. A missing channel is silent, or is not filled. [audio thread]
    pub fn run(&mut self, ins: &[&[&[f32]]], outs: &mut [&mut [&mut [f32]]], frames: usize) {
        self.run_ends(&mut Separate { ins, outs }, frames);
    }

    /// One block that is both input and the first output. [audio thread]
    pub fn run_in_place(&mut self, block: &mut Block<'_>) {
        self.run_tapped(block, &mut ());
    }

    /// As [`Self::run_in_place`]; what the output ends behind the first give goes to `taps`. [audio thread]
    pub fn run_tapped(&mut self, block: &mut Block<'_>, taps: &mut impl Taps) {
        let frames = block.first().map_or(0, |c| c.len());
        self.run_ends(&mut Same { block, taps }, frames);
    }

    fn run_ends(&mut self, ends: &mut impl Ends, frames: usize) {
        let mut at = 0;
        while at < frames {
            self.fresh = false;
            let n = SUB_BLOCK.min(frames - at);
            for step in &mut self.steps {
                let start = self.measured.then(Instant::now);
                // Taken out and put back, so that the other storages can be read beside it.
                let mut own = std::mem::take(&mut self.storages[step.storage]);
                run_step(step, &self.storages, &mut own, ends, at, n);
                self.storages[step.storage] = own;
                if let Some(start) = start {
                    step.nanoseconds += start.elapsed().as_nanos() as u64;
                }
            }
            at += n;
        }
    }

    fn step(&mut self, bus: Bus) -> &mut Kind {
        assert_eq!(bus.builder, self.builder, "a bus of another plan");
        &mut self.steps[self.place[bus.node]].kind
    }

    /// Sets a parameter of an effect; see [`crate::dsp::Processor::set`]. [audio thread]
    ///
    /// # Panics
    /// If `bus` is another plan's.
    pub fn set(&mut self, bus: Bus, parameter: Index, value: f32) {
        if let Kind::Process(resting) = self.step(bus) {
            resting.set(parameter, value);
        }
    }

    /// Lets a gain node glide to a level; at once if nothing has run since `reset`. [audio thread]
    ///
    /// # Panics
    /// If `bus` is another plan's.
    pub fn set_gain(&mut self, bus: Bus, db: f32) {
        let fresh = self.fresh;
        if let Kind::Gain(ramp) = self.step(bus) {
            ramp.set(db_to_gain(db), fresh);
        }
    }

    /// Lets a switch go to one of its inputs through a dip, also to the one that is heard; at once if nothing has run since `reset`.
    /// [audio thread]
    ///
    /// # Panics
    /// If `bus` is another plan's.
    pub fn press(&mut self, bus: Bus, input: usize) {
        assert_eq!(bus.builder, self.builder, "a bus of another plan");
        let fresh = self.fresh;
        let step = &mut self.steps[self.place[bus.node]];
        let last = step.inputs.len().saturating_sub(1);
        if let Kind::Switch(switch) = &mut step.kind {
            switch.press(input.min(last), fresh);
        }
    }

    /// From now on its effects may take their time (`true`), or must not; see [`crate::dsp::Processor::set_offline`]. [audio thread]
    pub fn set_offline(&mut self, offline: bool) {
        for step in &mut self.steps {
            if let Kind::Process(resting) = &mut step.kind {
                resting.set_offline(offline);
            }
        }
    }

    /// Everything back to the state right after `compile`; values that were set stay. [audio thread]
    pub fn reset(&mut self) {
        for step in &mut self.steps {
            step.kind.reset();
        }
        self.fresh = true;
    }

    /// Starts or stops measuring what each node costs. [audio thread]
    pub fn measure(&mut self, on: bool) {
        self.measured = on;
        for step in &mut self.steps {
            step.nanoseconds = 0;
        }
    }

    /// What each node has cost since [`Self::measure`], in the order of running. [the thread that runs it]
    pub fn times(&self) -> impl Iterator<Item = NodeTime> + '_ {
        self.steps.iter().map(|s| NodeTime { name: s.kind.name(), nanoseconds: s.nanoseconds })
    }
}

fn run_step(step: &mut Step, storages: &[Storage], own: &mut Storage, ends: &mut impl Ends, at: usize, n: usize) {
    let inputs = step.inputs.as_slice();
    match &mut step.kind {
        Kind::Input(end) => {
            for (c, channel) in own.chunks_exact_mut(SUB_BLOCK).enumerate() {
                ends.read(*end, c, at, &mut channel[..n]);
            }
        }
        Kind::Output(end) if !ends.wants(*end) => {}
        Kind::Output(end) => {
            let from = if inputs[0] == step.storage { &*own } else { &storages[inputs[0]] };
            for (c, channel) in from.chunks_exact(SUB_BLOCK).enumerate() {
                ends.write(*end, c, at, &channel[..n]);
            }
        }
        Kind::Mix => {
            own.fill(0.0);
            for &input in inputs {
                for (y, x) in own.iter_mut().zip(&storages[input]) {
                    *y += x;
                }
            }
        }
        Kind::Split(range) => own.copy_from_slice(&storages[inputs[0]][range.start * SUB_BLOCK..range.end * SUB_BLOCK]),
        Kind::Join => {
            let mut rest = own.as_mut_slice();
            for &input in inputs {
                let (part, later) = rest.split_at_mut(storages[input].len());
                part.copy_from_slice(&storages[input]);
                rest = later;
            }
        }
        Kind::Switch(switch) => switch.run(inputs, storages, own, n),
        kind => {
            if let Some(&input) = inputs.first()
                && input != step.storage
            {
                copy(&storages[input], own, n);
            }
            kind.run(own, n);
        }
    }
}

fn copy(from: &Storage, to: &mut Storage, n: usize) {
    for (to, from) in to.chunks_exact_mut(SUB_BLOCK).zip(from.chunks_exact(SUB_BLOCK)) {
        to[..n].copy_from_slice(&from[..n]);
    }
}

/// Part of a block: frames `at..at + frames` of each channel.
pub(super) fn part<'a>(block: &'a mut Block<'_>, at: usize, frames: usize) -> ArrayVec<&'a mut [f32], MAX_CHANNELS> {
    block.iter_mut().take(MAX_CHANNELS).map(|c| &mut c[at..at + frames]).collect()
}
