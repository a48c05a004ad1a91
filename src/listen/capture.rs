//! The capture: the last 30 s of the input, from which a listener takes the loop of a test. It exists only while it is in use.

use crate::audio::Audio;
use crate::dsp::{Block, ProcessSpec};
use crate::graph::{RollingReader, RollingWriter, rolling_buffer};

/// Seconds of the input that are kept: the longest loop.
pub const CAPTURE_SECONDS: f64 = 30.0;
/// Seconds that are kept beyond that, because channels are read one after another while the sound goes on.
const SLACK_SECONDS: f64 = 1.0;

/// The audio thread's end of a capture.
pub struct CaptureWriter(RollingWriter);

/// The control thread's end of a capture.
#[derive(Debug)]
pub struct Capture {
    reader: RollingReader,
    sample_rate: f32,
    /// Most frames that [`Self::sound`] gives.
    frames: usize,
}

impl Capture {
    /// A capture of a stream, as wide as the stream. [control thread: allocates]
    ///
    /// # Panics
    /// If the stream has no channels.
    #[must_use]
    pub fn new(spec: ProcessSpec) -> (Self, CaptureWriter) {
        let of = |seconds: f64| ((seconds * f64::from(spec.sample_rate)).ceil() as usize).max(1);
        let (writer, reader) = rolling_buffer(spec.channels, of(CAPTURE_SECONDS + SLACK_SECONDS));
        (Self { reader, sample_rate: spec.sample_rate, frames: of(CAPTURE_SECONDS) }, CaptureWriter(writer))
    }

    /// Frames that are kept at present.
    fn kept_frames(&self) -> usize {
        self.reader.written().min(self.frames as u64) as usize
    }

    /// Seconds that are kept at present, up to [`CAPTURE_SECONDS`]. [any thread]
    #[must_use]
    pub fn seconds(&self) -> f32 {
        self.kept_frames() as f32 / self.sample_rate
    }

    /// Memory of the capture, in bytes. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        // The buffer is twice as long as what can be read of it.
        2 * self.reader.frames() * self.reader.channels() * size_of::<f32>()
    }

    /// The sound that is kept at present, all channels from one moment; None before the first frame. [any thread but the audio
    /// thread: allocates]
    #[must_use]
    pub fn sound(&self) -> Option<Audio> {
        let mut all = vec![0.0; self.reader.frames()];
        for _ in 0..100 {
            let frames = self.kept_frames();
            if frames == 0 {
                return None;
            }
            let mut first_end = None;
            let channels: Option<Vec<Vec<f32>>> = (0..self.reader.channels())
                .map(|channel| {
                    let end = self.reader.last(channel, &mut all);
                    // Frames that came since the first channel was read are left out of the later ones.
                    let late = (end - *first_end.get_or_insert(end)) as usize;
                    let stop = all.len().checked_sub(late)?;
                    Some(all[stop.checked_sub(frames)?..stop].to_vec())
                })
                .collect();
            // A thread that was held up between two channels reads again.
            if let Some(channels) = channels {
                let channels: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
                return Audio::from_channels(self.sample_rate.round() as u32, &channels).ok();
            }
        }
        None
    }
}

impl CaptureWriter {
    /// Keeps a block. [audio thread]
    pub fn write(&mut self, block: &Block<'_>) {
        self.0.write(block);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    const SPEC: ProcessSpec = ProcessSpec::new(8000.0, 2, 64);

    fn write(writer: &mut CaptureWriter, from: usize, frames: usize) {
        let mut left: Vec<f32> = (from..from + frames).map(|n| n as f32).collect();
        let mut right: Vec<f32> = left.iter().map(|x| -x).collect();
        writer.write(&[&mut left[..], &mut right[..]]);
    }

    #[test]
    fn a_capture_keeps_the_last_30_seconds_of_all_channels_and_tells_its_memory() {
        let (capture, mut writer) = Capture::new(SPEC);
        assert!(capture.sound().is_none() && capture.seconds() == 0.0);
        write(&mut writer, 0, 4000);
        let sound = capture.sound().unwrap();
        assert_eq!((sound.frames(), sound.channels(), sound.sample_rate(), capture.seconds()), (4000, 2, 8000, 0.5));
        assert_eq!((sound.channel(0)[0], sound.channel(1)[3999]), (0.0, -3999.0));
        (1..100).for_each(|n| write(&mut writer, 4000 * n, 4000));
        let sound = capture.sound().unwrap();
        assert_eq!((sound.frames(), capture.seconds()), (240_000, 30.0));
        assert_eq!((sound.channel(0)[0], sound.channel(0)[239_999], sound.channel(1)[0]), (160_000.0, 399_999.0, -160_000.0));
        assert_eq!(capture.bytes(), 2 * 31 * 8000 * 2 * 4);
    }

    #[test]
    fn the_channels_of_a_capture_are_from_one_moment_while_sound_comes() {
        let (capture, mut writer) = Capture::new(SPEC);
        let enough = Arc::new(AtomicBool::new(false));
        let stop = enough.clone();
        let thread = std::thread::spawn(move || {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                write(&mut writer, 64 * n, 64);
                // The fastest device there is leaves a reader the time of many blocks.
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        let mut compared = 0;
        while compared < 200 {
            let Some(sound) = capture.sound() else { continue };
            assert!(sound.channel(0).iter().zip(sound.channel(1)).all(|(left, right)| *left == -right));
            compared += 1;
        }
        enough.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }
}
