//! [`Interleaver`]: lets a network run at a multiple of its own rate.
//!
//! At N times the rate a network keeps N states for each channel, and each state gets every Nth frame: a recurrence then looks N
//! frames back, and a dilation is N times as long, so the network does at each of these frames what it was trained to do. Its
//! linear behaviour in the audible band is unchanged, its harmonics above half its own rate no longer fold. (Carson et al.,
//! "Sample rate independent recurrent neural networks for audio effects processing", DAFx-24.)
//!
//! N frames in a row are a *group*; the frames that one state gets are a *phase*. All phases of a block have equally many frames,
//! so only whole groups are processed. Where blocks are not whole groups, the output is N - 1 frames late.

use arrayvec::ArrayVec;

use crate::dsp::{Block, MAX_CHANNELS};

/// Largest number of phases.
pub(super) const MAX_FACTOR: usize = 4;

/// Takes blocks at the higher rate apart into phases, and puts processed phases together.
#[derive(Clone)]
pub(super) struct Interleaver {
    /// Phases of each channel: N.
    factor: usize,
    /// True if blocks may end within a group.
    any_length: bool,
    /// Frames of the group that is not complete yet.
    pending_frames: usize,
    /// For each channel, the input of that group.
    pending: Vec<[f32; MAX_FACTOR]>,
    /// For each channel, the output that is not handed out yet: with `any_length`, N - 1 frames less the pending ones.
    ready: Vec<[f32; MAX_FACTOR]>,
    /// For each channel, the last frame of input and that of output.
    last: Vec<[f32; 2]>,
    /// The frames of each phase, channel after channel.
    phases: Vec<Vec<f32>>,
    /// Room for one channel of a block, with the frames that are pending or ready.
    line: Vec<f32>,
}

impl Interleaver {
    /// Makes an interleaver of `factor` phases for blocks of at most `max_frames`, at the higher rate. Unless `any_length`, blocks
    /// must be whole groups. [control thread: allocates]
    ///
    /// # Panics
    /// If `factor` is 0 or above [`MAX_FACTOR`].
    pub fn new(factor: usize, channels: usize, max_frames: usize, any_length: bool) -> Self {
        assert!((1..=MAX_FACTOR).contains(&factor), "{factor} phases; expected 1 to {MAX_FACTOR}");
        let max_groups = max_frames.div_ceil(factor);
        Self {
            factor,
            any_length,
            pending_frames: 0,
            pending: vec![[0.0; MAX_FACTOR]; channels],
            ready: vec![[0.0; MAX_FACTOR]; channels],
            last: vec![[0.0; 2]; channels],
            phases: vec![vec![0.0; max_groups]; channels * factor],
            line: vec![0.0; max_frames + factor],
        }
    }

    /// Frames at the higher rate by which the output of an interleaver of `factor` phases lags the input, without the network's
    /// own latency.
    pub fn latency(factor: usize, any_length: bool) -> usize {
        if any_length { factor - 1 } else { 0 }
    }

    /// Begins anew, after endless silence of which the network made `output`. [audio thread]
    pub fn settle(&mut self, output: f32) {
        self.pending_frames = 0;
        self.ready.fill([output; MAX_FACTOR]);
    }

    /// Takes a block apart, processes its phases by `network` (channel after channel, N each, all of one length), and puts them
    /// together again. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>, network: impl FnOnce(&mut Block<'_>)) {
        let n = self.factor;
        let frames = block.first().map_or(0, |c| c.len());
        let available = self.pending_frames + frames;
        let groups = available / n;
        debug_assert!(self.any_length || available.is_multiple_of(n), "{frames} frames in groups of {n}");
        let whole = groups * n;
        for (samples, last) in block.iter().zip(&mut self.last) {
            last[0] = samples.last().copied().unwrap_or(last[0]);
        }
        for ((samples, pending), phases) in block.iter().zip(&mut self.pending).zip(self.phases.chunks_exact_mut(n)) {
            let line = &mut self.line[..available];
            line[..self.pending_frames].copy_from_slice(&pending[..self.pending_frames]);
            line[self.pending_frames..].copy_from_slice(samples);
            for (p, phase) in phases.iter_mut().enumerate() {
                phase.iter_mut().zip(line[..whole].iter().skip(p).step_by(n)).for_each(|(to, x)| *to = *x);
            }
            pending[..available - whole].copy_from_slice(&line[whole..]);
        }
        let ready_frames = Self::latency(n, self.any_length).saturating_sub(self.pending_frames);
        self.pending_frames = available - whole;
        {
            let mut phases: ArrayVec<&mut [f32], MAX_CHANNELS> =
                self.phases.iter_mut().map(|phase| &mut phase[..groups]).collect();
            if groups > 0 {
                network(&mut phases);
            }
        }
        for ((samples, ready), phases) in block.iter_mut().zip(&mut self.ready).zip(self.phases.chunks_exact(n)) {
            let line = &mut self.line[..ready_frames + whole];
            line[..ready_frames].copy_from_slice(&ready[..ready_frames]);
            for (p, phase) in phases.iter().enumerate() {
                line[ready_frames..].iter_mut().skip(p).step_by(n).zip(phase).for_each(|(to, y)| *to = *y);
            }
            let (now, later) = line.split_at(frames);
            samples.copy_from_slice(now);
            ready[..later.len()].copy_from_slice(later);
        }
        for (samples, last) in block.iter().zip(&mut self.last) {
            last[1] = samples.last().copied().unwrap_or(last[1]);
        }
    }

    /// Goes on as after `frames` more frames like the last one (at the network's rate, if blocks have any length). Only valid if
    /// input and output have been constant for a group or more, and more such frames change nothing in the network. [audio
    /// thread]
    pub fn skip(&mut self, frames: usize) {
        if !self.any_length {
            return;
        }
        self.pending_frames = (self.pending_frames + frames) % self.factor;
        for ((pending, ready), last) in self.pending.iter_mut().zip(&mut self.ready).zip(&self.last) {
            pending.fill(last[0]);
            ready.fill(last[1]);
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let phases: usize = self.phases.iter().map(|p| size_of_val(p.as_slice()) + size_of::<Vec<f32>>()).sum();
        phases
            + size_of_val(self.last.as_slice())
            + size_of_val(self.pending.as_slice())
            + size_of_val(self.ready.as_slice())
            + size_of_val(self.line.as_slice())
    }
}
