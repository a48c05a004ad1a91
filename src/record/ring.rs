//! The way from the audio thread to the disk thread.
//!
//! One ring of words for all channels: a record is four words of head, then the samples of the recorded channels, channel after
//! channel or interleaved, as they came. So a record fits for all channels or for none.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rtrb::chunks::{ReadChunk, WriteChunk};
use rtrb::{Consumer, Producer, RingBuffer};

use super::pcm::{Converter, Counts, Words, float_words, int_words};
use super::recorder::{Channel, SourceChange};

/// Words before the samples of a record: position, low and high; frames; whether they are interleaved.
const HEAD: usize = 4;
/// The smallest block for which the ring holds the time it shall hold, beside the heads.
const SMALL_BLOCK: usize = 16;
/// A record is at most this part of the ring.
const LARGEST_PART: usize = 4;
/// Starts, stops and marks that can wait for the disk thread.
const EVENTS: usize = 256;
/// The buffer counts as stretched when this part of it is full, until half of that is.
const STRETCHED_PART: usize = 10;
/// How long a thread that may wait sleeps before it looks again.
const NAP: Duration = Duration::from_millis(1);

/// What a take is told, at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Start,
    Stop,
    Mark(Option<String>),
    /// The source has ended, for this reason: so does the take.
    End(String),
    /// Takes that begin from here on are called otherwise.
    Describe(Box<Description>),
    /// So many frames from here on will not come, and why.
    Gap(u64, &'static str),
    /// What became different about the source's channel here, or between the position given and here.
    Change(Box<SourceChange>, Option<u64>),
}

/// What takes are called, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub folder: PathBuf,
    pub name: String,
    pub source: String,
    pub channels: Vec<Channel>,
}

/// What the writer told, each at a position.
pub(super) type Events = Consumer<(u64, Event)>;

/// What both ends know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Frames given so far, lost ones included; stored after they are in the ring.
    pub position: AtomicU64,
    /// Frames that the disk thread is done with.
    pub taken: AtomicU64,
    pub lost: AtomicU64,
    pub stretched: AtomicU64,
}

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

/// Words of a ring for `frames` frames of `channels` channels.
pub(super) fn ring_words(channels: usize, frames: usize) -> usize {
    channels * frames + HEAD * (frames / SMALL_BLOCK + 1)
}

/// A ring for `frames` frames of the channels `sources` of a wider block. Its memory has been touched. [control thread: allocates]
pub(super) fn ring(sources: Vec<usize>, frames: usize) -> (Writer, Reader, Events) {
    let words = ring_words(sources.len(), frames);
    let (mut producer, mut consumer) = RingBuffer::new(words);
    // The audio thread shall meet no page for the first time.
    if let Ok(chunk) = producer.write_chunk(words) {
        chunk.commit_all();
    }
    if let Ok(chunk) = consumer.read_chunk(words) {
        chunk.commit_all();
    }
    let (events, told) = RingBuffer::new(EVENTS);
    let shared = Arc::new(Shared::default());
    let channels = sources.len();
    let writer =
        Writer { ring: producer, events, sources, shared: shared.clone(), position: 0, waits: false, stretched: false, words };
    (writer, Reader { ring: consumer, channels, shared }, told)
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

/// The disk thread's end.
pub(super) struct Reader {
    ring: Consumer<u32>,
    channels: usize,
    pub shared: Arc<Shared>,
}

impl Reader {
    /// The next record, which leaves the ring when it is dropped.
    pub fn next(&mut self) -> Option<Record<'_>> {
        let head = self.ring.read_chunk(HEAD).ok()?;
        let (first, second) = head.as_slices();
        let mut words = first.iter().chain(second).copied();
        let [low, high, frames, interleaved] = std::array::from_fn(|_| words.next().unwrap_or(0));
        let chunk = self.ring.read_chunk(HEAD + self.channels * frames as usize).ok()?;
        Some(Record {
            chunk: Some(chunk),
            position: u64::from(high) << 32 | u64::from(low),
            frames: frames as usize,
            channels: self.channels,
            interleaved: interleaved != 0,
        })
    }
}

/// A block as it came.
pub(super) struct Record<'a> {
    /// None after the drop.
    chunk: Option<ReadChunk<'a, u32>>,
    pub position: u64,
    pub frames: usize,
    channels: usize,
    interleaved: bool,
}

impl Record<'_> {
    pub fn view(&self) -> View<'_> {
        let (first, second) = self.chunk.as_ref().map_or((&[][..], &[][..]), |chunk| chunk.as_slices());
        let in_second = HEAD.saturating_sub(first.len());
        View {
            halves: [first.get(HEAD..).unwrap_or(&[]), &second[in_second..]],
            channels: self.channels,
            frames: self.frames,
            interleaved: self.interleaved,
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            chunk.commit_all();
        }
    }
}

/// Samples of several channels, perhaps in two pieces.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    halves: [&'a [u32]; 2],
    channels: usize,
    pub frames: usize,
    interleaved: bool,
}

impl<'a> View<'a> {
    /// Of planar samples.
    pub fn planar(words: &'a [u32], channels: usize, frames: usize) -> Self {
        Self { halves: [words, &[]], channels, frames, interleaved: false }
    }

    /// `n` samples of a channel, each `stride` words behind the one before, in two pieces that begin at theirs.
    fn pieces(&self, channel: usize, from: usize, n: usize) -> ([(&'a [u32], usize); 2], usize) {
        let (at, stride) =
            if self.interleaved { (from * self.channels + channel, self.channels) } else { (channel * self.frames + from, 1) };
        let [first, second] = self.halves;
        let in_first = first.len().saturating_sub(at).div_ceil(stride).min(n);
        let at_second = (at + in_first * stride).saturating_sub(first.len());
        ([(first.get(at..).unwrap_or(&[]), in_first), (second.get(at_second..).unwrap_or(&[]), n - in_first)], stride)
    }

    /// Converts samples of one channel, from frame `from` on, as many as `out` holds.
    pub fn convert(&self, converter: &Converter, channel: usize, from: usize, out: &mut [u8]) -> Counts {
        let bytes = converter.format().bytes();
        let ([(first, a), (second, b)], stride) = self.pieces(channel, from, out.len() / bytes);
        let (out_first, out_second) = out.split_at_mut(a * bytes);
        let mut counts = Counts::default();
        for (words, n, out) in [(first, a, out_first), (second, b, out_second)] {
            counts +=
                if stride == 1 { converter.convert(&words[..n], out) } else { converter.convert_strided(words, stride, out) };
        }
        counts
    }

    /// Copies samples of one channel, from frame `from` on.
    pub fn copy(&self, channel: usize, from: usize, out: &mut [u32]) {
        let ([(first, a), (second, _)], stride) = self.pieces(channel, from, out.len());
        let both = first.iter().step_by(stride).take(a).chain(second.iter().step_by(stride));
        for (to, word) in out.iter_mut().zip(both) {
            *to = *word;
        }
    }

    /// The first and the last of the `n` frames from `from` on in which a channel reaches `level`, counted from the view's first.
    pub fn loud(&self, words: Words, level: f32, from: usize, n: usize) -> Option<(usize, usize)> {
        let mut found: Option<(usize, usize)> = None;
        for channel in 0..self.channels {
            let ([(first, a), (second, _)], stride) = self.pieces(channel, from, n);
            let both = first.iter().step_by(stride).take(a).chain(second.iter().step_by(stride));
            for (at, word) in (from..).zip(both.take(n)) {
                if words.value(*word).abs() >= level {
                    let (earliest, latest) = found.unwrap_or((at, at));
                    found = Some((earliest.min(at), latest.max(at)));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Format;
    use proptest::prelude::*;

    const CHANNELS: usize = 3;

    /// The sample of a channel at a frame: all differ.
    fn sample(channel: usize, frame: usize) -> i32 {
        ((channel << 16 | frame) << 8) as i32
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_frame_arrives_or_is_missing_in_all_channels(
            blocks in prop::collection::vec((1usize..90, 0u8..4, any::<bool>()), 1..40),
            capacity in 40usize..120,
        ) {
            // Channels 2, 0 and 1 of 4 are recorded, or all of 3.
            for (width, sources) in [(4, vec![2, 0, 1]), (3, vec![0, 1, 2])] {
                let (mut writer, mut reader, _) = ring(sources.clone(), capacity);
                let converter = Converter::new(Words::Int32, Format::Int32);
                let (mut given, mut lost, mut next) = (0, 0, 0);
                for (n, way, drain) in &blocks {
                    let planar: Vec<Vec<i32>> = (0..width).map(|c| (given..given + n).map(|i| sample(c, i)).collect()).collect();
                    lost += match way {
                        0 => writer.write(&planar),
                        1 => {
                            let rows: Vec<i32> = (0..*n).flat_map(|i| planar.iter().map(move |c| c[i])).collect();
                            writer.write_interleaved(&rows, width)
                        }
                        2 => {
                            let begun = writer.begin(*n).map(|mut block| {
                                for (channel, source) in sources.iter().enumerate().rev() {
                                    block.put(channel, n / 2, &planar[*source][n / 2..]);
                                    block.put(channel, 0, &planar[*source][..n / 2]);
                                }
                                block.commit();
                            });
                            if begun.is_some() { 0 } else { *n }
                        }
                        // Dropped: never given.
                        _ => {
                            let before = writer.position();
                            let begun = writer.begin(*n).is_some();
                            given = if begun { given } else { given + n };
                            lost += if begun { 0 } else { *n };
                            prop_assert_eq!(writer.position() - before, if begun { 0 } else { *n as u64 });
                            continue;
                        }
                    };
                    given += n;
                    if !drain {
                        continue;
                    }
                    while let Some(record) = reader.next() {
                        let view = record.view();
                        let start = record.position as usize;
                        prop_assert!(start >= next);
                        next = start + record.frames;
                        for (channel, source) in sources.iter().enumerate() {
                            for from in [0, record.frames / 3] {
                                let expected: Vec<i32> = (start + from..next).map(|i| sample(*source, i)).collect();
                                let mut out = vec![0; expected.len() * 4];
                                view.convert(&converter, channel, from, &mut out);
                                let mut words = vec![0; expected.len()];
                                view.copy(channel, from, &mut words);
                                prop_assert_eq!(&words, int_words(&expected));
                                prop_assert_eq!(out, expected.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
                            }
                        }
                    }
                }
                prop_assert_eq!(writer.position(), given as u64);
                prop_assert_eq!(writer.shared.lost.load(Ordering::Relaxed), lost as u64);
            }
        }
    }

    #[test]
    fn the_ring_holds_the_time_it_shall_hold() {
        for channels in [1, 2, CHANNELS, 32] {
            for block in [SMALL_BLOCK, 64, 256] {
                let (mut writer, _reader, _) = ring((0..channels).collect(), 4800);
                let samples = vec![vec![0.0f32; block]; channels];
                let lost: usize = (0..4800 / block).map(|_| writer.write(&samples)).sum();
                assert_eq!(lost, 0, "{channels} channels, blocks of {block}");
            }
        }
    }

    #[test]
    fn loud_frames_are_found_wherever_they_are() {
        let (mut writer, mut reader, _) = ring(vec![0, 1], 128);
        for frame in 0..200 {
            let mut block = [[0.1f32; 20], [-0.1; 20]];
            block[frame % 2][frame % 20] = -0.5;
            assert_eq!(writer.write(&block), 0);
            let record = reader.next().unwrap();
            assert_eq!(record.view().loud(Words::Float, 0.5, 0, 20), Some((frame % 20, frame % 20)));
            assert_eq!(record.view().loud(Words::Float, 0.51, 0, 20), None);
            assert_eq!(record.view().loud(Words::Float, 0.1, 3, 10), Some((3, 12)));
        }
    }
}
