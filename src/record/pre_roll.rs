//! The pre-roll: sound from before the start, which a take begins with. [disk thread]

use std::collections::VecDeque;

use super::block_view::BlockView;
use super::to_usize;

/// The newest frames: a ring buffer per channel.
pub struct PreRoll {
    /// The channels' ring buffers one after another, each `capacity_frames` words long.
    words: Vec<u32>,
    /// Largest number of frames that are held.
    pub capacity_frames: usize,
    /// Number of frames that are held.
    pub held: usize,
    /// Index in a channel's buffer that the next frame goes to.
    next: usize,
    /// Position, length and reason of each gap whose end is still held.
    pub gaps: VecDeque<(u64, u64, &'static str)>,
}

impl PreRoll {
    /// Allocates buffers for `frames` frames.
    pub fn new(channels: usize, frames: usize) -> Self {
        Self { words: vec![0; channels * frames], capacity_frames: frames, held: 0, next: 0, gaps: VecDeque::new() }
    }

    /// Appends `n` frames of `view`, starting at frame `from`; the oldest frames make room.
    pub fn push(&mut self, view: &BlockView<'_>, from: usize, n: usize) {
        let (from, n) = (from + n - n.min(self.capacity_frames), n.min(self.capacity_frames));
        let first = n.min(self.capacity_frames - self.next);
        for (channel, words) in self.words.chunks_exact_mut(self.capacity_frames.max(1)).enumerate() {
            view.copy(channel, from, &mut words[self.next..self.next + first]);
            view.copy(channel, from + first, &mut words[..n - first]);
        }
        self.advance(n);
    }

    /// Appends a gap, which begins at `position`, as silence.
    pub fn push_gap(&mut self, position: u64, frames: u64, reason: &'static str) {
        let n = to_usize(frames).min(self.capacity_frames);
        let first = n.min(self.capacity_frames - self.next);
        for words in self.words.chunks_exact_mut(self.capacity_frames.max(1)) {
            words[self.next..self.next + first].fill(0);
            words[..n - first].fill(0);
        }
        self.advance(n);
        self.gaps.push_back((position, frames, reason));
        let oldest = (position + frames).saturating_sub(self.capacity_frames as u64);
        self.gaps.retain(|(at, length, _)| at + length > oldest);
    }

    fn advance(&mut self, n: usize) {
        self.next = (self.next + n) % self.capacity_frames.max(1);
        self.held = (self.held + n).min(self.capacity_frames);
    }

    /// Copies `n` held frames into `out`, channel after channel, beginning `skip` frames after the oldest.
    pub fn read(&self, skip: usize, n: usize, out: &mut [u32]) {
        let start = (self.next + self.capacity_frames - self.held + skip) % self.capacity_frames;
        let first = n.min(self.capacity_frames - start);
        for (words, out) in self.words.chunks_exact(self.capacity_frames).zip(out.chunks_exact_mut(n)) {
            out[..first].copy_from_slice(&words[start..start + first]);
            out[first..].copy_from_slice(&words[..n - first]);
        }
    }
}
