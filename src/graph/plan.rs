//! The plan: a compiled graph, which runs its nodes in a fixed order.

use std::time::Instant;

use arrayvec::ArrayVec;

use super::node::NodeKind;
use super::storage::Storage;
use super::{Bus, SUB_BLOCK};
use crate::dsp::dry_wet::copy_flushed;
use crate::dsp::{Block, MAX_CHANNELS, ParameterIndex, db_to_gain};

/// A node of a plan: one that was added to the builder, or a delay that aligns branches.
pub(super) struct Step {
    pub(super) kind: NodeKind,
    /// Indices of the steps that it reads.
    pub(super) input_steps: Vec<usize>,
    /// Indices of the storages (sample buffers) of these steps.
    pub(super) input_storages: Vec<usize>,
    /// Number of channels of its output.
    pub(super) channels: usize,
    /// Index of the storage of its output.
    pub(super) storage: usize,
    /// Time that it has taken since the measurement began.
    nanoseconds: u64,
}

impl Step {
    pub(super) fn new(kind: NodeKind, input_steps: Vec<usize>, channels: usize) -> Self {
        Self { kind, input_steps, input_storages: Vec::new(), channels, storage: 0, nanoseconds: 0 }
    }
}

/// The time that a node has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeTime {
    /// Kind of the node: `process`, `delay` ...
    pub name: &'static str,
    /// Nanoseconds since [`Plan::measure`] switched the measurement on.
    pub nanoseconds: u64,
}

/// A compiled graph: its nodes in a fixed order, with all their memory. Belongs to one thread at a time; nothing in it allocates,
/// locks or waits while it runs.
pub struct Plan {
    /// Identifies the builder that made the plan; buses of another one are refused.
    builder_id: usize,
    steps: Vec<Step>,
    storages: Vec<Storage>,
    /// Index of the step of each of the builder's nodes.
    step_of_node: Vec<usize>,
    latency: usize,
    /// True if the time of each node is measured.
    measured: bool,
    /// True until the first frame after `reset`: switches and gains then change at once.
    at_start: bool,
}

/// A receiver of a plan's outputs after the first one, such as the stems that are recorded beside the main output.
pub trait TapReceiver {
    /// False if these outputs are not needed; they are then not copied.
    const ENABLED: bool = true;

    /// Receives samples of a channel, beginning at frame `at` of the block. Tap 0 is the second output of the plan. Each frame
    /// comes once, in pieces of at most a sub-block. [audio thread]
    fn write(&mut self, tap: usize, channel: usize, at: usize, samples: &[f32]);
}

/// The receiver for a plan whose other outputs are not needed.
impl TapReceiver for () {
    const ENABLED: bool = false;

    fn write(&mut self, _: usize, _: usize, _: usize, _: &[f32]) {}
}

/// The buffers behind the inputs and outputs of a plan.
trait PlanBuffers {
    /// Fills `to` with frames of a channel of an input, starting at frame `at` of the block.
    fn read(&self, input: usize, channel: usize, at: usize, to: &mut [f32]);
    /// True if an output is needed.
    fn wants(&self, _output: usize) -> bool {
        true
    }
    /// Writes at most a sub-block of a channel of an output, starting at frame `at` of the block. Replaces denormal numbers by 0.
    fn write(&mut self, output: usize, channel: usize, at: usize, from: &[f32]);
}

/// Separate buffers for each input and each output.
struct SeparateBuffers<'a, 'i, 'j, 'o, 'p> {
    ins: &'a [&'i [&'j [f32]]],
    outs: &'a mut [&'o mut [&'p mut [f32]]],
}

impl PlanBuffers for SeparateBuffers<'_, '_, '_, '_, '_> {
    fn read(&self, input: usize, channel: usize, at: usize, to: &mut [f32]) {
        match self.ins.get(input).and_then(|e| e.get(channel)).and_then(|c| c.get(at..at + to.len())) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0.0),
        }
    }

    fn write(&mut self, output: usize, channel: usize, at: usize, from: &[f32]) {
        let channel = self.outs.get_mut(output).and_then(|o| o.get_mut(channel));
        if let Some(to) = channel.and_then(|c| c.get_mut(at..at + from.len())) {
            copy_flushed(from, to);
        }
    }
}

/// One buffer for the input and the first output, and a receiver for the other outputs.
struct InPlaceBuffer<'a, 'b, T> {
    block: &'a mut Block<'b>,
    receiver: &'a mut T,
}

impl<T: TapReceiver> PlanBuffers for InPlaceBuffer<'_, '_, T> {
    fn read(&self, _: usize, channel: usize, at: usize, to: &mut [f32]) {
        match self.block.get(channel).and_then(|c| c.get(at..at + to.len())) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0.0),
        }
    }

    fn wants(&self, output: usize) -> bool {
        output == 0 || T::ENABLED
    }

    fn write(&mut self, output: usize, channel: usize, at: usize, from: &[f32]) {
        if let Some(tap) = output.checked_sub(1) {
            let mut samples = [0.0; SUB_BLOCK];
            copy_flushed(from, &mut samples);
            self.receiver.write(tap, channel, at, &samples[..from.len()]);
        } else if let Some(to) = self.block.get_mut(channel).and_then(|c| c.get_mut(at..at + from.len())) {
            copy_flushed(from, to);
        }
    }
}

impl Plan {
    /// For [`Builder::compile`](super::Builder::compile) only.
    pub(super) fn new(
        builder_id: usize,
        steps: Vec<Step>,
        storages: Vec<Storage>,
        step_of_node: Vec<usize>,
        latency: usize,
    ) -> Self {
        Self { builder_id, steps, storages, step_of_node, latency, measured: false, at_start: true }
    }

    /// Frames by which all outputs lag the inputs. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.latency
    }

    /// Bytes of its processors and storages on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        let processors: usize = self.steps.iter().map(|s| if let NodeKind::Process(p) = &s.kind { p.bytes() } else { 0 }).sum();
        processors + self.storages.iter().map(|s| size_of_val(s.as_slice())).sum::<usize>()
    }

    /// Number of storages (sample buffers of a bus): fewer than nodes, because nodes work in place where possible. [any thread]
    #[must_use]
    pub fn storages(&self) -> usize {
        self.storages.len()
    }

    /// Processes `frames` frames, any number: input k reads `ins[k]`, output k fills `outs[k]`, each a slice per channel. A
    /// missing input channel is silent, a missing output channel is not written. [audio thread]
    pub fn run(&mut self, ins: &[&[&[f32]]], outs: &mut [&mut [&mut [f32]]], frames: usize) {
        self.run_buffers(&mut SeparateBuffers { ins, outs }, frames);
    }

    /// Processes a block in place: it is the input, and is replaced by the first output. [audio thread]
    pub fn run_in_place(&mut self, block: &mut Block<'_>) {
        self.run_tapped(block, &mut ());
    }

    /// Processes a block in place, like [`Self::run_in_place`]; `receiver` gets the outputs after the first one. [audio thread]
    pub fn run_tapped(&mut self, block: &mut Block<'_>, receiver: &mut impl TapReceiver) {
        let frames = block.first().map_or(0, |c| c.len());
        self.run_buffers(&mut InPlaceBuffer { block, receiver }, frames);
    }

    fn run_buffers(&mut self, buffers: &mut impl PlanBuffers, frames: usize) {
        let mut at = 0;
        while at < frames {
            self.at_start = false;
            let n = SUB_BLOCK.min(frames - at);
            for step in &mut self.steps {
                let start = self.measured.then(Instant::now);
                // The step's own storage is taken out meanwhile, so that it can be written while others are read.
                let mut own = std::mem::take(&mut self.storages[step.storage]);
                run_step(step, &self.storages, &mut own, buffers, at, n);
                self.storages[step.storage] = own;
                if let Some(start) = start {
                    step.nanoseconds += start.elapsed().as_nanos() as u64;
                }
            }
            at += n;
        }
    }

    /// The node of a bus.
    fn node(&mut self, bus: Bus) -> &mut NodeKind {
        assert_eq!(bus.builder_id, self.builder_id, "a bus of another plan");
        &mut self.steps[self.step_of_node[bus.node]].kind
    }

    /// Sets a parameter of a processor node; see [`Processor::set`](crate::dsp::Processor::set). Does nothing for other nodes.
    /// [audio thread]
    ///
    /// # Panics
    /// If `bus` belongs to another plan.
    pub fn set(&mut self, bus: Bus, parameter: ParameterIndex, value: f32) {
        if let NodeKind::Process(processor) = self.node(bus) {
            processor.set(parameter, value);
        }
    }

    /// Lets a gain node glide to a gain in dB; before the first frame after `reset` it jumps there at once. Does nothing for
    /// other nodes. [audio thread]
    ///
    /// # Panics
    /// If `bus` belongs to another plan.
    pub fn set_gain(&mut self, bus: Bus, db: f32) {
        let at_start = self.at_start;
        if let NodeKind::Gain(ramp) = self.node(bus) {
            ramp.set(db_to_gain(db), at_start);
        }
    }

    /// Lets a switch node go to one of its inputs, counted from 0, with a dip, also if it is selected already; before the first
    /// frame after `reset` it goes there at once. Does nothing for other nodes. [audio thread]
    ///
    /// # Panics
    /// If `bus` belongs to another plan.
    pub fn select(&mut self, bus: Bus, input: usize) {
        assert_eq!(bus.builder_id, self.builder_id, "a bus of another plan");
        let at_start = self.at_start;
        let step = &mut self.steps[self.step_of_node[bus.node]];
        let last = step.input_storages.len().saturating_sub(1);
        if let NodeKind::Switch(switch) = &mut step.kind {
            switch.select(input.min(last), at_start);
        }
    }

    /// Returns all nodes to the state right after `compile`; values that were set stay. [audio thread]
    pub fn reset(&mut self) {
        for step in &mut self.steps {
            step.kind.reset();
        }
        self.at_start = true;
    }

    /// Starts or stops measuring the time that each node takes, and clears the measurements. [audio thread]
    pub fn measure(&mut self, on: bool) {
        self.measured = on;
        for step in &mut self.steps {
            step.nanoseconds = 0;
        }
    }

    /// The time that each node has taken since [`Self::measure`], in the order in which they run. [the thread that runs the plan]
    pub fn times(&self) -> impl Iterator<Item = NodeTime> + '_ {
        self.steps.iter().map(|s| NodeTime { name: s.kind.name(), nanoseconds: s.nanoseconds })
    }
}

/// Runs one step for `n` frames, starting at frame `at` of the block. `own` is the step's storage.
fn run_step(step: &mut Step, storages: &[Storage], own: &mut Storage, buffers: &mut impl PlanBuffers, at: usize, n: usize) {
    let inputs = step.input_storages.as_slice();
    match &mut step.kind {
        NodeKind::Input(input) => {
            for (c, channel) in own.chunks_exact_mut(SUB_BLOCK).enumerate() {
                buffers.read(*input, c, at, &mut channel[..n]);
            }
        }
        NodeKind::Output(output) if !buffers.wants(*output) => {}
        NodeKind::Output(output) => {
            let from = if inputs[0] == step.storage { &*own } else { &storages[inputs[0]] };
            for (c, channel) in from.chunks_exact(SUB_BLOCK).enumerate() {
                buffers.write(*output, c, at, &channel[..n]);
            }
        }
        NodeKind::Mix => {
            own.fill(0.0);
            for &input in inputs {
                for (y, x) in own.iter_mut().zip(&storages[input]) {
                    *y += x;
                }
            }
        }
        NodeKind::Split(range) => own.copy_from_slice(&storages[inputs[0]][range.start * SUB_BLOCK..range.end * SUB_BLOCK]),
        NodeKind::Join => {
            let mut rest = own.as_mut_slice();
            for &input in inputs {
                let (part, later) = rest.split_at_mut(storages[input].len());
                part.copy_from_slice(&storages[input]);
                rest = later;
            }
        }
        NodeKind::Switch(switch) => switch.run(inputs, storages, own, n),
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

/// Copies the first `n` frames of all channels.
fn copy(from: &Storage, to: &mut Storage, n: usize) {
    for (to, from) in to.chunks_exact_mut(SUB_BLOCK).zip(from.chunks_exact(SUB_BLOCK)) {
        to[..n].copy_from_slice(&from[..n]);
    }
}

/// Frames `at..at + frames` of each channel of a block.
pub(super) fn sub_block<'a>(block: &'a mut Block<'_>, at: usize, frames: usize) -> ArrayVec<&'a mut [f32], MAX_CHANNELS> {
    block.iter_mut().take(MAX_CHANNELS).map(|c| &mut c[at..at + frames]).collect()
}
