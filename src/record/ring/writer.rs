//! The audio thread's end of the ring.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rtrb::Producer;
use rtrb::chunks::WriteChunk;

use super::{HEADER_WORDS, RingCounters};
use crate::record::event::RecorderEvent;
use crate::record::pcm::{float_words, int_words};

/// A block in the ring takes at most 1/4 of it; larger blocks of the source are split.
const MAX_RING_BLOCK_DIVISOR: usize = 4;
/// The ring counts as stretched as soon as more than 1/10 of it is full, until less than 1/20 is.
const STRETCHED_DIVISOR: usize = 10;
/// Time that a blocking writer sleeps between two checks for room.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A 32-bit sample that a [`Writer`] takes: `f32` or `i32`.
pub trait SampleWord: Copy {
    /// The samples' bits.
    #[doc(hidden)]
    fn words(samples: &[Self]) -> &[u32];
}

impl SampleWord for f32 {
    fn words(samples: &[Self]) -> &[u32] {
        float_words(samples)
    }
}

impl SampleWord for i32 {
    fn words(samples: &[Self]) -> &[u32] {
        int_words(samples)
    }
}

/// The end of a recorder that the audio thread writes blocks to. No method allocates or locks; none waits, unless
/// [`Self::set_blocking`] has allowed it. Samples must be of the type of
/// [`RecorderSettings::word_format`](crate::record::RecorderSettings::word_format).
#[derive(Debug)]
pub struct Writer {
    ring: Producer<u32>,
    events: Producer<(u64, RecorderEvent)>,
    /// Recorded channels of the written blocks, from 0.
    source_channels: Vec<usize>,
    counters: Arc<RingCounters>,
    position: u64,
    is_blocking: bool,
    is_stretched: bool,
    /// Size of the ring in words.
    ring_words: usize,
}

impl Writer {
    /// [control thread]
    pub(super) fn new(
        ring: Producer<u32>,
        events: Producer<(u64, RecorderEvent)>,
        source_channels: Vec<usize>,
        counters: Arc<RingCounters>,
        ring_words: usize,
    ) -> Self {
        Self { ring, events, source_channels, counters, position: 0, is_blocking: false, is_stretched: false, ring_words }
    }

    /// Number of recorded channels. [audio thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.source_channels.len()
    }

    /// Frames that were given so far, lost ones included. [audio thread]
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Sets whether the writer waits while the ring is full, so that no frame is lost for lack of room. For sources that can
    /// wait, such as a file or an offline bounce. [audio thread]
    pub fn set_blocking(&mut self, is_blocking: bool) {
        self.is_blocking = is_blocking;
    }

    /// Starts a take with the next frame, unless one is running. [audio thread]
    pub fn start(&mut self) {
        self.send(RecorderEvent::Start);
    }

    /// Ends the take with the last frame that was given. [audio thread]
    pub fn stop(&mut self) {
        self.send(RecorderEvent::Stop);
    }

    /// Sets a marker at the next frame. [audio thread]
    pub fn mark(&mut self) {
        self.send(RecorderEvent::Mark(None));
    }

    /// Reports that the source has lost the next `frames` frames: they become a gap of all stems, listed in the manifest with
    /// this reason. [audio thread]
    pub fn report_loss(&mut self, frames: u64, reason: &'static str) {
        self.send(RecorderEvent::Gap(frames, reason));
        self.skip_lost(frames);
    }

    fn skip_lost(&mut self, frames: u64) {
        self.position += frames;
        self.counters.lost.fetch_add(frames, Ordering::Relaxed);
        self.counters.position.store(self.position, Ordering::Release);
    }

    fn send(&mut self, event: RecorderEvent) {
        // The queue is full only if hundreds of events wait; further ones are dropped.
        let _ = self.events.push((self.position, event));
    }

    /// Writes a block: a slice per channel of the source, all of one length. A recorded channel that the block lacks is silent.
    /// Returns the number of frames that found no room. [audio thread]
    pub fn write<W: SampleWord, S: AsRef<[W]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let (mut from, mut lost) = (0, 0);
        while from < frames {
            let n = self.max_ring_block_frames().min(frames - from);
            if self.make_room(n) {
                let Self { ring, source_channels, counters, position, .. } = self;
                let Some(mut ring_block) = RingBlockWriter::new(ring, counters, position, source_channels.len(), n, false) else {
                    return lost;
                };
                for (channel, source) in source_channels.iter().enumerate() {
                    if let Some(samples) = block.get(*source) {
                        ring_block.put(channel, 0, &samples.as_ref()[from..from + n]);
                    }
                }
                ring_block.commit();
            } else {
                lost += n;
            }
            from += n;
        }
        lost
    }

    /// Writes a block of `channels` interleaved channels. Returns the number of frames that found no room. [audio thread]
    pub fn write_interleaved<W: SampleWord>(&mut self, block: &[W], channels: usize) -> usize {
        let frames = block.len().checked_div(channels).unwrap_or(0);
        let (mut from, mut lost) = (0, 0);
        while from < frames {
            let n = self.max_ring_block_frames().min(frames - from);
            if self.make_room(n) {
                let Self { ring, source_channels, counters, position, .. } = self;
                let words = W::words(&block[from * channels..(from + n) * channels]);
                let records_all = source_channels.iter().copied().eq(0..channels);
                let Some(mut ring_block) = RingBlockWriter::new(ring, counters, position, source_channels.len(), n, records_all)
                else {
                    return lost;
                };
                if records_all {
                    ring_block.copy(HEADER_WORDS, words);
                } else {
                    for (channel, source) in source_channels.iter().enumerate().filter(|(_, source)| **source < channels) {
                        ring_block.copy_each(HEADER_WORDS + channel * n, words[*source..].iter().step_by(channels));
                    }
                }
                ring_block.commit();
            } else {
                lost += n;
            }
            from += n;
        }
        lost
    }

    /// Reserves room for the next `frames` frames, to be filled channel by channel and in any order, as by taps at several places
    /// of one callback. `None` if there is no room; the frames are lost then. [audio thread]
    pub fn begin_block(&mut self, frames: usize) -> Option<RingBlockWriter<'_>> {
        if !self.make_room(frames) {
            return None;
        }
        let Self { ring, source_channels, counters, position, .. } = self;
        RingBlockWriter::new(ring, counters, position, source_channels.len(), frames, false)
    }

    /// Frames of the largest block in the ring.
    fn max_ring_block_frames(&self) -> usize {
        ((self.ring_words / MAX_RING_BLOCK_DIVISOR).saturating_sub(HEADER_WORDS) / self.source_channels.len()).max(1)
    }

    /// Returns true if a block of `frames` frames fits; a blocking writer waits for that. Otherwise counts the frames as lost.
    fn make_room(&mut self, frames: usize) -> bool {
        let needed = HEADER_WORDS + self.source_channels.len() * frames;
        let mut free = self.ring.slots();
        while self.is_blocking && free < needed && needed <= self.ring_words && !self.ring.is_abandoned() {
            std::thread::sleep(POLL_INTERVAL);
            free = self.ring.slots();
        }
        let used = self.ring_words - free;
        if used * STRETCHED_DIVISOR > self.ring_words {
            if !self.is_stretched && !self.is_blocking {
                self.counters.stretched.fetch_add(1, Ordering::Relaxed);
            }
            self.is_stretched = true;
        } else if used * 2 * STRETCHED_DIVISOR < self.ring_words {
            self.is_stretched = false;
        }
        if free >= needed {
            return true;
        }
        self.skip_lost(frames as u64);
        false
    }
}

/// Fills a block in the ring. Samples that are not put are silence; a block that is dropped without [`Self::commit`] counts as
/// never given.
pub struct RingBlockWriter<'a> {
    chunk: WriteChunk<'a, u32>,
    counters: &'a RingCounters,
    position: &'a mut u64,
    channels: usize,
    frames: usize,
}

impl<'a> RingBlockWriter<'a> {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the position is cut into two words; a block in the ring has less than 2^32 frames"
    )]
    fn new(
        ring: &'a mut Producer<u32>,
        counters: &'a RingCounters,
        position: &'a mut u64,
        channels: usize,
        frames: usize,
        interleaved: bool,
    ) -> Option<Self> {
        let chunk = ring.write_chunk(HEADER_WORDS + channels * frames).ok()?;
        let mut block = Self { chunk, counters, position, channels, frames };
        let header = [*block.position as u32, (*block.position >> 32) as u32, frames as u32, interleaved.into()];
        block.copy(0, &header);
        Some(block)
    }

    /// Number of recorded channels. [audio thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of frames. [audio thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Writes samples of a recorded channel, starting at frame `at` of the block; samples beyond the block's end are ignored.
    /// [audio thread]
    pub fn put<W: SampleWord>(&mut self, channel: usize, at: usize, samples: &[W]) {
        if channel < self.channels && at < self.frames {
            let n = samples.len().min(self.frames - at);
            self.copy(HEADER_WORDS + channel * self.frames + at, W::words(&samples[..n]));
        }
    }

    /// Passes the block to the disk thread. [audio thread]
    pub fn commit(self) {
        self.chunk.commit_all();
        *self.position += self.frames as u64;
        self.counters.position.store(*self.position, Ordering::Release);
    }

    /// Copies words into the block, starting at its word `at`.
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

    /// Like [`Self::copy`], word by word from an iterator.
    fn copy_each<'w>(&mut self, at: usize, words: impl ExactSizeIterator<Item = &'w u32>) {
        let (first, second) = self.chunk.as_mut_slices();
        let in_first = first.len().saturating_sub(at).min(words.len());
        let second_at = at + in_first - first.len().min(at + in_first);
        let first_at = at.min(first.len());
        let targets = first[first_at..first_at + in_first].iter_mut().chain(&mut second[second_at..]);
        for (target, word) in targets.zip(words) {
            *target = *word;
        }
    }
}
