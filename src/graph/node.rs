//! The nodes of a plan.

use std::ops::Range;

use super::auto_sleep::AutoSleep;
use super::dip::Dip;
use super::storage::{Storage, slices, slices_mut};
use super::{MeterWriter, QueueReader, QueueWriter, RollingWriter, SUB_BLOCK};
use crate::dsp::{Delay, Ramp};

/// The operation of a node, with its state. See the methods of [`Builder`](super::Builder) that add them.
pub(super) enum NodeKind {
    /// An input of the plan, with its number, from 0.
    Input(usize),
    /// Frames from a queue that another thread writes; silence where it is late.
    Source(QueueReader),
    /// A processor.
    Process(Box<AutoSleep>),
    /// A gain, linear, that glides.
    Gain(Ramp),
    /// A delay of each channel; [`Builder::compile`](super::Builder::compile) adds it to align branches.
    Delay(Vec<Delay>),
    /// The sum of its inputs.
    Mix,
    /// Replaces NaN and infinities by silence.
    Guard,
    /// Selects these channels of the node's input.
    Split(Range<usize>),
    /// The channels of all its inputs, in order.
    Join,
    /// Passes one of the node's inputs on, selected with a dip.
    Switch(Switch),
    /// Passes its input on and measures its level.
    Meter(MeterWriter),
    /// Passes its input on and copies it to a queue.
    Tap(QueueWriter),
    /// Passes its input on and copies it to a rolling buffer.
    RollingTap(RollingWriter),
    /// An output of the plan, with its number, from 0.
    Output(usize),
}

impl NodeKind {
    /// The name for messages and measurements.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Source(_) => "source",
            Self::Process(_) => "process",
            Self::Gain(_) => "gain",
            Self::Delay(_) => "delay",
            Self::Mix => "mix",
            Self::Guard => "guard",
            Self::Split(_) => "split",
            Self::Join => "join",
            Self::Switch(_) => "switch",
            Self::Meter(_) => "meter",
            Self::Tap(_) => "tap",
            Self::RollingTap(_) => "rolling tap",
            Self::Output(_) => "output",
        }
    }

    /// True if a node of this kind can work in the storage of its input, where no later node reads that input.
    pub(super) fn in_place(&self) -> bool {
        matches!(
            self,
            Self::Process(_)
                | Self::Gain(_)
                | Self::Guard
                | Self::Delay(_)
                | Self::Meter(_)
                | Self::Tap(_)
                | Self::RollingTap(_)
                | Self::Output(_)
        )
    }

    /// Returns to the state right after `compile`; values that were set stay.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Process(processor) => processor.reset(),
            Self::Gain(ramp) => ramp.finish(),
            Self::Delay(delays) => delays.iter_mut().for_each(Delay::reset),
            Self::Switch(switch) => switch.reset(),
            Self::Meter(meter) => meter.reset(),
            _ => {}
        }
    }

    /// Processes the first `n` frames of `own`, the node's storage, which holds the input, in place. Only for kinds with at most
    /// one input, as wide as the node; the other kinds are run by the plan.
    pub(super) fn run(&mut self, own: &mut Storage, n: usize) {
        match self {
            Self::Process(processor) => processor.run(own, n),
            Self::Gain(ramp) => gain(ramp, own, n),
            Self::Delay(delays) => {
                for (delay, channel) in delays.iter_mut().zip(own.chunks_exact_mut(SUB_BLOCK)) {
                    delay.process(&mut channel[..n]);
                }
            }
            Self::Guard => {
                for channel in own.chunks_exact_mut(SUB_BLOCK) {
                    for x in &mut channel[..n] {
                        *x = if x.is_finite() { *x } else { 0.0 };
                    }
                }
            }
            Self::Meter(meter) => {
                for (channel, samples) in own.chunks_exact(SUB_BLOCK).enumerate() {
                    meter.measure(channel, &samples[..n]);
                }
            }
            Self::Tap(writer) => {
                writer.write(&slices(own, n));
            }
            Self::RollingTap(writer) => writer.write(&slices(own, n)),
            Self::Source(reader) => {
                let mut block = slices_mut(own, n);
                let read = reader.read_available(&mut block);
                for channel in &mut block {
                    channel[read..].fill(0.0);
                }
            }
            Self::Input(_) | Self::Output(_) | Self::Mix | Self::Split(_) | Self::Join | Self::Switch(_) => {}
        }
    }
}

/// Multiplies the first `n` frames of all channels by the gain.
fn gain(ramp: &mut Ramp, own: &mut Storage, n: usize) {
    match ramp.steady() {
        Some(1.0) => {}
        Some(gain) => {
            for channel in own.chunks_exact_mut(SUB_BLOCK) {
                channel[..n].iter_mut().for_each(|x| *x *= gain);
            }
        }
        None => {
            let mut gains = [0.0; SUB_BLOCK];
            ramp.fill(&mut gains[..n]);
            for channel in own.chunks_exact_mut(SUB_BLOCK) {
                for (x, gain) in channel[..n].iter_mut().zip(&gains) {
                    *x *= gain;
                }
            }
        }
    }
}

/// A switch that passes one of several inputs on and changes between them with a dip.
pub(super) struct Switch {
    /// Number of the input that is passed on, from 0.
    current: usize,
    /// Number of the input after the dip.
    target: usize,
    dip: Dip,
}

impl Switch {
    /// A switch with input `selected`. [control thread: allocates]
    pub(super) fn new(selected: usize, sample_rate: f32) -> Self {
        Self { current: selected, target: selected, dip: Dip::new(sample_rate) }
    }

    /// Goes to the target at once.
    fn reset(&mut self) {
        self.current = self.target;
        self.dip.end();
    }

    /// Goes to `input` with a dip, also if it is selected already, or at once if `now`.
    pub(super) fn select(&mut self, input: usize, now: bool) {
        self.target = input;
        if now {
            self.reset();
        } else {
            self.dip.begin();
        }
    }

    /// Writes `n` frames to `own`, the node's storage; `inputs` are the indices of the inputs' storages.
    pub(super) fn run(&mut self, inputs: &[usize], storages: &[Storage], own: &mut Storage, n: usize) {
        let mut at = 0;
        while at < n {
            let frames = self.dip.span(n - at);
            let input = &storages[inputs[self.current]];
            for (to, from) in own.chunks_exact_mut(SUB_BLOCK).zip(input.chunks_exact(SUB_BLOCK)) {
                let to = &mut to[at..at + frames];
                to.copy_from_slice(&from[at..at + frames]);
                self.dip.apply(to);
            }
            if self.dip.advance(frames) {
                self.current = self.target;
            }
            at += frames;
        }
    }
}
