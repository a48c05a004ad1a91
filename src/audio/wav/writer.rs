//! Writing WAV files.

use super::WavFormat;
use super::header::{EXTENSIBLE, GUID_TAIL, IEEE_FLOAT, PCM, UNKNOWN_SIZE};
use crate::audio::{Audio, I24, Sample, Shape, WavError};
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the longest header that hound writes, and the pad byte after the samples.
const AROUND_DATA_BYTES: u64 = 68 + 1;
/// Bytes that are buffered before they are written.
const BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of the body of a `ds64` chunk without a table: three sizes of 8 bytes, and the length of the table (EBU Tech 3306).
const DS64_BYTES: usize = 28;
/// Position in a file of the body of `JUNK`, which becomes `ds64` if the file is longer than 4 GiB.
const DS64_POSITION: u64 = 20;
/// Loudspeaker positions that a channel mask has bits for (`SPEAKER_FRONT_LEFT` and those that follow, in Microsoft's ksmedia.h).
const MASK_BITS: u16 = 18;

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

/// A WAV file or stream that is written block after block. [control thread or disk thread: does I/O]
///
/// A file grows under a hidden name beside its target, `.isotherm-PROCESS-NUMBER.part`. [`finish`](Self::finish) renames it to
/// the target in one step. If the writer is dropped before that, the part file is removed and the target is unchanged; only a
/// killed process leaves the part file behind.
#[derive(Debug)]
pub struct Writer {
    target: PathBuf,
    channels: usize,
    format: WavFormat,
    written: WriteSummary,
    /// None after `finish`.
    output: Option<Output>,
}

/// The place that the bytes are written to.
enum Output {
    /// A file of at most 4 GiB.
    Plain(PlainFile),
    /// A file that may get longer.
    Long(LongFile),
    /// A stream, whose header does not have the sizes.
    Stream(Box<dyn Write + Send>),
}

/// An unfinished file beside the target, which hound writes.
struct PlainFile {
    path: PathBuf,
    hound: WavWriter<BufWriter<File>>,
}

/// An unfinished file beside the target, whose header has room for 64-bit sizes, which hound does not know.
struct LongFile {
    path: PathBuf,
    file: BufWriter<File>,
    header_bytes: u64,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(part) => write!(f, "Plain({})", part.path.display()),
            Self::Long(part) => write!(f, "Long({})", part.path.display()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Output {
    /// Writes the code of an integer sample of `bytes` bytes.
    fn write_code(&mut self, code: i32, bytes: usize) -> io::Result<()> {
        match self {
            Self::Plain(part) => part.hound.write_sample(code).map_err(io_error),
            Self::Long(part) => part.file.write_all(&code.to_le_bytes()[..bytes]),
            Self::Stream(stream) => stream.write_all(&code.to_le_bytes()[..bytes]),
        }
    }

    fn write_float(&mut self, sample: f32) -> io::Result<()> {
        match self {
            Self::Plain(part) => part.hound.write_sample(sample).map_err(io_error),
            Self::Long(part) => part.file.write_all(&sample.to_le_bytes()),
            Self::Stream(stream) => stream.write_all(&sample.to_le_bytes()),
        }
    }
}

impl Writer {
    /// Creates the part file of a file that will be at `path`: `sample_rate` in Hz, at most as many `channels` as fit
    /// into a frame of 65535 bytes. The folder must exist. The file can have at most 4 GiB.
    ///
    /// # Errors
    /// [`WavError::Channels`], [`WavError::Rate`] (the header's byte rate has 32 bits), [`WavError::Io`].
    pub fn create(path: impl AsRef<Path>, sample_rate: u32, channels: usize, format: WavFormat) -> Result<Self, WavError> {
        let target = path.as_ref();
        let spec = WavSpec {
            channels: checked_channels(target, sample_rate, channels, format)?,
            sample_rate,
            bits_per_sample: format.bits(),
            sample_format: if format == WavFormat::Float32 { SampleFormat::Float } else { SampleFormat::Int },
        };
        let (path, file) = create_beside(target)?;
        match WavWriter::new(BufWriter::with_capacity(BUFFER_BYTES, file), spec) {
            Ok(hound) => Ok(Self::new(target, channels, format, Output::Plain(PlainFile { path, hound }))),
            Err(error) => {
                let _ = fs::remove_file(path);
                Err(WavError::io("write", target, io_error(error)))
            }
        }
    }

    /// Creates the part file of a file that may get longer than 4 GiB, which is RF64 then. Its header has 36 bytes of room for
    /// that; otherwise like [`create`](Self::create).
    ///
    /// # Errors
    /// The errors of [`create`](Self::create).
    pub fn create_long(path: impl AsRef<Path>, sample_rate: u32, channels: usize, format: WavFormat) -> Result<Self, WavError> {
        let target = path.as_ref();
        let header = header(target, sample_rate, channels, format, true)?;
        let (path, file) = create_beside(target)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        if let Err(source) = file.write_all(&header) {
            let _ = fs::remove_file(path);
            return Err(WavError::io("write", target, source));
        }
        let part = LongFile { path, file, header_bytes: header.len() as u64 };
        Ok(Self::new(target, channels, format, Output::Long(part)))
    }

    /// Starts a WAV stream of unknown length, such as standard output: the sizes in its header are FFFFFFFF. `name` stands for
    /// its path in messages.
    ///
    /// # Errors
    /// The errors of [`create`](Self::create).
    pub fn stream(
        output: impl Write + Send + 'static,
        name: impl AsRef<Path>,
        sample_rate: u32,
        channels: usize,
        format: WavFormat,
    ) -> Result<Self, WavError> {
        let target = name.as_ref();
        let mut header = header(target, sample_rate, channels, format, false)?;
        let data_size_at = header.len() - 4;
        header[4..8].copy_from_slice(&UNKNOWN_SIZE.to_le_bytes());
        header[data_size_at..].copy_from_slice(&UNKNOWN_SIZE.to_le_bytes());
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, output);
        output.write_all(&header).map_err(|source| WavError::io("write", target, source))?;
        Ok(Self::new(target, channels, format, Output::Stream(Box::new(output))))
    }

    fn new(target: &Path, channels: usize, format: WavFormat, output: Output) -> Self {
        let written = WriteSummary { frames: 0, clipped: 0, replaced: 0 };
        Self { target: target.into(), channels, format, written, output: Some(output) }
    }

    /// The file's path, or the stream's name.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Number of channels; at least 1.
    pub fn channels(&self) -> usize {
        self.channels
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
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        let mut put = |value: f64| {
            if self.format == WavFormat::Float32 {
                let sample = f32::from_f64(value);
                self.written.replaced += u64::from(!sample.is_finite());
                return output.write_float(if sample.is_finite() { sample } else { 0.0 });
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
            output.write_code(code, self.format.bytes())
        };
        for frame in 0..frames {
            for channel in block {
                put(channel[frame].to_f64()).map_err(|source| WavError::io("write", &self.target, source))?;
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
        if matches!(self.output, Some(Output::Plain(_))) && found > highest {
            return Err(WavError::TooLong { path: self.target.clone(), channels: self.channels, highest, found });
        }
        Ok(())
    }

    /// Completes the part file, flushes it to the disk and renames it to the target; of a stream, writes what is buffered.
    ///
    /// # Errors
    /// [`WavError::NoFrames`] if nothing was written, [`WavError::Io`]. In both cases the target is unchanged.
    pub fn finish(mut self) -> Result<WriteSummary, WavError> {
        if self.written.frames == 0 {
            return Err(WavError::NoFrames { path: self.target.clone() });
        }
        let data_bytes = self.written.frames * (self.channels * self.format.bytes()) as u64;
        let finished = match self.output.take() {
            Some(Output::Plain(PlainFile { path, hound })) => {
                self.rename(&path, hound.finalize().map_err(io_error).and_then(|()| complete(&path, data_bytes)))
            }
            Some(Output::Long(LongFile { path, file, header_bytes })) => {
                self.rename(&path, complete_long(file, header_bytes, data_bytes, self.written.frames))
            }
            Some(Output::Stream(mut stream)) => stream.flush(),
            None => Ok(()),
        };
        finished.map_err(|source| WavError::io("write", &self.target, source))?;
        Ok(self.written)
    }

    /// Gives a part file that was completed its name, or else removes it.
    fn rename(&self, part: &Path, completed: io::Result<()>) -> io::Result<()> {
        let renamed = completed.and_then(|()| fs::rename(part, &self.target));
        if renamed.is_err() {
            let _ = fs::remove_file(part);
        }
        renamed
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let path = match self.output.take() {
            Some(Output::Plain(PlainFile { path, hound })) => {
                drop(hound);
                path
            }
            Some(Output::Long(LongFile { path, file, .. })) => {
                // Without writing what is buffered.
                drop(file.into_parts());
                path
            }
            Some(Output::Stream(_)) | None => return,
        };
        let _ = fs::remove_file(path);
    }
}

/// The code that is written for an integer sample, and the sample's value, where 1 is full scale.
fn code_and_value<T: Sample>(sample: T, code: impl Fn(T) -> i32) -> (i32, f64) {
    (code(sample), sample.to_f64())
}

/// All bytes before the samples of a long file or a stream; the sizes of the file and of the samples are 0. `has_room` adds a chunk that can become `ds64`.
fn header(target: &Path, sample_rate: u32, channels: usize, format: WavFormat, has_room: bool) -> Result<Vec<u8>, WavError> {
    let count = checked_channels(target, sample_rate, channels, format)?;
    let mut header = b"RIFF\0\0\0\0WAVE".to_vec();
    if has_room {
        push_chunk(&mut header, b"JUNK", &[0; DS64_BYTES]);
    }
    let tag = if format == WavFormat::Float32 { IEEE_FLOAT } else { PCM };
    let is_plain = format == WavFormat::Int16 && count <= 2;
    push_chunk(&mut header, b"fmt ", &fmt_body(tag, format.bits(), count, sample_rate, !is_plain));
    header.extend(b"data\0\0\0\0");
    Ok(header)
}

/// All bytes before the samples of a file of `frames` frames, for a writer that has neither a file nor all samples at once. The
/// samples follow interleaved and little-endian, and after an odd number of bytes a pad byte, 0. [control thread: allocates]
///
/// # Errors
/// [`WavError::Channels`], [`WavError::Rate`]; [`WavError::Io`] if the file would be larger than 4 GiB.
pub fn file_header(sample_rate: u32, channels: usize, format: WavFormat, frames: usize) -> Result<Vec<u8>, WavError> {
    let name = Path::new("a sound in memory");
    let mut header = header(name, sample_rate, channels, format, false)?;
    let data_bytes = frames.saturating_mul(channels * format.bytes());
    let file_bytes = data_bytes.saturating_add(data_bytes % 2).saturating_add(header.len() - 8);
    let (Ok(file_size), Ok(data_size)) = (u32::try_from(file_bytes), u32::try_from(data_bytes)) else {
        return Err(WavError::io("write", name, io::ErrorKind::FileTooLarge.into()));
    };
    let data_size_at = header.len() - 4;
    header[4..8].copy_from_slice(&file_size.to_le_bytes());
    header[data_size_at..].copy_from_slice(&data_size.to_le_bytes());
    Ok(header)
}

/// The number of channels as a header has it, if a header can hold it and the sample rate.
fn checked_channels(target: &Path, sample_rate: u32, channels: usize, format: WavFormat) -> Result<u16, WavError> {
    let max_channels = usize::from(u16::MAX) / format.bytes();
    let Some(count) = u16::try_from(channels).ok().filter(|_| (1..=max_channels).contains(&channels)) else {
        return Err(WavError::Channels { path: target.into(), highest: max_channels, found: channels });
    };
    let highest = u32::MAX / (u32::from(count) * u32::from(format.bits() / 8));
    if !(1..=highest).contains(&sample_rate) {
        return Err(WavError::Rate { path: target.into(), highest, found: sample_rate });
    }
    Ok(count)
}

/// The body of a `fmt ` chunk of samples that fill their bytes, plain or in the extensible form.
pub(super) fn fmt_body(tag: u16, bits: u16, channels: u16, sample_rate: u32, is_extensible: bool) -> Vec<u8> {
    let frame_bytes = channels.wrapping_mul(bits / 8);
    let mut body = Vec::new();
    body.extend(if is_extensible { EXTENSIBLE } else { tag }.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(sample_rate.to_le_bytes());
    body.extend(sample_rate.wrapping_mul(frame_bytes.into()).to_le_bytes());
    body.extend(frame_bytes.to_le_bytes());
    body.extend(bits.to_le_bytes());
    if is_extensible {
        body.extend(22_u16.to_le_bytes());
        body.extend(bits.to_le_bytes());
        body.extend(((1_u32 << channels.min(MASK_BITS)) - 1).to_le_bytes());
        body.extend(tag.to_le_bytes());
        body.extend(GUID_TAIL);
    }
    body
}

/// Appends a chunk, padded to an even number of bytes.
pub(super) fn push_chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    file.extend(name);
    file.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend(body);
    file.resize(file.len() + body.len() % 2, 0);
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

/// The `io::Error` inside hound's error, or one with its text.
fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Adds the pad byte after samples of an odd size and writes the sizes into the header of a file that ends with its samples.
fn complete_long(file: BufWriter<File>, header_bytes: u64, data_bytes: u64, frames: u64) -> io::Result<()> {
    let mut file = file.into_inner()?;
    file.write_all(if data_bytes.is_multiple_of(2) { &[] } else { &[0] })?;
    write_sizes(&mut file, header_bytes, data_bytes, frames)
}

/// Writes the sizes into the header of a complete file, and flushes it to the disk. A file longer than 4 GiB, whose first chunk
/// is the room for them, becomes RF64.
pub(super) fn write_sizes(file: &mut File, header_bytes: u64, data_bytes: u64, frames: u64) -> io::Result<()> {
    // The RIFF size does not count the first eight bytes, "RIFF" and the size.
    let riff_bytes = file.seek(SeekFrom::End(0))? - 8;
    let mut patch = |at: u64, bytes: &[u8]| file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes));
    if let (Ok(riff_size), Ok(data_size)) = (u32::try_from(riff_bytes), u32::try_from(data_bytes)) {
        patch(4, &riff_size.to_le_bytes())?;
        patch(header_bytes - 4, &data_size.to_le_bytes())?;
    } else {
        let ds64 = [riff_bytes, data_bytes, frames].map(u64::to_le_bytes).concat();
        patch(DS64_POSITION, &ds64)?;
        patch(DS64_POSITION - 8, b"ds64")?;
        patch(header_bytes - 4, &UNKNOWN_SIZE.to_le_bytes())?;
        patch(0, b"RF64")?;
        patch(4, &UNKNOWN_SIZE.to_le_bytes())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::Reader;

    #[test]
    fn sizes_beyond_4_gib_make_a_file_rf64() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        // 16-bit mono: one frame below and one frame above the largest RIFF size, which has 32 bits and does not count 8 bytes.
        let header = header(&path, 48_000, 1, WavFormat::Int16, true).unwrap();
        let header_bytes = header.len() as u64;
        for (file_bytes, name) in [((1 << 32) + 6, b"RIFF"), ((1 << 32) + 8, b"RF64")] {
            let mut file = File::create(&path).unwrap();
            file.write_all(&header).unwrap();
            // The samples are a hole.
            file.set_len(file_bytes).unwrap();
            let data_bytes = file_bytes - header_bytes;
            write_sizes(&mut file, header_bytes, data_bytes, data_bytes / 2).unwrap();
            let reader = Reader::open(&path).unwrap();
            assert_eq!((reader.frames(), reader.notes().len()), (data_bytes / 2, 0));
            let mut found = [0; 4];
            io::Read::read_exact(&mut File::open(&path).unwrap(), &mut found).unwrap();
            assert_eq!(&found, name);
        }
    }
}
