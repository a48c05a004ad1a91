//! A queue of frames between two threads, lock-free.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

/// Interval at which a waiting thread checks the queue again.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Makes a queue for `frames` frames of `channels` channels. Its memory is written once here, so that the audio thread causes no
/// page fault. [control thread: allocates]
///
/// # Panics
/// If `channels` or `frames` is 0.
#[must_use]
pub fn queue(channels: usize, frames: usize) -> (QueueWriter, QueueReader) {
    assert!(channels > 0 && frames > 0, "a queue of {frames} frames of {channels} channels; expected 1 or more of both");
    let (mut producer, mut consumer) = RingBuffer::new(channels * frames);
    if let Ok(chunk) = producer.write_chunk(channels * frames) {
        chunk.commit_all();
    }
    if let Ok(chunk) = consumer.read_chunk(channels * frames) {
        chunk.commit_all();
    }
    let lost = Arc::new(AtomicU64::new(0));
    (QueueWriter { ring: producer, channels, lost: lost.clone() }, QueueReader { ring: consumer, channels, lost })
}

/// The writing end of a [`queue`].
#[derive(Debug)]
pub struct QueueWriter {
    ring: Producer<f32>,
    channels: usize,
    lost: Arc<AtomicU64>,
}

/// The reading end of a [`queue`].
#[derive(Debug)]
pub struct QueueReader {
    ring: Consumer<f32>,
    channels: usize,
    lost: Arc<AtomicU64>,
}

impl QueueWriter {
    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of frames for which there is room now. [audio thread]
    #[must_use]
    pub fn space(&self) -> usize {
        self.ring.slots() / self.channels
    }

    /// True if the reader has been dropped. [audio thread]
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Writes the frames for which there is room, from a slice per channel, and counts the rest as lost. Returns the number of
    /// frames written. [audio thread]
    pub fn write<S: AsRef<[f32]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let n = self.push(block, 0, frames);
        if n < frames {
            self.lost.fetch_add((frames - n) as u64, Ordering::Relaxed);
        }
        n
    }

    /// Writes all frames, and waits for room if necessary. Returns the number of frames written, which is smaller only if the
    /// reader has been dropped. [any thread but the audio thread: blocks]
    pub fn write_all<S: AsRef<[f32]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let mut at = 0;
        while at < frames {
            at += self.push(block, at, frames);
            if at < frames {
                if self.is_abandoned() {
                    break;
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        at
    }

    /// Writes frames `from..to` of the block as far as there is room; returns the number written.
    fn push<S: AsRef<[f32]>>(&mut self, block: &[S], from: usize, to: usize) -> usize {
        let n = self.space().min(to - from);
        let Ok(chunk) = self.ring.write_chunk_uninit(n * self.channels) else { return 0 };
        // A channel that is missing in the block is silent.
        let channels = self.channels;
        chunk.fill_from_iter(
            (from..from + n)
                .flat_map(|i| (0..channels).map(move |c| block.get(c).and_then(|s| s.as_ref().get(i)).copied().unwrap_or(0.0))),
        );
        n
    }
}

impl QueueReader {
    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of frames that can be read now. [audio thread]
    #[must_use]
    pub fn available(&self) -> usize {
        self.ring.slots() / self.channels
    }

    /// Number of frames that were lost so far because there was no room. [any thread]
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// True if the writer has been dropped and the last frame has been read. [audio thread]
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // In this order, so that frames that were written before the writer was dropped are seen.
        self.ring.is_abandoned() && self.available() == 0
    }

    /// Reads the available frames, up to the length of the slices (one per channel), and leaves the rest of the slices unchanged.
    /// Returns the number of frames read. [audio thread]
    pub fn read_available<S: AsMut<[f32]>>(&mut self, block: &mut [S]) -> usize {
        let frames = block.first_mut().map_or(0, |c| c.as_mut().len());
        self.pull(block, 0, frames)
    }

    /// Fills the slices, one per channel, and waits for frames if necessary. Returns the number of frames read, which is smaller
    /// only if the writer is dropped or `timeout` is over. [any thread but the audio thread: blocks]
    pub fn read<S: AsMut<[f32]>>(&mut self, block: &mut [S], timeout: Option<Duration>) -> usize {
        let frames = block.first_mut().map_or(0, |c| c.as_mut().len());
        let start = Instant::now();
        let mut at = 0;
        while at < frames {
            let abandoned = self.ring.is_abandoned();
            at += self.pull(block, at, frames);
            if at < frames {
                if abandoned || timeout.is_some_and(|t| start.elapsed() >= t) {
                    break;
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        at
    }

    /// Reads available frames to `from..to` of the block; returns the number read.
    fn pull<S: AsMut<[f32]>>(&mut self, block: &mut [S], from: usize, to: usize) -> usize {
        let n = self.available().min(to - from);
        let Ok(chunk) = self.ring.read_chunk(n * self.channels) else { return 0 };
        let (first, second) = chunk.as_slices();
        for (c, samples) in block.iter_mut().enumerate().take(self.channels) {
            let both = first.iter().chain(second).skip(c).step_by(self.channels);
            for (y, x) in samples.as_mut()[from..from + n].iter_mut().zip(both) {
                *y = *x;
            }
        }
        chunk.commit_all();
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_frames_without_room_are_counted() {
        let (mut writer, mut reader) = queue(2, 10);
        let left: Vec<f32> = (0..7).map(|i| i as f32).collect();
        let right: Vec<f32> = left.iter().map(|x| -x).collect();
        assert_eq!(writer.write(&[&left, &right]), 7);
        assert_eq!(writer.write(&[&left, &right]), 3);
        assert_eq!(reader.overflow(), 4);
        let mut out = vec![vec![9.0; 12]; 2];
        assert_eq!(reader.read_available(&mut out), 10);
        assert_eq!(out[0][..10], [0., 1., 2., 3., 4., 5., 6., 0., 1., 2.]);
        assert_eq!(out[1][..10], [0., -1., -2., -3., -4., -5., -6., 0., -1., -2.]);
        assert_eq!(out[0][10..], [9.0, 9.0]);
        assert!(!reader.is_finished());
        drop(writer);
        assert!(reader.is_finished());
    }

    #[test]
    fn reading_waits_for_a_slow_writer_and_ends_with_it() {
        let (mut writer, mut reader) = queue(1, 4);
        let thread = std::thread::spawn(move || {
            let x: Vec<f32> = (0..1000).map(|i| i as f32).collect();
            for part in x.chunks(7) {
                writer.write_all(&[part]);
            }
        });
        let mut got = vec![vec![0.0; 1001]];
        assert_eq!(reader.read(&mut got, None), 1000);
        assert!((0..1000).all(|i| got[0][i] == i as f32));
        thread.join().unwrap();
        let (_writer, mut reader) = queue(1, 4);
        assert_eq!(reader.read(&mut got, Some(Duration::from_millis(5))), 0);
    }
}
