//! A processor costs nothing while nothing changes.

use super::SUB_BLOCK;
use super::storage::{Storage, slices};
use crate::dsp::Processor;

/// How long input and output must have been constant until a processor rests, in seconds: longer than any glide and than what a
/// processor holds back.
const REST_SECONDS: f32 = 0.5;

/// A processor that rests while nothing changes.
pub struct Resting {
    processor: Box<dyn Processor>,
    rest_after: usize,
    /// The last frame that went in and that came out, and for how many frames they have been so.
    last_in: Vec<f32>,
    last_out: Vec<f32>,
    same_in: usize,
    same_out: usize,
}

impl Resting {
    pub fn new(processor: Box<dyn Processor>, channels: usize, sample_rate: f32) -> Self {
        let rest_after = (REST_SECONDS * sample_rate) as usize + 2 * processor.latency();
        Self { processor, rest_after, last_in: vec![0.0; channels], last_out: vec![0.0; channels], same_in: 0, same_out: 0 }
    }

    pub fn latency(&self) -> usize {
        self.processor.latency()
    }

    pub fn bytes(&self) -> usize {
        self.processor.bytes()
    }

    pub fn set(&mut self, index: usize, value: f32) {
        self.processor.set(index, value);
        self.wake();
    }

    pub fn set_offline(&mut self, offline: bool) {
        self.processor.set_offline(offline);
    }

    fn wake(&mut self) {
        (self.same_in, self.same_out) = (0, 0);
    }

    pub fn reset(&mut self) {
        self.processor.reset();
        self.wake();
    }

    pub fn run(&mut self, own: &mut Storage, n: usize) {
        self.same_in = unchanged(own, n, &mut self.last_in, self.same_in);
        // Before these frames both had rested for long enough, and these frames go on so.
        let rested = self.same_in >= self.rest_after + n && self.same_out >= self.rest_after;
        if rested && self.processor.skip(n) {
            for (channel, x) in own.chunks_exact_mut(SUB_BLOCK).zip(&self.last_out) {
                channel[..n].fill(*x);
            }
            return;
        }
        self.processor.process(&mut slices(own, n));
        self.same_out = unchanged(own, n, &mut self.last_out, self.same_out);
    }
}

/// For how many frames, these included, all channels have been what `last` is at their end; `before` is the count so far.
fn unchanged(storage: &Storage, n: usize, last: &mut [f32], before: usize) -> usize {
    let mut same = before.saturating_add(n);
    for (channel, last) in storage.chunks_exact(SUB_BLOCK).zip(last) {
        let channel = &channel[..n];
        let newest = channel[n - 1];
        // All frames are compared, not only those up to the first that differs: that vectorises, and rest is what must be cheap.
        let all = channel.iter().fold(true, |all, x| all & (x.to_bits() == newest.to_bits()));
        let run = if all { n } else { channel.iter().rev().take_while(|x| x.to_bits() == newest.to_bits()).count() };
        if run < n || newest.to_bits() != last.to_bits() {
            // The first of the run is the change; the frames after it are unchanged.
            same = same.min(run);
        }
        *last = newest;
    }
    same
}
