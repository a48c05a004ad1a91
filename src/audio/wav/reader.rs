//! Reading WAV files.

use super::WavFormat;
use super::header::{self, Header};
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
    file: BufReader<File>,
    path: PathBuf,
    sample_rate: u32,
    channels: usize,
    format: WavFormat,
    frames: u64,
    data_start: u64,
    unfinished: bool,
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
    /// [`WavError::Channels`], [`WavError::Rate`], [`WavError::NoFrames`], [`WavError::Truncated`],
    /// [`WavError::CutFrame`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WavError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| WavError::Io { path: path.into(), action: "open", source })?;
        let mut file = BufReader::with_capacity(CHUNK_BYTES, file);
        let Header { sample_rate, channels, format, frames, data_start, unfinished } = header::parse(&mut file, path)?;
        let frame_bytes = channels * format.bytes();
        Ok(Self {
            file,
            path: path.into(),
            sample_rate,
            channels,
            format,
            frames,
            data_start,
            unfinished,
            non_finite: NonFinitePolicy::default(),
            position: 0,
            bytes: vec![0; (CHUNK_BYTES / frame_bytes).max(1) * frame_bytes],
        })
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
        self.sample_rate
    }

    /// Number of channels; at least 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of frames of the whole file; at least 1.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The sample format of the file.
    pub fn format(&self) -> WavFormat {
        self.format
    }

    /// The next frame to be read, counted from 0.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// True if the size of the samples was never filled in, as after a crash, so that they reach to the end of the file.
    pub fn unfinished(&self) -> bool {
        self.unfinished
    }

    /// Makes `frame` the next one to be read; [`frames`](Self::frames) is the end of the file.
    ///
    /// # Errors
    /// [`WavError::NoSuchFrame`] if `frame` is after the end, [`WavError::Io`].
    pub fn seek(&mut self, frame: u64) -> Result<(), WavError> {
        if frame > self.frames {
            return Err(WavError::NoSuchFrame { path: self.path.clone(), frame, frames: self.frames });
        }
        let byte = self.data_start + frame * (self.channels * self.format.bytes()) as u64;
        self.file.seek(SeekFrom::Start(byte)).map_err(|source| self.io(source))?;
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
        let count = usize::try_from(self.frames.saturating_sub(self.position)).map_or(asked, |left| left.min(asked));
        let frame_bytes = self.channels * self.format.bytes();
        let mut done = 0;
        while done < count {
            let frames = (count - done).min(self.bytes.len() / frame_bytes);
            let bytes = &mut self.bytes[..frames * frame_bytes];
            self.file.read_exact(bytes).map_err(|source| WavError::Io { path: self.path.clone(), action: "read", source })?;
            self.decode(block, done, frames)?;
            self.position += frames as u64;
            done += frames;
        }
        Ok(count)
    }

    /// Checks that `block` has the file's channels, each of `frames` frames.
    fn check<S>(&self, block: &[&mut [S]], frames: usize) -> Result<(), WavError> {
        let channel = block.iter().position(|channel| channel.len() != frames);
        if block.len() == self.channels && channel.is_none() {
            return Ok(());
        }
        Err(WavError::WrongShape {
            path: self.path.clone(),
            expected: Shape { channels: self.channels, frames },
            found: Shape { channels: block.len(), frames: channel.map_or(frames, |c| block[c].len()) },
            channel,
        })
    }

    /// Decodes the first `frames` frames of `self.bytes` into `block`, beginning at its frame `done`.
    fn decode<S: Sample>(&self, block: &mut [&mut [S]], done: usize, frames: usize) -> Result<(), WavError> {
        let size = self.format.bytes();
        let frame_bytes = self.channels * size;
        for (index, channel) in block.iter_mut().enumerate() {
            let samples = channel[done..done + frames].iter_mut();
            // The codes of one channel: its first one is `index * size` bytes into the first frame.
            let codes = self.bytes[..frames * frame_bytes][index * size..].chunks(frame_bytes).map(|c| &c[..size]);
            let pairs = samples.zip(codes);
            match self.format {
                WavFormat::Int16 => pairs.for_each(|(s, b)| *s = S::from_f64(i16::from_le_bytes([b[0], b[1]]).to_f64())),
                WavFormat::Int24 => pairs.for_each(|(s, b)| {
                    // Shifted down from the top, so that the sign is extended.
                    let code = i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8;
                    *s = S::from_f64(I24::new_unchecked(code).to_f64());
                }),
                WavFormat::Int32 => {
                    pairs.for_each(|(s, b)| *s = S::from_f64(i32::from_le_bytes([b[0], b[1], b[2], b[3]]).to_f64()));
                }
                WavFormat::Float32 => {
                    for (frame, (s, b)) in pairs.enumerate() {
                        let value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                        *s = S::from_f64(match self.non_finite {
                            _ if value.is_finite() => value.into(),
                            NonFinitePolicy::Keep => value.into(),
                            NonFinitePolicy::Silence => 0.0,
                            NonFinitePolicy::Refuse => {
                                return Err(WavError::NotFinite {
                                    path: self.path.clone(),
                                    channel: index,
                                    frame: self.position + frame as u64,
                                    value,
                                });
                            }
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads all frames from the current position to the end, as a buffer.
    ///
    /// # Errors
    /// The errors of [`read_block`](Self::read_block).
    pub fn read_to_end<S: Sample>(&mut self) -> Result<Audio<S>, WavError> {
        let left = self.frames - self.position;
        let frames = usize::try_from(left).unwrap_or(usize::MAX);
        let mut audio = Audio::silence(self.sample_rate, self.channels, frames);
        self.read_block(&mut audio.slices_mut())?;
        Ok(audio)
    }

    fn io(&self, source: std::io::Error) -> WavError {
        WavError::Io { path: self.path.clone(), action: "read", source }
    }
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
/// [`WavError::Inexact`] if `S` cannot hold every sample of the file's format ([`WavFormat::fits`]), the errors of
/// [`Reader::open`], [`WavError::NotFinite`].
pub fn read_exact<S: Sample>(path: impl AsRef<Path>) -> Result<Audio<S>, WavError> {
    let mut reader = Reader::open(path)?;
    if !reader.format().fits::<S>() {
        return Err(WavError::Inexact { path: reader.path, asked: S::NAME, found: reader.format });
    }
    reader.read_to_end()
}
