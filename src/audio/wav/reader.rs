//! Reading WAV files.

use super::header::{self, Header, Input, inside_frame, longer_than_stated, sound_after};
use super::{CHUNK_BYTES, Encoding, WavFormat, g711};
use crate::audio::{Audio, I24, Sample, Shape, WavError};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

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

/// A WAV file that is read block after block, or several that are joined end to end. [control thread or disk thread: does I/O]
#[derive(Debug)]
pub struct Reader {
    /// The files, one after another; at least one.
    pieces: Vec<Piece>,
    /// Index of the piece with the next frame.
    current: usize,
    non_finite: NonFinitePolicy,
    /// The next frame to read.
    position: u64,
    notes: Vec<String>,
    /// Buffer for whole frames as they are in the file.
    bytes: Vec<u8>,
}

/// A file of a [`Reader`]. All have one rate, coding and number of channels.
#[derive(Debug)]
struct Piece {
    input: Input,
    path: PathBuf,
    header: Header,
    /// Frames of the pieces before.
    first_frame: u64,
    /// Bytes of sound that the header of a stream says, if there is more than that.
    outgrown: Option<u64>,
}

impl Piece {
    /// The frame after the last one; `u64::MAX` for a stream whose length is not known.
    fn end(&self) -> u64 {
        self.first_frame.saturating_add(self.header.frames)
    }

    fn frame_bytes(&self) -> usize {
        self.header.channels * self.header.encoding.bytes()
    }

    /// The format as text for messages.
    fn format(&self) -> String {
        let kind = if matches!(self.input, Input::File(_)) { "" } else { "a stream of " };
        format!("{kind}{} x {} at {} Hz", self.header.channels, self.header.encoding, self.header.sample_rate)
    }
}

impl Reader {
    /// Opens `path` and reads its header. A pipe or a device is read like a [`stream`](Self::stream).
    ///
    /// # Errors
    /// [`WavError::Io`], [`WavError::NotWav`], [`WavError::Header`], [`WavError::Unsupported`],
    /// [`WavError::Channels`], [`WavError::Rate`], [`WavError::NoFrames`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WavError> {
        let path = path.as_ref();
        let failed = |source| WavError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        let buffered = BufReader::with_capacity(CHUNK_BYTES, file);
        let seekable = kind.is_file() || kind.is_dir();
        Self::new(if seekable { Input::File(buffered) } else { Input::Stream(Box::new(buffered)) }, path)
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
        let mut header = header::parse(&mut input, path)?;
        let notes = std::mem::take(&mut header.notes);
        let piece = Piece { input, path: path.into(), header, first_frame: 0, outgrown: None };
        let frame_bytes = piece.frame_bytes();
        let bytes = vec![0; (CHUNK_BYTES / frame_bytes).max(1) * frame_bytes];
        Ok(Self { pieces: vec![piece], current: 0, non_finite: NonFinitePolicy::default(), position: 0, notes, bytes })
    }

    /// Returns the reader with the sound of `next`, from its first frame on, after its own. The notes of `next` begin with its
    /// name then.
    ///
    /// # Errors
    /// [`WavError::Join`] if rate, coding or number of channels differ, or one of both is a stream.
    pub fn followed_by(mut self, next: Self) -> Result<Self, WavError> {
        let is_file = |piece: &Piece| matches!(piece.input, Input::File(_));
        for mut piece in next.pieces {
            let before = &self.pieces[self.pieces.len() - 1];
            let (expected, found) = (before.format(), piece.format());
            if expected != found || !is_file(&piece) || !is_file(before) {
                return Err(WavError::Join { path: piece.path, before: before.path.clone(), expected, found });
            }
            piece.first_frame = before.end();
            self.pieces.push(piece);
        }
        let name = self.pieces[self.pieces.len() - 1].path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.notes.extend(next.notes.into_iter().map(|note| format!("{name}: {note}")));
        Ok(self)
    }

    /// Returns the reader with another treatment of NaN and infinities; the default is [`NonFinitePolicy::Refuse`].
    pub fn with_non_finite(self, non_finite: NonFinitePolicy) -> Self {
        Self { non_finite, ..self }
    }

    /// The first piece, which stands for all in everything but length.
    fn header(&self) -> &Header {
        &self.pieces[0].header
    }

    /// The file's path, as given to [`open`](Self::open); of joined files that of the first.
    pub fn path(&self) -> &Path {
        &self.pieces[0].path
    }

    /// Sample rate in Hz; at least 1.
    pub fn sample_rate(&self) -> u32 {
        self.header().sample_rate
    }

    /// Number of channels; at least 1.
    pub fn channels(&self) -> usize {
        self.header().channels
    }

    /// Number of frames of the whole file, or of all joined files; at least 1. `u64::MAX` for a stream whose length is not
    /// known, or which has turned out to be longer than its header says; after its end, the frames that were read.
    pub fn frames(&self) -> u64 {
        self.pieces.last().map_or(0, Piece::end)
    }

    /// The coding of the samples in the file.
    pub fn encoding(&self) -> Encoding {
        self.header().encoding
    }

    /// The sample format of the file, or the narrowest one that holds its samples ([`Encoding::format`]).
    pub fn format(&self) -> WavFormat {
        self.encoding().format()
    }

    /// Oddities of the file, a sentence each without the path: sizes that are wrong, missing frames. Empty for most files. More may
    /// follow at the end of a stream.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The next frame to be read, counted from 0.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// True if the size of the samples was never filled in or is too small, as after a crash, so that they reach to the end
    /// of the file.
    pub fn unfinished(&self) -> bool {
        self.pieces.iter().any(|piece| piece.header.unfinished)
    }

    /// Makes `frame` the next one to be read; [`frames`](Self::frames) is the end of the file.
    ///
    /// # Errors
    /// [`WavError::NoSuchFrame`] if `frame` is after the end, [`WavError::Io`], also for every stream.
    pub fn seek(&mut self, frame: u64) -> Result<(), WavError> {
        if frame > self.frames() {
            return Err(WavError::NoSuchFrame { path: self.path().into(), frame, frames: self.frames() });
        }
        // The last piece that begins at or before the frame.
        let index = self.pieces.iter().rposition(|piece| piece.first_frame <= frame).unwrap_or(0);
        let piece = &mut self.pieces[index];
        let byte = piece.header.data_start + (frame - piece.first_frame) * piece.frame_bytes() as u64;
        piece.input.seek(SeekFrom::Start(byte)).map_err(|source| WavError::io("read", &piece.path, source))?;
        self.current = index;
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
        let mut done = 0;
        while done < asked {
            let piece = &self.pieces[self.current];
            let (frame_bytes, left) = (piece.frame_bytes(), piece.end() - self.position);
            if left == 0 {
                self.end_piece()?;
                if self.position == self.frames() {
                    break;
                }
                continue;
            }
            let room = (asked - done).min(self.bytes.len() / frame_bytes);
            let frames = usize::try_from(left).map_or(room, |left| left.min(room));
            let found = self.fill(frames * frame_bytes)?;
            if found < frames * frame_bytes && matches!(self.pieces[self.current].input, Input::File(_)) {
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

    /// Goes from the end of a piece to the first frame of the next one, if there is one. At the end of a stream, looks for
    /// sound that its header does not count; then its length is not known.
    fn end_piece(&mut self) -> Result<(), WavError> {
        if self.position < self.frames() {
            return self.seek(self.position);
        }
        let piece = &mut self.pieces[self.current];
        let Input::Stream(stream) = &mut piece.input else { return Ok(()) };
        let stream = std::mem::replace(stream, Box::new(std::io::empty()));
        if let Some(more) = sound_after(stream, &piece.header).map_err(|source| WavError::io("read", &piece.path, source))? {
            piece.input = Input::Stream(more);
            piece.outgrown = Some(piece.header.frames * piece.frame_bytes() as u64 + piece.header.rest as u64);
            piece.header.frames = u64::MAX;
            piece.header.unfinished = true;
        } else if piece.header.rest > 0 {
            self.notes.push(inside_frame(piece.header.rest as u64));
            piece.header.rest = 0;
        }
        Ok(())
    }

    /// Reads the next `wanted` bytes into `self.bytes`; returns the number of bytes read, fewer at the end of the file.
    fn fill(&mut self, wanted: usize) -> Result<usize, WavError> {
        let mut filled = 0;
        while filled < wanted {
            match self.pieces[self.current].input.read(&mut self.bytes[filled..wanted]) {
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
        let piece = &mut self.pieces[self.current];
        let frames = piece.header.frames;
        if frames != u64::MAX {
            let missing = frames - self.position;
            self.notes.push(format!("cut short: {missing} of {frames} frames are missing"));
        } else {
            if let Some(stated) = piece.outgrown {
                let found = self.position * piece.frame_bytes() as u64 + rest as u64;
                self.notes.push(longer_than_stated(stated, found.saturating_sub(stated)));
            }
            if rest > 0 {
                self.notes.push(inside_frame(rest as u64));
            }
        }
        piece.header.frames = self.position;
        piece.header.rest = 0;
    }

    /// Checks that `block` has the file's channels, each of `frames` frames.
    fn check<S>(&self, block: &[&mut [S]], frames: usize) -> Result<(), WavError> {
        let channel = block.iter().position(|channel| channel.len() != frames);
        let channels = self.channels();
        if block.len() == channels && channel.is_none() {
            return Ok(());
        }
        Err(WavError::WrongShape {
            path: self.path().into(),
            expected: Shape { channels, frames },
            found: Shape { channels: block.len(), frames: channel.map_or(frames, |c| block[c].len()) },
            channel,
        })
    }

    /// Decodes the first `frames` frames of `self.bytes` into `block`, beginning at its frame `done`.
    fn decode<S: Sample>(&self, block: &mut [&mut [S]], done: usize, frames: usize) -> Result<(), WavError> {
        let Header { channels, encoding, big_endian, .. } = self.pieces[self.current].header;
        let size = encoding.bytes();
        let frame_bytes = channels * size;
        for (index, channel) in block.iter_mut().enumerate() {
            let samples = channel[done..done + frames].iter_mut();
            // The codes of one channel: its first one is `index * size` bytes into the first frame.
            let codes = self.bytes[..frames * frame_bytes].get(index * size..).unwrap_or(&[]);
            let pairs = samples.zip(codes.chunks(frame_bytes).map(|c| &c[..size]));
            match encoding {
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
                let piece = &self.pieces[self.current];
                let frame = self.position - piece.first_frame + frame as u64;
                Err(WavError::NotFinite { path: piece.path.clone(), channel, frame, value: single })
            }
        }
    }

    /// Reads all frames from the current position to the end, as a buffer.
    ///
    /// # Errors
    /// The errors of [`read_block`](Self::read_block).
    pub fn read_to_end<S: Sample>(&mut self) -> Result<Audio<S>, WavError> {
        let (rate, channels) = (self.sample_rate(), self.channels());
        if matches!(self.pieces[0].input, Input::Stream(_)) {
            // The length in the header may be wrong, or missing.
            let mut interleaved = Vec::new();
            // A block as large as the buffer.
            let frames = self.bytes.len() / self.pieces[0].frame_bytes();
            loop {
                let mut block = Audio::<S>::silence(rate, channels, frames);
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
        let left = self.frames() - self.position;
        let mut audio = Audio::silence(rate, channels, usize::try_from(left).unwrap_or(usize::MAX));
        self.read_block(&mut audio.slices_mut())?;
        Ok(audio)
    }

    fn io(&self, source: std::io::Error) -> WavError {
        WavError::io("read", &self.pieces[self.current].path, source)
    }
}

/// True if a file or a stream that begins with these 12 bytes is a WAV file, or a sound file of another known kind, for which
/// [`Reader::stream`] has an error of its own. Raw samples practically never begin so. [any thread]
pub fn is_sound_file(start: &[u8]) -> bool {
    let is_wav = matches!(start.get(..4), Some(b"RIFF" | b"RIFX" | b"RF64" | b"BW64")) && start.get(8..12) == Some(b"WAVE");
    is_wav || matches!(start.get(..4), Some(b"riff" | b"FORM" | b"fLaC" | b"OggS" | b"caff")) || start.starts_with(b"ID3")
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
        return Err(WavError::Inexact { path: reader.path().into(), asked: S::NAME, found: reader.encoding() });
    }
    reader.read_to_end()
}
