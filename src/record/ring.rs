//! The ring buffer between the audio thread and the disk thread.
//!
//! One ring of 32-bit words serves all channels. Each block in it has a header of four words, then the samples of the
//! recorded channels, channel after channel or interleaved. So either all channels of a block are stored or none.

mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rtrb::chunks::ReadChunk;
use rtrb::{Consumer, RingBuffer};

use super::block_view::BlockView;
use super::event::RecorderEvent;

pub use writer::{RingBlockWriter, SampleWord, Writer};

/// Words of a block's header: the position's low word, its high word, the number of frames, and 1 if the samples are
/// interleaved.
const HEADER_WORDS: usize = 4;
/// The ring has room for the headers of blocks of this many frames; with smaller blocks it holds less time than requested.
const SMALLEST_BLOCK_FRAMES: usize = 16;
/// Number of the audio thread's events that can wait for the disk thread.
const EVENT_CAPACITY: usize = 256;

/// The disk thread's end of the queue of the writer's events, each with its position.
pub type EventConsumer = Consumer<(u64, RecorderEvent)>;

/// Counters that both ends of the ring share.
#[derive(Debug, Default)]
pub struct RingCounters {
    /// Frames that the writer was given so far, lost ones included; stored once they are in the ring.
    pub position: AtomicU64,
    /// Frames that the disk thread has processed, lost ones included.
    pub consumed: AtomicU64,
    /// Frames that were lost so far.
    pub lost: AtomicU64,
    /// Number of times that the ring was stretched so far: filled to more than a tenth.
    pub stretched: AtomicU64,
}

/// Words of a ring for `frames` frames of `channels` channels.
pub fn ring_words(channels: usize, frames: usize) -> usize {
    channels * frames + HEADER_WORDS * (frames / SMALLEST_BLOCK_FRAMES + 1)
}

/// Makes a ring for `frames` frames; `source_channels` are the recorded channels of the written blocks. [control thread:
/// allocates]
pub fn ring(source_channels: Vec<usize>, frames: usize) -> (Writer, RingReader, EventConsumer) {
    let words = ring_words(source_channels.len(), frames);
    let (mut producer, mut consumer) = RingBuffer::new(words);
    // Writes to every page of the memory now, so that the audio thread does not wait for the system to map one.
    if let Ok(chunk) = producer.write_chunk(words) {
        chunk.commit_all();
    }
    if let Ok(chunk) = consumer.read_chunk(words) {
        chunk.commit_all();
    }
    let (event_producer, event_consumer) = RingBuffer::new(EVENT_CAPACITY);
    let counters = Arc::new(RingCounters::default());
    let channels = source_channels.len();
    let writer = Writer::new(producer, event_producer, source_channels, counters.clone(), words);
    (writer, RingReader { ring: consumer, channels, counters }, event_consumer)
}

/// The disk thread's end of the ring.
pub struct RingReader {
    ring: Consumer<u32>,
    channels: usize,
    /// The counters that the ends share.
    pub counters: Arc<RingCounters>,
}

impl RingReader {
    /// The next block; dropping it frees its room in the ring.
    pub fn next(&mut self) -> Option<RingBlock<'_>> {
        let header = self.ring.read_chunk(HEADER_WORDS).ok()?;
        let (first, second) = header.as_slices();
        let mut words = first.iter().chain(second).copied();
        let [low, high, frames, interleaved] = std::array::from_fn(|_| words.next().unwrap_or(0));
        let chunk = self.ring.read_chunk(HEADER_WORDS + self.channels * frames as usize).ok()?;
        Some(RingBlock {
            chunk: Some(chunk),
            position: u64::from(high) << 32 | u64::from(low),
            frames: frames as usize,
            channels: self.channels,
            interleaved: interleaved != 0,
        })
    }
}

/// A block in the ring.
pub struct RingBlock<'a> {
    /// The block's words; `None` only while it is dropped.
    chunk: Option<ReadChunk<'a, u32>>,
    /// Position of the first frame.
    pub position: u64,
    /// Number of frames.
    pub frames: usize,
    channels: usize,
    interleaved: bool,
}

impl RingBlock<'_> {
    /// The samples.
    pub fn view(&self) -> BlockView<'_> {
        let (first, second) = self.chunk.as_ref().map_or((&[][..], &[][..]), |chunk| chunk.as_slices());
        let in_second = HEADER_WORDS.saturating_sub(first.len());
        BlockView {
            slices: [first.get(HEADER_WORDS..).unwrap_or(&[]), &second[in_second..]],
            channels: self.channels,
            frames: self.frames,
            interleaved: self.interleaved,
        }
    }
}

impl Drop for RingBlock<'_> {
    fn drop(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            chunk.commit_all();
        }
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "the numbers of these tests are small")]
mod tests {
    use std::sync::atomic::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::WavFormat;
    use crate::record::pcm::{Converter, WordFormat, int_words};

    const CHANNELS: usize = 3;

    /// A sample that is different for each channel and frame.
    fn sample(channel: usize, frame: usize) -> i32 {
        ((channel << 16 | frame) << 8) as i32
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_frame_arrives_in_all_channels_or_in_none(
            blocks in prop::collection::vec((1usize..90, 0u8..4, any::<bool>()), 1..40),
            capacity in 40usize..120,
        ) {
            // Channels 2, 0 and 1 of 4 are recorded, or all of 3.
            for (width, sources) in [(4, vec![2, 0, 1]), (3, vec![0, 1, 2])] {
                let (mut writer, mut reader, _) = ring(sources.clone(), capacity);
                let converter = Converter::new(WordFormat::Int32, WavFormat::Int32);
                let (mut given, mut lost, mut next) = (0, 0, 0);
                for (n, method, drain) in &blocks {
                    let planar: Vec<Vec<i32>> = (0..width).map(|c| (given..given + n).map(|i| sample(c, i)).collect()).collect();
                    lost += match method {
                        0 => writer.write(&planar),
                        1 => {
                            let rows: Vec<i32> = (0..*n).flat_map(|i| planar.iter().map(move |c| c[i])).collect();
                            writer.write_interleaved(&rows, width)
                        }
                        2 => {
                            let begun = writer.begin_block(*n).map(|mut block| {
                                for (channel, source) in sources.iter().enumerate().rev() {
                                    block.put(channel, n / 2, &planar[*source][n / 2..]);
                                    block.put(channel, 0, &planar[*source][..n / 2]);
                                }
                                block.commit();
                            });
                            if begun.is_some() { 0 } else { *n }
                        }
                        // A block that is dropped without a commit counts as never given.
                        _ => {
                            let before = writer.position();
                            let has_begun = writer.begin_block(*n).is_some();
                            given = if has_begun { given } else { given + n };
                            lost += if has_begun { 0 } else { *n };
                            prop_assert_eq!(writer.position() - before, if has_begun { 0 } else { *n as u64 });
                            continue;
                        }
                    };
                    given += n;
                    if !drain {
                        continue;
                    }
                    while let Some(ring_block) = reader.next() {
                        let view = ring_block.view();
                        let start = ring_block.position as usize;
                        prop_assert!(start >= next);
                        next = start + ring_block.frames;
                        for (channel, source) in sources.iter().enumerate() {
                            for from in [0, ring_block.frames / 3] {
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
                prop_assert_eq!(reader.counters.lost.load(Ordering::Relaxed), lost as u64);
            }
        }
    }

    #[test]
    fn the_ring_holds_the_requested_time() {
        for channels in [1, 2, CHANNELS, 32] {
            for block in [SMALLEST_BLOCK_FRAMES, 64, 256] {
                let (mut writer, _reader, _) = ring((0..channels).collect(), 4800);
                let samples = vec![vec![0.0f32; block]; channels];
                let lost: usize = (0..4800 / block).map(|_| writer.write(&samples)).sum();
                assert_eq!(lost, 0, "{channels} channels, blocks of {block}");
            }
        }
    }
}
