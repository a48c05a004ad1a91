//! Some channels through the slots, to be heard while all are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, Granted, Input};
use crate::graph::QueueWriter;
use crate::slots::Slots;

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

/// Plays channels of a device through slots to its outputs, to a queue, or to both.
pub struct Monitor {
    slots: Slots,
    /// The device's channels, from 0.
    channels: Vec<usize>,
    /// A block of each.
    block: Vec<Vec<f32>>,
    file: Option<QueueWriter>,
    counts: MonitorCounts,
}

impl Monitor {
    /// Plays `channels` of a device that granted this; `slots` are as wide as they are many. [control thread: allocates]
    ///
    /// # Panics
    /// If there is no channel.
    #[must_use]
    pub fn new(slots: Slots, channels: Vec<usize>, granted: &Granted, file: Option<QueueWriter>) -> Self {
        assert!(!channels.is_empty(), "nothing to hear");
        let block = vec![vec![0.0; granted.period_frames]; channels.len()];
        Self { slots, channels, block, file, counts: MonitorCounts::default() }
    }

    /// What is counted while it plays.
    #[must_use]
    pub fn counts(&self) -> MonitorCounts {
        self.counts.clone()
    }

    /// The slots, to set them. [device thread, or control thread while the device is away]
    pub fn slots(&mut self) -> &mut Slots {
        &mut self.slots
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
            self.slots.reset();
        }
        let (frames, period) = (input.frames(), self.block[0].len());
        for at in (0..frames).step_by(period) {
            let n = period.min(frames - at);
            for (channel, block) in self.channels.iter().zip(&mut self.block) {
                copy(input, *channel, at, &mut block[..n]);
            }
            let mut views: arrayvec::ArrayVec<&mut [f32], { super::MAX_CHANNELS }> =
                self.block.iter_mut().map(|channel| &mut channel[..n]).collect();
            self.slots.process(&mut views);
            // One channel is heard on both sides.
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

/// Samples of a channel, from frame `at` of the block on, as floats; silence if there is no such channel.
fn copy(input: Input<'_>, channel: usize, at: usize, out: &mut [f32]) {
    let n = out.len();
    match input {
        Input::Floats(channels) => match channels.get(channel) {
            Some(samples) => out.copy_from_slice(&samples[at..at + n]),
            None => out.fill(0.0),
        },
        Input::Integers(channels) => match channels.get(channel) {
            Some(samples) => {
                // 2^-31: integers stand at the top of 32 bits.
                const CODE: f32 = 1.0 / 2_147_483_648.0;
                out.iter_mut().zip(&samples[at..]).for_each(|(to, code)| *to = *code as f32 * CODE);
            }
            None => out.fill(0.0),
        },
    }
}
