//! Some channels through an insert, to be heard while all are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, Granted, Input, MAX_CHANNELS};
use crate::dsp::Block;
use crate::graph::{Plan, QueueWriter};

/// Words of a set of channels.
const WORDS: usize = MAX_CHANNELS.div_ceil(64);
/// A channel comes and goes within this time, so that nothing clicks.
const FADE_SECONDS: f32 = 0.005;
/// 2^-31: integers stand at the top of 32 bits.
const CODE: f32 = 1.0 / 2_147_483_648.0;

/// What sound goes through on its way to be heard.
pub trait Insert: Send + 'static {
    /// In place, a slice for each side, all of one length. [device thread: no wait, no allocation, no lock]
    fn process(&mut self, block: &mut Block<'_>);
    /// What comes next does not follow what came before. [device thread]
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

/// Which channels, from 0, are heard on which side. Channels of one side are added. [any thread]
#[derive(Clone, Debug)]
pub struct Sides(Arc<[[AtomicU64; WORDS]]>);

impl Sides {
    /// So many sides, on which nothing is heard. [control thread: allocates]
    #[must_use]
    pub fn new(sides: usize) -> Self {
        Self((0..sides).map(|_| Default::default()).collect())
    }

    /// A side for each of `channels`.
    #[must_use]
    pub fn each(channels: &[usize]) -> Self {
        let sides = Self::new(channels.len());
        channels.iter().enumerate().for_each(|(side, channel)| sides.set(side, *channel, true));
        sides
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Lets a channel be heard on a side, or not; what there is not is left alone.
    pub fn set(&self, side: usize, channel: usize, heard: bool) {
        let Some(word) = self.0.get(side).and_then(|side| side.get(channel / 64)) else { return };
        let bit = 1 << (channel % 64);
        if heard {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
    }

    /// Whether a channel is heard on a side.
    #[must_use]
    pub fn get(&self, side: usize, channel: usize) -> bool {
        let word = self.0.get(side).and_then(|side| side.get(channel / 64));
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (channel % 64) & 1 == 1)
    }
}

/// What a [`Monitor`] counts. [any thread]
#[derive(Clone, Debug, Default)]
pub struct MonitorCounts {
    dropped: Arc<AtomicU64>,
}

impl MonitorCounts {
    /// Frames that found no room on their way to the file.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Plays channels of a device through an insert to its outputs, to a queue, or to both.
pub struct Monitor {
    insert: Box<dyn Insert>,
    sides: Sides,
    /// Side after side: how loud each channel is at the moment, 0 to 1.
    gains: Vec<Vec<f32>>,
    /// What a gain changes by from one frame to the next.
    step: f32,
    /// A block of each side.
    block: Vec<Vec<f32>>,
    file: Option<QueueWriter>,
    counts: MonitorCounts,
}

impl Monitor {
    /// Plays channels of a device that granted this. [control thread: allocates]
    ///
    /// # Panics
    /// If there is no side.
    #[must_use]
    pub fn new(insert: impl Insert, sides: Sides, granted: &Granted, file: Option<QueueWriter>) -> Self {
        assert!(sides.count() > 0, "nothing to hear");
        let channels = granted.channels.min(MAX_CHANNELS);
        let gain = |side: usize, channel: usize| if sides.get(side, channel) { 1.0 } else { 0.0 };
        let gains = (0..sides.count()).map(|side| (0..channels).map(|channel| gain(side, channel)).collect()).collect();
        let block = vec![vec![0.0; granted.period_frames]; sides.count()];
        let step = 1.0 / (FADE_SECONDS * granted.sample_rate as f32).max(1.0);
        Self { insert: Box::new(insert), sides, gains, step, block, file, counts: MonitorCounts::default() }
    }

    /// What is counted while it plays.
    #[must_use]
    pub fn counts(&self) -> MonitorCounts {
        self.counts.clone()
    }

    /// What the queue still waits for, to finish its file. [control thread]
    #[must_use]
    pub fn into_file(self) -> Option<QueueWriter> {
        self.file
    }
}

impl Client for Monitor {
    fn process(&mut self, lost: u64, input: Input<'_>, output: &mut [&mut [f32]]) {
        if lost > 0 {
            self.insert.reset();
        }
        let (frames, period) = (input.frames(), self.block[0].len());
        for at in (0..frames).step_by(period) {
            let n = period.min(frames - at);
            for (side, (block, gains)) in self.block.iter_mut().zip(&mut self.gains).enumerate() {
                block[..n].fill(0.0);
                for (channel, gain) in gains.iter_mut().enumerate() {
                    let goal = if self.sides.get(side, channel) { 1.0 } else { 0.0 };
                    if *gain != 0.0 || goal != 0.0 {
                        add(input, channel, at, &mut block[..n], gain, goal, self.step);
                    }
                }
            }
            let mut views: arrayvec::ArrayVec<&mut [f32], MAX_CHANNELS> =
                self.block.iter_mut().map(|side| &mut side[..n]).collect();
            self.insert.process(&mut views);
            // One side is heard on both.
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

/// Adds samples of a channel, from frame `at` of the block on, while their gain goes towards `goal`; nothing if there is no such channel.
fn add(input: Input<'_>, channel: usize, at: usize, out: &mut [f32], gain: &mut f32, goal: f32, step: f32) {
    match input {
        Input::Floats(channels) => {
            let Some(samples) = channels.get(channel) else { return };
            mix(samples[at..].iter().copied(), out, gain, goal, step);
        }
        Input::Integers(channels) => {
            let Some(samples) = channels.get(channel) else { return };
            mix(samples[at..].iter().map(|code| *code as f32 * CODE), out, gain, goal, step);
        }
    }
}

fn mix(samples: impl Iterator<Item = f32>, out: &mut [f32], gain: &mut f32, goal: f32, step: f32) {
    for (to, sample) in out.iter_mut().zip(samples) {
        *gain = if *gain < goal { (*gain + step).min(goal) } else { (*gain - step).max(goal) };
        // What is silenced leaves nothing, not even what is no number.
        if *gain > 0.0 {
            *to += *gain * sample;
        }
    }
}
