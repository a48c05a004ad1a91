//! The nodes of a plan.

use std::ops::Range;

use super::dip::Dip;
use super::rest::Resting;
use super::storage::{Storage, slices, views};
use super::{Metering, QueueReader, QueueWriter, RollingWriter, SUB_BLOCK};
use crate::dsp::{Delay, Ramp};

/// What a node does with its bus. Nodes that read one bus of their own width work in place where nobody else reads it.
pub(super) enum Kind {
    /// The end of a plan that the outside writes to.
    Input(usize),
    /// Frames that another thread wrote; silence where there are none.
    Source(QueueReader),
    Process(Box<Resting>),
    Gain(Ramp),
    Delay(Vec<Delay>),
    /// The sum of all that it reads.
    Mix,
    /// What is no finite number becomes silence.
    Guard,
    /// Some channels of what it reads.
    Split(Range<usize>),
    /// All channels of all that it reads, in order.
    Join,
    Switch(Switch),
    Meter(Metering),
    Tap(QueueWriter),
    Roll(RollingWriter),
    /// The end of a plan that the outside reads from.
    Output(usize),
}

impl Kind {
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
            Self::Roll(_) => "roll",
            Self::Output(_) => "output",
        }
    }

    /// Whether a node of this kind may work in the storage of what it reads.
    pub(super) fn in_place(&self) -> bool {
        matches!(
            self,
            Self::Process(_)
                | Self::Gain(_)
                | Self::Guard
                | Self::Delay(_)
                | Self::Meter(_)
                | Self::Tap(_)
                | Self::Roll(_)
                | Self::Output(_)
        )
    }

    pub(super) fn reset(&mut self) {
        match self {
            Self::Process(resting) => resting.reset(),
            Self::Gain(ramp) => ramp.finish(),
            Self::Delay(delays) => delays.iter_mut().for_each(Delay::reset),
            Self::Switch(switch) => switch.reset(),
            Self::Meter(meter) => meter.reset(),
            _ => {}
        }
    }

    /// `n` frames in `own`, where the input already is; the kinds that only pass something on.
    pub(super) fn run(&mut self, own: &mut Storage, n: usize) {
        match self {
            Self::Process(resting) => resting.run(own, n),
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
                writer.write(&views(own, n));
            }
            Self::Roll(writer) => writer.write(&views(own, n)),
            Self::Source(reader) => {
                let mut block = slices(own, n);
                let got = reader.read_available(&mut block);
                for channel in &mut block {
                    channel[got..].fill(0.0);
                }
            }
            Self::Input(_) | Self::Output(_) | Self::Mix | Self::Split(_) | Self::Join | Self::Switch(_) => {}
        }
    }
}

fn gain(ramp: &mut Ramp, own: &mut Storage, n: usize) {
    match ramp.resting() {
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

/// Lets one of several inputs through; changes with a dip.
pub(super) struct Switch {
    current: usize,
    target: usize,
    dip: Dip,
}

impl Switch {
    pub(super) fn new(selected: usize, sample_rate: f32) -> Self {
        Self { current: selected, target: selected, dip: Dip::new(sample_rate) }
    }

    fn reset(&mut self) {
        self.current = self.target;
        self.dip.end();
    }

    /// Goes to `input` through a dip, also when it is there already; `now`: without.
    pub(super) fn press(&mut self, input: usize, now: bool) {
        self.target = input;
        if now {
            self.reset();
        } else {
            self.dip.begin();
        }
    }

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
