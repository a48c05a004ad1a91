//! The client of a device that plays some channels through an [`Insert`], such as an effect, while all channels are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, GrantedConfig, INTEGER_SCALE, InputBlock, MAX_CHANNELS};
use crate::dsp::Block;
use crate::graph::{Plan, QueueWriter};

/// 64-bit words of a set of channels with a bit for each.
const MASK_WORDS: usize = MAX_CHANNELS.div_ceil(64);
/// Duration of the fade of a channel that is switched on or off, which avoids clicks.
const FADE_SECONDS: f32 = 0.005;

/// Processor through which a [`Monitor`] plays sound, such as an effect.
pub trait Insert: Send + 'static {
    /// Processes a block in place. The block has a slice for each side of the [`MonitorRouting`], all of one length, at most the
    /// granted period. [device thread: must not wait, allocate or lock]
    fn process(&mut self, block: &mut Block<'_>);
    /// Clears the state before a block that does not continue the one before it. [device thread: must not wait, allocate or lock]
    fn reset(&mut self);
}

impl Insert for Plan {
    fn process(&mut self, block: &mut Block<'_>) {
        self.run_in_place(block);
    }

    fn reset(&mut self) {
        Self::reset(self);
    }
}

/// Table of the channels of a device that are monitored on each side. Sides are the channels of the insert, such as left
/// and right. Channels of one side are added. Clones share one table. [any thread]
#[derive(Clone, Debug)]
pub struct MonitorRouting(Arc<[[AtomicU64; MASK_WORDS]]>);

impl MonitorRouting {
    /// Returns a table with `sides` sides, on which no channel is monitored. [control thread: allocates]
    #[must_use]
    pub fn new(sides: usize) -> Self {
        Self((0..sides).map(|_| Default::default()).collect())
    }

    /// Returns a table with a side for each of `channels`, counted from 0. [control thread: allocates]
    #[must_use]
    pub fn one_to_one(channels: &[usize]) -> Self {
        let sides = Self::new(channels.len());
        channels.iter().enumerate().for_each(|(side, channel)| sides.set(side, *channel, true));
        sides
    }

    /// Returns the number of sides.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Sets whether a channel is monitored on a side, both counted from 0. Does nothing if there is no such side or channel.
    pub fn set(&self, side: usize, channel: usize, monitored: bool) {
        let Some(word) = self.0.get(side).and_then(|side| side.get(channel / 64)) else { return };
        let bit = 1 << (channel % 64);
        if monitored {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
    }

    /// Returns true if a channel is monitored on a side, both counted from 0.
    #[must_use]
    pub fn get(&self, side: usize, channel: usize) -> bool {
        let word = self.0.get(side).and_then(|side| side.get(channel / 64));
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (channel % 64) & 1 == 1)
    }
}

/// Counters of a [`Monitor`], which can be read while it runs. [any thread]
#[derive(Clone, Debug, Default)]
pub struct MonitorCounts {
    dropped: Arc<AtomicU64>,
}

impl MonitorCounts {
    /// Returns the frames that are missing in the file because its queue was full.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The client that plays channels of a device through an insert to the device's outputs, to the queue of a file, or to both.
pub struct Monitor {
    insert: Box<dyn Insert>,
    routing: MonitorRouting,
    /// For each side, the current gain of each channel, 0 to 1.
    gains: Vec<Vec<f32>>,
    /// Largest change of a gain from one frame to the next.
    gain_step: f32,
    /// A block of each side.
    block: Vec<Vec<f32>>,
    file: Option<QueueWriter>,
    counts: MonitorCounts,
}

impl Monitor {
    /// Returns a monitor for a device in this configuration. `file` is the queue of a file that gets what is played.
    /// [control thread: allocates]
    ///
    /// # Panics
    /// If the routing has no side.
    #[must_use]
    pub fn new(insert: impl Insert, routing: MonitorRouting, granted: &GrantedConfig, file: Option<QueueWriter>) -> Self {
        assert!(routing.count() > 0, "nothing to hear");
        let channels = granted.channels.min(MAX_CHANNELS);
        let gain = |side: usize, channel: usize| if routing.get(side, channel) { 1.0 } else { 0.0 };
        let gains = (0..routing.count()).map(|side| (0..channels).map(|channel| gain(side, channel)).collect()).collect();
        let block = vec![vec![0.0; granted.period_frames]; routing.count()];
        let gain_step = 1.0 / (FADE_SECONDS * granted.sample_rate as f32).max(1.0);
        Self { insert: Box::new(insert), routing, gains, gain_step, block, file, counts: MonitorCounts::default() }
    }

    /// Returns the counters. [any thread]
    #[must_use]
    pub fn counts(&self) -> MonitorCounts {
        self.counts.clone()
    }

    /// Returns the queue of the file, if there is one, with which the file is finished. [control thread]
    #[must_use]
    pub fn into_file(self) -> Option<QueueWriter> {
        self.file
    }
}

impl Client for Monitor {
    fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, output: &mut [&mut [f32]]) {
        if lost_frames > 0 {
            self.insert.reset();
        }
        let (frames, period) = (input.frames(), self.block[0].len());
        for at in (0..frames).step_by(period) {
            let n = period.min(frames - at);
            for (side, (block, gains)) in self.block.iter_mut().zip(&mut self.gains).enumerate() {
                block[..n].fill(0.0);
                for (channel, gain) in gains.iter_mut().enumerate() {
                    let target = if self.routing.get(side, channel) { 1.0 } else { 0.0 };
                    if *gain != 0.0 || target != 0.0 {
                        add_channel(input, channel, at, &mut block[..n], gain, target, self.gain_step);
                    }
                }
            }
            let mut views: arrayvec::ArrayVec<&mut [f32], MAX_CHANNELS> =
                self.block.iter_mut().map(|side| &mut side[..n]).collect();
            self.insert.process(&mut views);
            // A single side is played on every output.
            for (output, block) in output.iter_mut().zip(views.iter().cycle()) {
                output[at..at + n].copy_from_slice(block);
            }
            if let Some(file) = &mut self.file {
                let dropped = (n - file.write(&views)) as u64;
                self.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
            }
        }
    }
}

/// Adds a channel's samples, starting at frame `at` of the block, to `out`, while the gain moves by `step` a frame towards
/// `target`. Does nothing if there is no such channel.
fn add_channel(input: InputBlock<'_>, channel: usize, at: usize, out: &mut [f32], gain: &mut f32, target: f32, step: f32) {
    match input {
        InputBlock::Floats(channels) => {
            let Some(samples) = channels.get(channel) else { return };
            add_samples(samples[at..].iter().copied(), out, gain, target, step);
        }
        InputBlock::Integers(channels) => {
            let Some(samples) = channels.get(channel) else { return };
            add_samples(samples[at..].iter().map(|code| *code as f32 * INTEGER_SCALE), out, gain, target, step);
        }
    }
}

/// Adds samples to `out` while the gain moves by `step` a frame towards `target`.
fn add_samples(samples: impl Iterator<Item = f32>, out: &mut [f32], gain: &mut f32, target: f32, step: f32) {
    for (to, sample) in out.iter_mut().zip(samples) {
        *gain = if *gain < target { (*gain + step).min(target) } else { (*gain - step).max(target) };
        // Nothing is added at a gain of 0: a NaN times 0 is a NaN, and that of a channel that is off must not reach the sum.
        if *gain > 0.0 {
            *to += *gain * sample;
        }
    }
}
