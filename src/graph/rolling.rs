//! A rolling buffer: the last frames of a stream, for analysers and scopes on another thread. Lock-free.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Makes a buffer of the last `frames` frames of `channels` channels. [control thread: allocates]
///
/// # Panics
/// If `channels` or `frames` is 0.
#[must_use]
pub fn rolling_buffer(channels: usize, frames: usize) -> (RollingWriter, RollingReader) {
    assert!(channels > 0 && frames > 0, "a buffer of {frames} frames of {channels} channels; expected 1 or more of both");
    // Twice as long as needed, so that a reader has the time of `frames` frames before the frames it reads are overwritten.
    let shared = Arc::new(RollingBuffer {
        samples: (0..channels * frames * 2).map(|_| AtomicU32::new(0)).collect(),
        channels,
        frames,
        begun: AtomicU64::new(0),
        written: AtomicU64::new(0),
    });
    (RollingWriter { shared: shared.clone() }, RollingReader { shared })
}

/// The memory that both ends share: a circular buffer.
#[derive(Debug)]
struct RollingBuffer {
    /// Channel after channel, each `2 * frames` long; the bits of f32.
    samples: Vec<AtomicU32>,
    channels: usize,
    frames: usize,
    /// Frames whose writing has begun; at or ahead of `written`. A reader detects by it that a frame may have been overwritten.
    begun: AtomicU64,
    /// Frames completely written so far.
    written: AtomicU64,
}

/// The writing end of a [`rolling_buffer`].
#[derive(Debug)]
pub struct RollingWriter {
    shared: Arc<RollingBuffer>,
}

/// The reading end of a [`rolling_buffer`]; can be cloned any number of times.
#[derive(Clone, Debug)]
pub struct RollingReader {
    shared: Arc<RollingBuffer>,
}

impl RollingWriter {
    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shared.channels
    }

    /// Appends a block, a slice per channel. [audio thread]
    pub fn write<S: AsRef<[f32]>>(&mut self, block: &[S]) {
        let s = &*self.shared;
        let n = block.first().map_or(0, |c| c.as_ref().len());
        let start = s.written.load(Ordering::Relaxed);
        s.begun.store(start + n as u64, Ordering::Relaxed);
        fence(Ordering::Release);
        let length = 2 * s.frames;
        for (c, samples) in block.iter().enumerate().take(s.channels) {
            let ring = &s.samples[c * length..(c + 1) * length];
            let mut at = (start % length as u64) as usize;
            for x in samples.as_ref() {
                ring[at].store(x.to_bits(), Ordering::Relaxed);
                at = if at + 1 == length { 0 } else { at + 1 };
            }
        }
        s.written.store(start + n as u64, Ordering::Release);
    }
}

impl RollingReader {
    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shared.channels
    }

    /// Largest number of frames that [`Self::last`] gives. [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.shared.frames
    }

    /// Number of frames written so far. [any thread]
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Copies the last frames of one channel to `out`, the newest last, with zeros for frames before the first. Returns the
    /// number of frames written up to the newest one. Reads again if frames were overwritten meanwhile, so all are from one
    /// moment. [any thread but the audio thread: may read repeatedly]
    ///
    /// # Panics
    /// If there is no such channel, or `out` is longer than [`Self::frames`].
    pub fn last(&self, channel: usize, out: &mut [f32]) -> u64 {
        let s = &*self.shared;
        assert!(channel < s.channels, "channel {channel} of {}", s.channels);
        assert!(out.len() <= s.frames, "{} frames asked of a buffer of {}", out.len(), s.frames);
        let length = 2 * s.frames as u64;
        let ring = &s.samples[channel * 2 * s.frames..(channel + 1) * 2 * s.frames];
        loop {
            let end = self.written();
            let n = out.len() as u64;
            for (i, y) in (0..n).zip(out.iter_mut()) {
                *y = match (end + i).checked_sub(n) {
                    Some(frame) => f32::from_bits(ring[(frame % length) as usize].load(Ordering::Relaxed)),
                    None => 0.0,
                };
            }
            fence(Ordering::Acquire);
            let begun = s.begun.load(Ordering::Relaxed);
            if begun <= end.saturating_sub(n) + length {
                return end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_holds_the_last_frames() {
        let (mut writer, reader) = rolling_buffer(2, 5);
        let mut out = [7.0; 5];
        assert_eq!(reader.last(1, &mut out), 0);
        assert_eq!(out, [0.0; 5]);
        for block in [1.0f32, 4.0, 7.0, 10.0].map(|x| [x, x + 1.0, x + 2.0]) {
            writer.write(&[block.map(|x| -x), block]);
        }
        assert_eq!(reader.last(1, &mut out), 12);
        assert_eq!(out, [8.0, 9.0, 10.0, 11.0, 12.0]);
        assert_eq!(reader.last(0, &mut out[..2]), 12);
        assert_eq!(out[..2], [-11.0, -12.0]);
    }

    #[test]
    fn a_reader_beside_a_writer_sees_only_consecutive_frames() {
        let (mut writer, reader) = rolling_buffer(1, 512);
        let thread = std::thread::spawn(move || {
            let mut next = 1.0f32;
            for _ in 0..20_000 {
                let block: [f32; 64] = std::array::from_fn(|i| next + i as f32);
                next += 64.0;
                writer.write(&[block]);
            }
        });
        let mut out = [0.0; 512];
        while !thread.is_finished() {
            reader.last(0, &mut out);
            assert!(out.windows(2).all(|w| w[1] == w[0] + 1.0 || (w[0] == 0.0 && w[1] <= 1.0)), "{out:?}");
        }
        thread.join().unwrap();
    }
}
