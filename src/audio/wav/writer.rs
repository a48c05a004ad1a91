//! Writing WAV files.

use super::WavFormat;
use crate::audio::{Audio, I24, Sample, Shape, WavError};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the longest header that hound writes, and the pad byte after the samples.
const AROUND_DATA_BYTES: u64 = 68 + 1;
/// Bytes that are buffered before they are written to the file.
const BUFFER_BYTES: usize = 64 * 1024;

/// Counts of what a finished [`Writer`] has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteSummary {
    /// Frames written.
    pub frames: u64,
    /// Samples of an integer file that were limited to full scale: +1 and above, or below -1 by more than rounding. 0 in a float
    /// file.
    pub clipped: u64,
    /// NaNs, and in a float file also infinities, that were written as 0.
    pub replaced: u64,
}

/// A WAV file that is written block after block. [control thread or disk thread: does I/O]
///
/// The file grows under a hidden name beside its target, `.isotherm-PROCESS-NUMBER.part`. [`finish`](Self::finish) renames it to
/// the target in one step. If the writer is dropped before that, the part file is removed and the target is unchanged; only a
/// killed process leaves the part file behind.
#[derive(Debug)]
pub struct Writer {
    target: PathBuf,
    channels: usize,
    format: WavFormat,
    written: WriteSummary,
    /// None after `finish`.
    part: Option<PartFile>,
}

/// The unfinished file beside the target.
struct PartFile {
    path: PathBuf,
    hound: WavWriter<BufWriter<File>>,
}

impl std::fmt::Debug for PartFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartFile({})", self.path.display())
    }
}

impl Writer {
    /// Creates the part file of a file that will be at `path`: `sample_rate` in Hz, at most as many `channels` as fit
    /// into a frame of 65535 bytes. The folder must exist.
    ///
    /// # Errors
    /// [`WavError::Channels`], [`WavError::Rate`] (the header's byte rate has 32 bits), [`WavError::Io`].
    pub fn create(path: impl AsRef<Path>, sample_rate: u32, channels: usize, format: WavFormat) -> Result<Self, WavError> {
        let target = path.as_ref().to_path_buf();
        let max_channels = usize::from(u16::MAX) / format.bytes();
        let Some(count) = u16::try_from(channels).ok().filter(|_| (1..=max_channels).contains(&channels)) else {
            return Err(WavError::Channels { path: target, highest: max_channels, found: channels });
        };
        let frame_bytes = u32::from(count) * u32::from(format.bits() / 8);
        let highest = u32::MAX / frame_bytes;
        if !(1..=highest).contains(&sample_rate) {
            return Err(WavError::Rate { path: target, highest, found: sample_rate });
        }
        let spec = WavSpec {
            channels: count,
            sample_rate,
            bits_per_sample: format.bits(),
            sample_format: if format == WavFormat::Float32 { SampleFormat::Float } else { SampleFormat::Int },
        };
        let (part_path, file) = create_beside(&target)?;
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        match WavWriter::new(buffered, spec) {
            Ok(hound) => Ok(Self {
                target,
                channels,
                format,
                written: WriteSummary { frames: 0, clipped: 0, replaced: 0 },
                part: Some(PartFile { path: part_path, hound }),
            }),
            Err(error) => {
                let _ = fs::remove_file(part_path);
                Err(WavError::Io { path: target, action: "write", source: io_error(error) })
            }
        }
    }

    /// Frames written so far.
    pub fn frames(&self) -> u64 {
        self.written.frames
    }

    /// Appends `block`, a slice per channel, all of one length, in samples of any type.
    ///
    /// The samples are converted by the rule of [`Sample`]: rounded to the nearest code, halves to even, limited to full
    /// scale, NaN becomes 0. In a float file finite samples stay unchanged, and NaN and infinities become 0, so that
    /// the file can be read again. [`WriteSummary`] counts the limited and replaced samples.
    ///
    /// # Errors
    /// [`WavError::WrongShape`] and [`WavError::TooLong`], both before anything of the block is written;
    /// [`WavError::Io`], after which the file is damaged and should be dropped.
    pub fn write_block<S: Sample>(&mut self, block: &[&[S]]) -> Result<(), WavError> {
        let frames = block.first().map_or(0, |channel| channel.len());
        self.check(block, frames)?;
        let Some(part) = &mut self.part else {
            return Ok(());
        };
        let mut put = |value: f64| {
            if self.format == WavFormat::Float32 {
                let sample = f32::from_f64(value);
                self.written.replaced += u64::from(!sample.is_finite());
                return part.hound.write_sample(if sample.is_finite() { sample } else { 0.0 });
            }
            self.written.replaced += u64::from(value.is_nan());
            let (code, coded_value) = match self.format {
                WavFormat::Int16 => code_and_value(i16::from_f64(value), i32::from),
                WavFormat::Int24 => code_and_value(I24::from_f64(value), I24::inner),
                WavFormat::Int32 | WavFormat::Float32 => code_and_value(i32::from_f64(value), |code| code),
            };
            // Rounding moves a sample by half a step at most; a sample that moved farther was limited.
            let step = (1.0 - f64::from(self.format.bits())).exp2();
            self.written.clipped += u64::from((value - coded_value).abs() > 0.5 * step);
            part.hound.write_sample(code)
        };
        for frame in 0..frames {
            for channel in block {
                put(channel[frame].to_f64()).map_err(|error| WavError::Io {
                    path: self.target.clone(),
                    action: "write",
                    source: io_error(error),
                })?;
            }
        }
        self.written.frames += frames as u64;
        Ok(())
    }

    /// Checks that `block` has the file's channels, each of `frames` frames, and that the file can hold them.
    fn check<S>(&self, block: &[&[S]], frames: usize) -> Result<(), WavError> {
        let channel = block.iter().position(|channel| channel.len() != frames);
        if block.len() != self.channels || channel.is_some() {
            return Err(WavError::WrongShape {
                path: self.target.clone(),
                expected: Shape { channels: self.channels, frames },
                found: Shape { channels: block.len(), frames: channel.map_or(frames, |c| block[c].len()) },
                channel,
            });
        }
        let highest = (u64::from(u32::MAX) - AROUND_DATA_BYTES) / (self.channels * self.format.bytes()) as u64;
        let found = self.written.frames.saturating_add(frames as u64);
        if found > highest {
            return Err(WavError::TooLong { path: self.target.clone(), channels: self.channels, highest, found });
        }
        Ok(())
    }

    /// Completes the part file, flushes it to the disk and renames it to the target.
    ///
    /// # Errors
    /// [`WavError::NoFrames`] if nothing was written, [`WavError::Io`]. In both cases the target is unchanged.
    pub fn finish(mut self) -> Result<WriteSummary, WavError> {
        if self.written.frames == 0 {
            return Err(WavError::NoFrames { path: self.target.clone() });
        }
        if let Some(PartFile { path, hound }) = self.part.take() {
            let data_bytes = u64::from(hound.len()) * self.format.bytes() as u64;
            let renamed = hound
                .finalize()
                .map_err(io_error)
                .and_then(|()| complete(&path, data_bytes))
                .and_then(|()| fs::rename(&path, &self.target));
            if let Err(source) = renamed {
                let _ = fs::remove_file(&path);
                return Err(WavError::Io { path: self.target.clone(), action: "write", source });
            }
        }
        Ok(self.written)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(PartFile { path, hound }) = self.part.take() {
            drop(hound);
            let _ = fs::remove_file(path);
        }
    }
}

/// The code that hound writes for an integer sample, and the sample's value, where 1 is full scale.
fn code_and_value<T: Sample>(sample: T, code: impl Fn(T) -> i32) -> (i32, f64) {
    (code(sample), sample.to_f64())
}

/// Adds the pad byte after samples of an odd size, which RIFF requires and hound leaves out, and flushes the file to the disk.
fn complete(path: &Path, data_bytes: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if !data_bytes.is_multiple_of(2) {
        let end = file.seek(SeekFrom::End(0))?;
        file.write_all(&[0])?;
        file.seek(SeekFrom::Start(4))?;
        // The RIFF size does not count the first eight bytes, "RIFF" and the size; `Writer::check` keeps it within 32 bits.
        let riff_size = u32::try_from(end + 1 - 8).map_err(io::Error::other)?;
        file.write_all(&riff_size.to_le_bytes())?;
    }
    file.sync_all()
}

/// Creates a part file in the folder of `target`, so that a rename can put it in place; returns its path, too.
fn create_beside(target: &Path) -> Result<(PathBuf, File), WavError> {
    /// Number of the next part file of this process.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let failed = |source| WavError::Io { path: target.into(), action: "create", source };
    if target.file_name().is_none() || target.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "expected the name of a file, found a folder")));
    }
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = target.with_file_name(format!(".isotherm-{}-{number}.part", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            // Left by a killed process that had the same process number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The `io::Error` inside hound's error, or one with its text.
fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Writes `audio` to `path` in `format`, completely or not at all; see [`Writer`], which also counts clipped samples.
/// [control thread: does I/O]
///
/// # Errors
/// The errors of [`Writer::create`], [`Writer::write_block`] and [`Writer::finish`].
pub fn write<S: Sample>(path: impl AsRef<Path>, audio: &Audio<S>, format: WavFormat) -> Result<(), WavError> {
    let mut writer = Writer::create(path, audio.sample_rate(), audio.channels(), format)?;
    writer.write_block(&audio.slices())?;
    writer.finish().map(|_| ())
}
