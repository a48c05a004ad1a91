//! The audio thread's end of the ring.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::Producer;
use rtrb::chunks::WriteChunk;

use super::{HEAD, Shared};
use crate::record::event::Event;
use crate::record::pcm::{float_words, int_words};

/// A record is at most this part of the ring.
const LARGEST_PART: usize = 4;
/// The buffer counts as stretched when this part of it is full, until half of that is.
const STRETCHED_PART: usize = 10;
/// How long a thread that may wait sleeps before it looks again.
const NAP: Duration = Duration::from_millis(1);

/// A 32-bit sample: `f32` or `i32`.
pub trait Word: Copy {
    #[doc(hidden)]
    fn words(samples: &[Self]) -> &[u32];
}

impl Word for f32 {
    fn words(samples: &[Self]) -> &[u32] {
        float_words(samples)
    }
}

impl Word for i32 {
    fn words(samples: &[Self]) -> &[u32] {
        int_words(samples)
    }
}

/// The end of a recorder that sound goes into. Nothing here allocates, locks or waits, unless told to wait. Samples are of the type
/// that the recorder was opened for.
#[derive(Debug)]
pub struct Writer {
    ring: Producer<u32>,
    events: Producer<(u64, Event)>,
    /// Channels of the block that are recorded.
    sources: Vec<usize>,
    shared: Arc<Shared>,
    position: u64,
    waits: bool,
    stretched: bool,
    /// Words of the ring.
    words: usize,
}

impl Writer {
    /// [control thread]
    pub(super) fn new(
        ring: Producer<u32>,
        events: Producer<(u64, Event)>,
        sources: Vec<usize>,
        shared: Arc<Shared>,
        words: usize,
    ) -> Self {
        Self { ring, events, sources, shared, position: 0, waits: false, stretched: false, words }
    }

    /// Channels that are recorded. [audio thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.sources.len()
    }

    /// Frames given so far, lost ones included. [audio thread]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether a full ring is waited for, as a file or an offline bounce can: then nothing is ever lost. [audio thread]
    pub fn wait(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// A take starts with the next frame given, if none is running. [audio thread]
    pub fn start(&mut self) {
        self.tell(Event::Start);
    }

    /// The take ends with the last frame given. [audio thread]
    pub fn stop(&mut self) {
        self.tell(Event::Stop);
    }

    /// A marker at the next frame given. [audio thread]
    pub fn mark(&mut self) {
        self.tell(Event::Mark(None));
    }

    /// The source has lost the next `frames` frames, for a reason that the manifest shall name: they are a gap in all stems.
    /// [audio thread]
    pub fn lose(&mut self, frames: u64, reason: &'static str) {
        self.tell(Event::Gap(frames, reason));
        self.lost(frames);
    }

    fn lost(&mut self, frames: u64) {
        self.position += frames;
        self.shared.lost.fetch_add(frames, Ordering::Relaxed);
        self.shared.position.store(self.position, Ordering::Release);
    }

    fn tell(&mut self, event: Event) {
        // Full only if hundreds wait, and then nothing new is said.
        let _ = self.events.push((self.position, event));
    }

    /// Takes a block, a slice per channel of the source, all of one length; a channel that it lacks is silent. Returns the frames
    /// that found no room. [audio thread]
    pub fn write<W: Word, S: AsRef<[W]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let (mut from, mut lost) = (0, 0);
        while from < frames {
            let n = self.largest().min(frames - from);
            if self.make_room(n) {
                let Self { ring, sources, shared, position, .. } = self;
                let Some(mut record) = Block::new(ring, shared, position, sources.len(), n, false) else { return lost };
                for (channel, source) in sources.iter().enumerate() {
                    if let Some(samples) = block.get(*source) {
                        record.put(channel, 0, &samples.as_ref()[from..from + n]);
                    }
                }
                record.commit();
            } else {
                lost += n;
            }
            from += n;
        }
        lost
    }

    /// Takes a block of `channels` interleaved channels. Returns the frames that found no room. [audio thread]
    pub fn write_interleaved<W: Word>(&mut self, block: &[W], channels: usize) -> usize {
        let frames = block.len().checked_div(channels).unwrap_or(0);
        let (mut from, mut lost) = (0, 0);
        while from < frames {
            let n = self.largest().min(frames - from);
            if self.make_room(n) {
                let Self { ring, sources, shared, position, .. } = self;
                let rows = W::words(&block[from * channels..(from + n) * channels]);
                let all = sources.iter().copied().eq(0..channels);
                let Some(mut record) = Block::new(ring, shared, position, sources.len(), n, all) else { return lost };
                if all {
                    record.copy(HEAD, rows);
                } else {
                    for (channel, source) in sources.iter().enumerate().filter(|(_, source)| **source < channels) {
                        record.copy_each(HEAD + channel * n, rows[*source..].iter().step_by(channels));
                    }
                }
                record.commit();
            } else {
                lost += n;
            }
            from += n;
        }
        lost
    }

    /// Room for the next `frames` frames, to be filled channel by channel and in any order: for taps at several places of one
    /// callback. None if there is no room; the frames are lost then. [audio thread]
    pub fn begin(&mut self, frames: usize) -> Option<Block<'_>> {
        if !self.make_room(frames) {
            return None;
        }
        let Self { ring, sources, shared, position, .. } = self;
        Block::new(ring, shared, position, sources.len(), frames, false)
    }

    /// Frames of the largest record.
    fn largest(&self) -> usize {
        ((self.words / LARGEST_PART).saturating_sub(HEAD) / self.sources.len()).max(1)
    }

    /// Whether a record of `frames` frames fits. If not, the frames are lost.
    fn make_room(&mut self, frames: usize) -> bool {
        let needed = HEAD + self.sources.len() * frames;
        let mut free = self.ring.slots();
        while self.waits && free < needed && needed <= self.words && !self.ring.is_abandoned() {
            std::thread::sleep(NAP);
            free = self.ring.slots();
        }
        let full = self.words - free;
        if full * STRETCHED_PART > self.words {
            if !self.stretched && !self.waits {
                self.shared.stretched.fetch_add(1, Ordering::Relaxed);
            }
            self.stretched = true;
        } else if full * 2 * STRETCHED_PART < self.words {
            self.stretched = false;
        }
        if free >= needed {
            return true;
        }
        self.lost(frames as u64);
        false
    }
}

/// A block in the ring that is being filled. What is not put is silent; dropped without [`Self::commit`], it was never given.
pub struct Block<'a> {
    chunk: WriteChunk<'a, u32>,
    shared: &'a Shared,
    position: &'a mut u64,
    channels: usize,
    frames: usize,
}

impl<'a> Block<'a> {
    fn new(
        ring: &'a mut Producer<u32>,
        shared: &'a Shared,
        position: &'a mut u64,
        channels: usize,
        frames: usize,
        interleaved: bool,
    ) -> Option<Self> {
        let chunk = ring.write_chunk(HEAD + channels * frames).ok()?;
        let mut block = Self { chunk, shared, position, channels, frames };
        let head = [*block.position as u32, (*block.position >> 32) as u32, frames as u32, interleaved.into()];
        block.copy(0, &head);
        Some(block)
    }

    /// [audio thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// [audio thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Samples of a recorded channel, from frame `at` of the block on; what reaches beyond the block is left out. [audio thread]
    pub fn put<W: Word>(&mut self, channel: usize, at: usize, samples: &[W]) {
        if channel < self.channels && at < self.frames {
            let n = samples.len().min(self.frames - at);
            self.copy(HEAD + channel * self.frames + at, W::words(&samples[..n]));
        }
    }

    /// Gives the block to the disk thread. [audio thread]
    pub fn commit(self) {
        self.chunk.commit_all();
        *self.position += self.frames as u64;
        self.shared.position.store(*self.position, Ordering::Release);
    }

    fn copy(&mut self, at: usize, words: &[u32]) {
        let (first, second) = self.chunk.as_mut_slices();
        let in_first = first.len().saturating_sub(at).min(words.len());
        let (a, b) = words.split_at(in_first);
        if !a.is_empty() {
            first[at..at + a.len()].copy_from_slice(a);
        }
        if !b.is_empty() {
            let at = at + in_first - first.len();
            second[at..at + b.len()].copy_from_slice(b);
        }
    }

    fn copy_each<'w>(&mut self, at: usize, words: impl ExactSizeIterator<Item = &'w u32>) {
        let (first, second) = self.chunk.as_mut_slices();
        let in_first = first.len().saturating_sub(at).min(words.len());
        let second_at = at + in_first - first.len().min(at + in_first);
        let first_at = at.min(first.len());
        let places = first[first_at..first_at + in_first].iter_mut().chain(&mut second[second_at..]);
        for (place, word) in places.zip(words) {
            *place = *word;
        }
    }
}
