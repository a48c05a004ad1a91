//! The way from the audio thread to the disk thread.
//!
//! One ring of words for all channels: a record is four words of head, then the samples of the recorded channels, channel after
//! channel or interleaved, as they came. So a record fits for all channels or for none.

mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rtrb::chunks::ReadChunk;
use rtrb::{Consumer, RingBuffer};

use super::event::Event;
use super::view::View;

pub use writer::{Block, Word, Writer};

/// Words before the samples of a record: position, low and high; frames; whether they are interleaved.
const HEAD: usize = 4;
/// The smallest block for which the ring holds the time it shall hold, beside the heads.
const SMALL_BLOCK: usize = 16;
/// Starts, stops and marks that can wait for the disk thread.
const EVENTS: usize = 256;

/// What the writer told, each at a position.
pub type Events = Consumer<(u64, Event)>;

/// What both ends know.
#[derive(Debug, Default)]
pub struct Shared {
    /// Frames given so far, lost ones included; stored after they are in the ring.
    pub position: AtomicU64,
    /// Frames that the disk thread is done with.
    pub taken: AtomicU64,
    pub lost: AtomicU64,
    pub stretched: AtomicU64,
}

/// Words of a ring for `frames` frames of `channels` channels.
pub fn ring_words(channels: usize, frames: usize) -> usize {
    channels * frames + HEAD * (frames / SMALL_BLOCK + 1)
}

/// A ring for `frames` frames of the channels `sources` of a wider block. Its memory has been touched. [control thread: allocates]
pub fn ring(sources: Vec<usize>, frames: usize) -> (Writer, Reader, Events) {
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
    let writer = Writer::new(producer, events, sources, shared.clone(), words);
    (writer, Reader { ring: consumer, channels, shared }, told)
}

/// The disk thread's end.
pub struct Reader {
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
pub struct Record<'a> {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::Format;
    use crate::record::pcm::{Converter, Words, int_words};

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
                prop_assert_eq!(reader.shared.lost.load(Ordering::Relaxed), lost as u64);
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
}
