//! A queue of frames between two threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

/// How long a thread that may wait sleeps before it looks again.
const NAP: Duration = Duration::from_millis(1);

/// A queue for `frames` frames of `channels` channels. Its memory has been touched, so that the audio thread meets no page for the
/// first time. [control thread: allocates]
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

/// The end that frames go into.
#[derive(Debug)]
pub struct QueueWriter {
    ring: Producer<f32>,
    channels: usize,
    lost: Arc<AtomicU64>,
}

/// The end that frames come out of.
#[derive(Debug)]
pub struct QueueReader {
    ring: Consumer<f32>,
    channels: usize,
    lost: Arc<AtomicU64>,
}

impl QueueWriter {
    /// [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames that fit now. [audio thread]
    #[must_use]
    pub fn space(&self) -> usize {
        self.ring.slots() / self.channels
    }

    /// Whether nobody reads any more. [audio thread]
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Writes what fits, a slice per channel, and counts the rest as lost. Returns the frames written. [audio thread]
    pub fn write<S: AsRef<[f32]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let n = self.push(block, 0, frames);
        if n < frames {
            self.lost.fetch_add((frames - n) as u64, Ordering::Relaxed);
        }
        n
    }

    /// Writes all, waiting for space; less only if nobody reads any more. Returns the frames written. [never the audio thread]
    pub fn write_all<S: AsRef<[f32]>>(&mut self, block: &[S]) -> usize {
        let frames = block.first().map_or(0, |c| c.as_ref().len());
        let mut at = 0;
        while at < frames {
            at += self.push(block, at, frames);
            if at < frames {
                if self.is_abandoned() {
                    break;
                }
                std::thread::sleep(NAP);
            }
        }
        at
    }

    fn push<S: AsRef<[f32]>>(&mut self, block: &[S], from: usize, to: usize) -> usize {
        let n = self.space().min(to - from);
        let Ok(chunk) = self.ring.write_chunk_uninit(n * self.channels) else { return 0 };
        // A channel that the block lacks is silent.
        let channels = self.channels;
        chunk.fill_from_iter(
            (from..from + n)
                .flat_map(|i| (0..channels).map(move |c| block.get(c).and_then(|s| s.as_ref().get(i)).copied().unwrap_or(0.0))),
        );
        n
    }
}

impl QueueReader {
    /// [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames that wait. [audio thread]
    #[must_use]
    pub fn available(&self) -> usize {
        self.ring.slots() / self.channels
    }

    /// Frames that found no space so far. [any thread]
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the last frame has been read and no writer is left. [audio thread]
    #[must_use]
    pub fn is_finished(&self) -> bool {
        // In this order: what was written before the writer left is seen.
        self.ring.is_abandoned() && self.available() == 0
    }

    /// Reads what waits, up to the slices' length; the rest of them is left as it is. Returns the frames read. [audio thread]
    pub fn read_available<S: AsMut<[f32]>>(&mut self, block: &mut [S]) -> usize {
        let frames = block.first_mut().map_or(0, |c| c.as_mut().len());
        self.pull(block, 0, frames)
    }

    /// Fills the slices, waiting for frames; less only if the writer leaves or the time is over. Returns the frames read. [never the
    /// audio thread]
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
                std::thread::sleep(NAP);
            }
        }
        at
    }

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
    fn frames_come_out_as_they_went_in_and_what_does_not_fit_is_counted() {
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
