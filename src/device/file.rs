//! The host [`Host::File`]: a WAV file in place of a device, read in a loop in real time.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use super::client_slot::ClientSlot;
use super::{DeviceError, GrantedConfig, Host, InputBlock, MAX_CHANNELS, OpenRequest, PERIOD_FRAMES, SampleFormat, StreamStatus};
use crate::audio::{NonFinitePolicy, Sample, WavFormat, wav};
use crate::record::pcm::WordFormat;

/// An open file.
pub(super) struct Device {
    reader: wav::Reader,
    granted: GrantedConfig,
}

impl Device {
    /// Opens the file that the request names. [control thread]
    ///
    /// # Errors
    /// If the file cannot be read as WAV or has more than [`MAX_CHANNELS`] channels.
    pub fn open(request: &OpenRequest) -> Result<(GrantedConfig, Self), DeviceError> {
        let reader = open_reader(&request.device)?;
        if reader.channels() > MAX_CHANNELS {
            let found = format_args!("{} channels; expected 1 to {MAX_CHANNELS}", reader.channels());
            return Err(DeviceError::failed(&request.device, found));
        }
        let format = match reader.format() {
            WavFormat::Float32 => SampleFormat::Float,
            WavFormat::Int16 => SampleFormat::S16,
            WavFormat::Int24 => SampleFormat::S24Packed,
            WavFormat::Int32 => SampleFormat::S32,
        };
        let period_frames = request.period_frames.unwrap_or(PERIOD_FRAMES).clamp(1, 1 << 16);
        let granted = GrantedConfig {
            host: Host::File,
            device: request.device.clone(),
            sample_rate: reader.sample_rate(),
            format,
            channels: reader.channels(),
            period_frames,
            buffer_frames: period_frames,
            outputs: request.outputs.len(),
        };
        Ok((granted.clone(), Self { reader, granted }))
    }

    /// Calls the client with block after block until the stream is told to stop, or the file cannot be read. [device thread]
    pub fn run(self, status: &StreamStatus, client_slot: &ClientSlot) {
        if self.granted.format.word_format() == WordFormat::Float {
            self.call_blocks::<f32>(status, client_slot, |channels| InputBlock::Floats(channels));
        } else {
            self.call_blocks::<i32>(status, client_slot, |channels| InputBlock::Integers(channels));
        }
    }

    /// Calls the client with blocks of one sample type; see [`Self::run`]. [device thread]
    fn call_blocks<S: Sample>(
        mut self,
        status: &StreamStatus,
        client_slot: &ClientSlot,
        input: impl for<'a> Fn(&'a [&'a [S]]) -> InputBlock<'a>,
    ) {
        let GrantedConfig { sample_rate, channels, period_frames, outputs, .. } = self.granted;
        let mut planar = vec![vec![S::ZERO; period_frames]; channels];
        let mut silence = vec![vec![0.0f32; period_frames]; outputs];
        let (begun, mut frames) = (Instant::now(), 0u64);
        while !status.stop.load(Ordering::Acquire) {
            if let Err(error) = self.fill(&mut planar) {
                return status.end(error);
            }
            frames += period_frames as u64;
            // A block arrives at the time of its last frame.
            let due = begun + Duration::from_secs_f64(frames as f64 / f64::from(sample_rate));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let views: ArrayVec<&[S], MAX_CHANNELS> = planar.iter().map(Vec::as_slice).collect();
            silence.iter_mut().for_each(|channel| channel.fill(0.0));
            let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> = silence.iter_mut().map(Vec::as_mut_slice).collect();
            status.count_block(period_frames);
            status.call_client(client_slot, 0, input(&views), &mut output);
        }
    }

    /// Reads the next period into `planar`. The file's last frame is followed by its first one.
    ///
    /// # Errors
    /// If the file cannot be read, or has no frames.
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

/// Opens a WAV file whose samples are passed on unchanged, NaN and infinities included.
fn open_reader(device: &str) -> Result<wav::Reader, DeviceError> {
    let reader = wav::Reader::open(Path::new(device)).map_err(|e| {
        // The reader's message names the file, which the error names itself.
        let text = e.to_string();
        DeviceError::failed(device, text.strip_prefix(&format!("{device}: ")).unwrap_or(&text))
    })?;
    Ok(reader.with_non_finite(NonFinitePolicy::Keep))
}
