//! Reading WAV files.

use super::header::{self, Header, Input};
use super::{Encoding, WavFormat, g711};
use crate::audio::{Audio, I24, Sample, Shape, WavError};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes decoded at a time, or one frame if that is larger.
const CHUNK_BYTES: usize = 64 * 1024;

/// The treatment of NaN and infinities in a float file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NonFinitePolicy {
    /// Reading fails with [`WavError::NotFinite`], which names channel and frame.
    #[default]
    Refuse,
    /// The sample becomes 0.
    Silence,
    /// The sample is not changed. (An integer block gets 0 for NaN and full scale for an infinity.)
    Keep,
}

/// A WAV file that is read block after block. [control thread or disk thread: does I/O]
#[derive(Debug)]
pub struct Reader {
    input: Input,
    path: PathBuf,
    header: Header,
    non_finite: NonFinitePolicy,
    /// The next frame to read.
    position: u64,
    /// Buffer for whole frames as they are in the file.
    bytes: Vec<u8>,
}

impl Reader {
    /// Opens `path` and reads its header.
    ///
    /// # Errors
    /// [`WavError::Io`], [`WavError::NotWav`], [`WavError::Header`], [`WavError::Unsupported`],
    /// [`WavError::Channels`], [`WavError::Rate`], [`WavError::NoFrames`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WavError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| WavError::Io { path: path.into(), action: "open", source })?;
        Self::new(Input::File(BufReader::with_capacity(CHUNK_BYTES, file)), path)
    }

    /// Reads the header of a stream, such as standard input, that need not be able to seek; `name` stands for its path. Where the
    /// header does not have the length, [`frames`](Self::frames) is `u64::MAX`, and the sound ends with the stream.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open).
    pub fn stream(stream: impl Read + Send + 'static, name: impl AsRef<Path>) -> Result<Self, WavError> {
        Self::new(Input::Stream(Box::new(stream)), name.as_ref())
    }

    fn new(mut input: Input, path: &Path) -> Result<Self, WavError> {
        let header = header::parse(&mut input, path)?;
        let frame_bytes = header.channels * header.encoding.bytes();
        let bytes = vec![0; (CHUNK_BYTES / frame_bytes).max(1) * frame_bytes];
        Ok(Self { input, path: path.into(), header, non_finite: NonFinitePolicy::default(), position: 0, bytes })
    }

    /// Returns the reader with another treatment of NaN and infinities; the default is [`NonFinitePolicy::Refuse`].
    pub fn with_non_finite(self, non_finite: NonFinitePolicy) -> Self {
        Self { non_finite, ..self }
    }

    /// The file's path, as given to [`open`](Self::open).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sample rate in Hz; at least 1.
    pub fn sample_rate(&self) -> u32 {
        self.header.sample_rate
    }

    /// Number of channels; at least 1.
    pub fn channels(&self) -> usize {
        self.header.channels
    }

    /// Number of frames of the whole file; at least 1. `u64::MAX` for a stream whose length is not known.
    pub fn frames(&self) -> u64 {
        self.header.frames
    }

    /// The coding of the samples in the file.
    pub fn encoding(&self) -> Encoding {
        self.header.encoding
    }

    /// The sample format of the file, or the narrowest one that holds its samples ([`Encoding::format`]).
    pub fn format(&self) -> WavFormat {
        self.header.encoding.format()
    }

    /// What is odd about the file, a sentence each without the path: sizes that are wrong, missing frames. Empty for most files.
    pub fn notes(&self) -> &[String] {
        &self.header.notes
    }

    /// The next frame to be read, counted from 0.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// True if the size of the samples was never filled in, as after a crash, so that they reach to the end of the file.
    pub fn unfinished(&self) -> bool {
        self.header.unfinished
    }

    /// Makes `frame` the next one to be read; [`frames`](Self::frames) is the end of the file.
    ///
    /// # Errors
    /// [`WavError::NoSuchFrame`] if `frame` is after the end, [`WavError::Io`], also for every stream.
    pub fn seek(&mut self, frame: u64) -> Result<(), WavError> {
        if frame > self.header.frames {
            return Err(WavError::NoSuchFrame { path: self.path.clone(), frame, frames: self.header.frames });
        }
        let byte = self.header.data_start + frame * (self.header.channels * self.header.encoding.bytes()) as u64;
        let Input::File(file) = &mut self.input else {
            return Err(self.io(std::io::ErrorKind::NotSeekable.into()));
        };
        file.seek(SeekFrom::Start(byte)).map_err(|source| self.io(source))?;
        self.position = frame;
        Ok(())
    }

    /// Reads the next frames into `block`, a slice per channel, all of one length, as samples of any type by the rule
    /// of [`Sample`]. Returns the number of frames read: the length of the slices, fewer at the end of the file, 0
    /// after it. The rest of `block` is not changed.
    ///
    /// # Errors
    /// [`WavError::WrongShape`], [`WavError::NotFinite`] (with [`NonFinitePolicy::Refuse`]),
    /// [`WavError::Io`]. After an error the contents of `block` and the position are unspecified;
    /// [`seek`](Self::seek) sets the position again.
    pub fn read_block<S: Sample>(&mut self, block: &mut [&mut [S]]) -> Result<usize, WavError> {
        let asked = block.first().map_or(0, |channel| channel.len());
        self.check(block, asked)?;
        let left = self.header.frames.saturating_sub(self.position);
        let count = usize::try_from(left).map_or(asked, |left| left.min(asked));
        let frame_bytes = self.header.channels * self.header.encoding.bytes();
        let mut done = 0;
        while done < count {
            let frames = (count - done).min(self.bytes.len() / frame_bytes);
            let found = self.fill(frames * frame_bytes)?;
            if found < frames * frame_bytes && matches!(self.input, Input::File(_)) {
                return Err(self.io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.decode(block, done, found / frame_bytes)?;
            self.position += (found / frame_bytes) as u64;
            done += found / frame_bytes;
            if found < frames * frame_bytes {
                self.end_stream(found % frame_bytes);
                break;
            }
        }
        Ok(done)
    }

    /// Reads the next `wanted` bytes into `self.bytes`; returns the number of bytes read, fewer at the end of the file.
    fn fill(&mut self, wanted: usize) -> Result<usize, WavError> {
        let mut filled = 0;
        while filled < wanted {
            match self.input.read(&mut self.bytes[filled..wanted]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.io(source)),
            }
        }
        Ok(filled)
    }

    /// Notes what is missing at the end of a stream, after which `rest` bytes of an incomplete frame were found.
    fn end_stream(&mut self, rest: usize) {
        let Header { frames, notes, .. } = &mut self.header;
        if *frames != u64::MAX {
            let missing = *frames - self.position;
            notes.push(format!("cut short: {missing} of {frames} frames are missing"));
        } else if rest > 0 {
            notes.push(format!("the sound ends inside a frame: its last {rest} bytes are left out"));
        }
        *frames = self.position;
    }

    /// Checks that `block` has the file's channels, each of `frames` frames.
    fn check<S>(&self, block: &[&mut [S]], frames: usize) -> Result<(), WavError> {
        let channel = block.iter().position(|channel| channel.len() != frames);
        let channels = self.header.channels;
        if block.len() == channels && channel.is_none() {
            return Ok(());
        }
        Err(WavError::WrongShape {
            path: self.path.clone(),
            expected: Shape { channels, frames },
            found: Shape { channels: block.len(), frames: channel.map_or(frames, |c| block[c].len()) },
            channel,
        })
    }

    /// Decodes the first `frames` frames of `self.bytes` into `block`, beginning at its frame `done`.
    fn decode<S: Sample>(&self, block: &mut [&mut [S]], done: usize, frames: usize) -> Result<(), WavError> {
        let (size, big_endian) = (self.header.encoding.bytes(), self.header.big_endian);
        let frame_bytes = self.header.channels * size;
        for (index, channel) in block.iter_mut().enumerate() {
            let samples = channel[done..done + frames].iter_mut();
            // The codes of one channel: its first one is `index * size` bytes into the first frame.
            let codes = self.bytes[..frames * frame_bytes].get(index * size..).unwrap_or(&[]);
            let pairs = samples.zip(codes.chunks(frame_bytes).map(|c| &c[..size]));
            match self.header.encoding {
                Encoding::Unsigned8 => pairs.for_each(|(s, b)| *s = S::from_f64((f64::from(b[0]) - 128.0) / 128.0)),
                Encoding::ALaw => pairs.for_each(|(s, b)| *s = S::from_f64(g711::alaw(b[0]).to_f64())),
                Encoding::MuLaw => pairs.for_each(|(s, b)| *s = S::from_f64(g711::mulaw(b[0]).to_f64())),
                Encoding::Int16 => pairs.for_each(|(s, b)| {
                    let code = i16::from_le_bytes([b[0], b[1]]);
                    *s = S::from_f64(if big_endian { code.swap_bytes() } else { code }.to_f64());
                }),
                Encoding::Int24 => pairs.for_each(|(s, b)| {
                    let bytes = if big_endian { [0, b[2], b[1], b[0]] } else { [0, b[0], b[1], b[2]] };
                    // Shifted down from the top, so that the sign is extended.
                    *s = S::from_f64(I24::new_unchecked(i32::from_le_bytes(bytes) >> 8).to_f64());
                }),
                Encoding::Int32 => pairs.for_each(|(s, b)| {
                    let code = i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                    *s = S::from_f64(if big_endian { code.swap_bytes() } else { code }.to_f64());
                }),
                Encoding::Float32 => {
                    for (frame, (s, b)) in pairs.enumerate() {
                        let bits = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                        let value = f32::from_bits(if big_endian { bits.swap_bytes() } else { bits });
                        *s = S::from_f64(self.checked(value.into(), index, frame)?);
                    }
                }
                Encoding::Float64 => {
                    for (frame, (s, b)) in pairs.enumerate() {
                        let bits = u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
                        let value = f64::from_bits(if big_endian { bits.swap_bytes() } else { bits });
                        *s = S::from_f64(self.checked(value, index, frame)?);
                    }
                }
            }
        }
        Ok(())
    }

    /// The value of a float sample by the policy; `frame` is counted from the current position. A value that is too large for
    /// 32-bit float counts as infinite.
    fn checked(&self, value: f64, channel: usize, frame: usize) -> Result<f64, WavError> {
        let single = f32::from_f64(value);
        match self.non_finite {
            _ if single.is_finite() => Ok(value),
            NonFinitePolicy::Keep => Ok(value),
            NonFinitePolicy::Silence => Ok(0.0),
            NonFinitePolicy::Refuse => {
                let frame = self.position + frame as u64;
                Err(WavError::NotFinite { path: self.path.clone(), channel, frame, value: single })
            }
        }
    }

    /// Reads all frames from the current position to the end, as a buffer.
    ///
    /// # Errors
    /// The errors of [`read_block`](Self::read_block).
    pub fn read_to_end<S: Sample>(&mut self) -> Result<Audio<S>, WavError> {
        let (rate, channels) = (self.header.sample_rate, self.header.channels);
        if matches!(self.input, Input::Stream(_)) {
            // The length in the header may be wrong, or missing.
            let mut interleaved = Vec::new();
            loop {
                let mut block = Audio::<S>::silence(rate, channels, CHUNK_BYTES / 16);
                let count = self.read_block(&mut block.slices_mut())?;
                for frame in 0..count {
                    interleaved.extend((0..channels).map(|channel| block.channel(channel)[frame]));
                }
                if count == 0 {
                    return Audio::from_interleaved(rate, channels, &interleaved)
                        .map_err(|error| self.io(std::io::Error::other(error.to_string())));
                }
            }
        }
        let left = self.header.frames - self.position;
        let mut audio = Audio::silence(rate, channels, usize::try_from(left).unwrap_or(usize::MAX));
        self.read_block(&mut audio.slices_mut())?;
        Ok(audio)
    }

    fn io(&self, source: std::io::Error) -> WavError {
        WavError::Io { path: self.path.clone(), action: "read", source }
    }
}

/// True if a file or a stream that begins with these 12 bytes is a WAV file. [any thread]
pub fn is_wav(start: &[u8]) -> bool {
    matches!(start, [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, b'W', b'A', b'V', b'E'])
        || matches!(start, [b'R' | b'B', b'F' | b'W', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E'])
}

/// Reads the whole file at `path` as `f32`: 16 and 24-bit integers and floats are exact, 32-bit integers are rounded to the
/// nearest float. NaN and infinities are an error. [control thread: does I/O]
///
/// # Errors
/// The errors of [`Reader::open`], and [`WavError::NotFinite`].
pub fn read(path: impl AsRef<Path>) -> Result<Audio<f32>, WavError> {
    read_with(path, NonFinitePolicy::Refuse)
}

/// Reads a file like [`read`], with a treatment of NaN and infinities. [control thread: does I/O]
///
/// # Errors
/// The errors of [`Reader::open`], and [`WavError::NotFinite`] with [`NonFinitePolicy::Refuse`].
pub fn read_with(path: impl AsRef<Path>, non_finite: NonFinitePolicy) -> Result<Audio<f32>, WavError> {
    Reader::open(path)?.with_non_finite(non_finite).read_to_end()
}

/// Reads the whole file at `path` as samples of type `S`, each with exactly the value that it has in the file: integers in an
/// integer of the same or a greater width, or in a float with enough bits. [control thread: does I/O]
///
/// # Errors
/// [`WavError::Inexact`] if `S` cannot hold every sample of the file's format ([`Encoding::fits`]), the errors of
/// [`Reader::open`], [`WavError::NotFinite`].
pub fn read_exact<S: Sample>(path: impl AsRef<Path>) -> Result<Audio<S>, WavError> {
    let mut reader = Reader::open(path)?;
    if !reader.encoding().fits::<S>() {
        return Err(WavError::Inexact { path: reader.path.clone(), asked: S::NAME, found: reader.encoding() });
    }
    reader.read_to_end()
}
