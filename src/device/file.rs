//! A WAV file in place of a device: looped, at the pace of the clock.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use super::chair::Chair;
use super::{DeviceError, Granted, Host, Input, MAX_CHANNELS, PERIOD_FRAMES, SampleFormat, Status, Wish};
use crate::audio::{Format, NonFinite, Sample, wav};
use crate::record::pcm::Words;

pub(super) struct Device {
    reader: wav::Reader,
    granted: Granted,
}

impl Device {
    pub fn open(wish: &Wish) -> Result<(Granted, Self), DeviceError> {
        let reader = read(&wish.device)?;
        if reader.channels() > MAX_CHANNELS {
            let found = format_args!("{} channels; expected 1 to {MAX_CHANNELS}", reader.channels());
            return Err(DeviceError::failed(&wish.device, found));
        }
        let format = match reader.format() {
            Format::Float32 => SampleFormat::Float,
            Format::Int16 => SampleFormat::S16,
            Format::Int24 => SampleFormat::S24Packed,
            Format::Int32 => SampleFormat::S32,
        };
        let period_frames = wish.period_frames.unwrap_or(PERIOD_FRAMES).clamp(1, 1 << 16);
        let granted = Granted {
            host: Host::File,
            device: wish.device.clone(),
            sample_rate: reader.sample_rate(),
            format,
            channels: reader.channels(),
            period_frames,
            buffer_frames: period_frames,
            outputs: wish.outputs.len(),
        };
        Ok((granted.clone(), Self { reader, granted }))
    }

    /// [device thread]
    pub fn run(self, status: &Status, chair: &Chair) {
        if self.granted.format.words() == Words::Float {
            self.feed::<f32>(status, chair, |channels| Input::Floats(channels));
        } else {
            self.feed::<i32>(status, chair, |channels| Input::Integers(channels));
        }
    }

    fn feed<S: Sample>(mut self, status: &Status, chair: &Chair, input: impl for<'a> Fn(&'a [&'a [S]]) -> Input<'a>) {
        let Granted { sample_rate, channels, period_frames, outputs, .. } = self.granted;
        let mut planar = vec![vec![S::ZERO; period_frames]; channels];
        let mut silence = vec![vec![0.0f32; period_frames]; outputs];
        let (begun, mut frames) = (Instant::now(), 0u64);
        while !status.stop.load(Ordering::Acquire) {
            if let Err(error) = self.fill(&mut planar) {
                return status.end(error);
            }
            frames += period_frames as u64;
            // A block is there when its last frame is.
            let due = begun + Duration::from_secs_f64(frames as f64 / f64::from(sample_rate));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let views: ArrayVec<&[S], MAX_CHANNELS> = planar.iter().map(Vec::as_slice).collect();
            silence.iter_mut().for_each(|channel| channel.fill(0.0));
            let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> = silence.iter_mut().map(Vec::as_mut_slice).collect();
            status.called(period_frames);
            status.run(chair, 0, input(&views), &mut output);
        }
    }

    /// The next period; behind the end follows the beginning.
    fn fill<S: Sample>(&mut self, planar: &mut [Vec<S>]) -> Result<(), DeviceError> {
        let wanted = self.granted.period_frames;
        let (mut filled, mut empty) = (0, false);
        while filled < wanted {
            let mut views: ArrayVec<&mut [S], MAX_CHANNELS> = planar.iter_mut().map(|channel| &mut channel[filled..]).collect();
            let n = self.reader.read_block(&mut views).map_err(|e| DeviceError::failed(&self.granted.device, e))?;
            if n == 0 {
                if empty {
                    return Err(DeviceError::failed(&self.granted.device, "no frames in it"));
                }
                self.reader.seek(0).map_err(|e| DeviceError::failed(&self.granted.device, e))?;
            }
            empty = n == 0;
            filled += n;
        }
        Ok(())
    }
}

fn read(device: &str) -> Result<wav::Reader, DeviceError> {
    let reader = wav::Reader::open(Path::new(device)).map_err(|e| {
        // The reader's message names the file, too.
        let text = e.to_string();
        DeviceError::failed(device, text.strip_prefix(&format!("{device}: ")).unwrap_or(&text))
    })?;
    Ok(reader.with_non_finite(NonFinite::Keep))
}
