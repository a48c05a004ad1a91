//! Auto sleep: a processor is skipped while its input and output are constant.

use super::SUB_BLOCK;
use super::storage::{Storage, slices_mut};
use crate::dsp::Processor;

/// Time in seconds, in addition to twice the latency, for which input and output must be constant before a processor sleeps.
/// Longer than any glide.
const SLEEP_AFTER_SECONDS: f32 = 0.5;

/// A processor that sleeps while its input and output are constant: [`Processor::skip`] is then called instead of `process`.
pub struct AutoSleep {
    processor: Box<dyn Processor>,
    /// Frames for which input and output must be constant before the processor sleeps.
    sleep_after: usize,
    /// The last input frame and the last output frame, a sample per channel.
    last_in: Vec<f32>,
    last_out: Vec<f32>,
    /// Frames for which input and output have been constant.
    constant_in: usize,
    constant_out: usize,
}

impl AutoSleep {
    /// Wraps a processor, awake, for a stream of `channels` channels. [control thread: allocates]
    pub fn new(processor: Box<dyn Processor>, channels: usize, sample_rate: f32) -> Self {
        let sleep_after = (SLEEP_AFTER_SECONDS * sample_rate) as usize + 2 * processor.latency();
        let silence = vec![0.0; channels];
        Self { processor, sleep_after, last_in: silence.clone(), last_out: silence, constant_in: 0, constant_out: 0 }
    }

    /// Latency of the processor in frames.
    pub fn latency(&self) -> usize {
        self.processor.latency()
    }

    /// Bytes of the processor on the heap.
    pub fn bytes(&self) -> usize {
        self.processor.bytes()
    }

    /// Sets a parameter ([`Processor::set`]) and wakes the processor.
    pub fn set(&mut self, index: usize, value: f32) {
        self.processor.set(index, value);
        self.wake();
    }

    fn wake(&mut self) {
        (self.constant_in, self.constant_out) = (0, 0);
    }

    /// Resets and wakes the processor.
    pub fn reset(&mut self) {
        self.processor.reset();
        self.wake();
    }

    /// Processes or skips the first `n` frames of `own`, the storage of the processor's node, in place.
    pub fn run(&mut self, own: &mut Storage, n: usize) {
        self.constant_in = constant_frames(own, n, &mut self.last_in, self.constant_in);
        // Input and output were constant for long enough before these frames, and the input still is in them.
        let asleep = self.constant_in >= self.sleep_after + n && self.constant_out >= self.sleep_after;
        if asleep && self.processor.skip(n) {
            for (channel, x) in own.chunks_exact_mut(SUB_BLOCK).zip(&self.last_out) {
                channel[..n].fill(*x);
            }
            return;
        }
        self.processor.process(&mut slices_mut(own, n));
        self.constant_out = constant_frames(own, n, &mut self.last_out, self.constant_out);
    }
}

/// Number of frames for which all channels have been constant, counted back from the last of the `n` frames in `storage`.
/// `before` is that number for the frame that precedes them; `last` holds that frame and receives the last of the `n`.
fn constant_frames(storage: &Storage, n: usize, last: &mut [f32], before: usize) -> usize {
    let mut constant = before.saturating_add(n);
    for (channel, last) in storage.chunks_exact(SUB_BLOCK).zip(last) {
        let channel = &channel[..n];
        let newest = channel[n - 1];
        // All frames are compared, instead of stopping at the first that differs, so that the loop vectorises.
        let all = channel.iter().fold(true, |all, x| all & (x.to_bits() == newest.to_bits()));
        let run = if all { n } else { channel.iter().rev().take_while(|x| x.to_bits() == newest.to_bits()).count() };
        if run < n || newest.to_bits() != last.to_bits() {
            // The channel changed within these frames, or before the first of them.
            constant = constant.min(run);
        }
        *last = newest;
    }
    constant
}
