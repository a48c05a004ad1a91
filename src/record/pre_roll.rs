//! The pre-roll: sound that is put in front of a take. [disk thread]

use std::collections::VecDeque;

use super::view::View;

/// What was given last: planar, a ring per channel.
pub struct PreRoll {
    words: Vec<u32>,
    pub frames: usize,
    /// Frames that are held, up to the last one.
    pub held: usize,
    /// Where the next frame goes.
    next: usize,
    /// Positions and lengths of what was lost, and why.
    pub gaps: VecDeque<(u64, u64, &'static str)>,
}

impl PreRoll {
    pub fn new(channels: usize, frames: usize) -> Self {
        Self { words: vec![0; channels * frames], frames, held: 0, next: 0, gaps: VecDeque::new() }
    }

    /// Keeps the frames `from` to `from + n`, as far as there is room.
    pub fn push(&mut self, view: &View<'_>, from: usize, n: usize) {
        let (from, n) = (from + n - n.min(self.frames), n.min(self.frames));
        let first = n.min(self.frames - self.next);
        for (channel, words) in self.words.chunks_exact_mut(self.frames.max(1)).enumerate() {
            view.copy(channel, from, &mut words[self.next..self.next + first]);
            view.copy(channel, from + first, &mut words[..n - first]);
        }
        self.advance(n);
    }

    /// Keeps silence of a gap at `position`.
    pub fn lose(&mut self, position: u64, frames: u64, reason: &'static str) {
        let n = frames.min(self.frames as u64) as usize;
        let first = n.min(self.frames - self.next);
        for words in self.words.chunks_exact_mut(self.frames.max(1)) {
            words[self.next..self.next + first].fill(0);
            words[..n - first].fill(0);
        }
        self.advance(n);
        self.gaps.push_back((position, frames, reason));
        let oldest = (position + frames).saturating_sub(self.frames as u64);
        self.gaps.retain(|(at, length, _)| at + length > oldest);
    }

    fn advance(&mut self, n: usize) {
        self.next = (self.next + n) % self.frames.max(1);
        self.held = (self.held + n).min(self.frames);
    }

    /// Copies `n` of the frames that are held, from the `at`-th oldest on, channel after channel.
    pub fn read(&self, at: usize, n: usize, out: &mut [u32]) {
        let start = (self.next + self.frames - self.held + at) % self.frames;
        let first = n.min(self.frames - start);
        for (words, out) in self.words.chunks_exact(self.frames).zip(out.chunks_exact_mut(n)) {
            out[..first].copy_from_slice(&words[start..start + first]);
            out[first..].copy_from_slice(&words[..n - first]);
        }
    }
}
