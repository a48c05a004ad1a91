//! The header of a WAV file: parses the chunks of a RIFF, RIFX, RF64 or BW64 file up to its samples.

use super::Encoding;
use crate::audio::WavError;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The contents of a header, and the position of the samples.
#[derive(Debug)]
pub(super) struct Header {
    /// In hertz; at least 1.
    pub sample_rate: u32,
    /// At least 1.
    pub channels: usize,
    pub encoding: Encoding,
    /// True for RIFX: the samples are big-endian.
    pub big_endian: bool,
    /// At least 1; `u64::MAX` for a stream whose length is not known.
    pub frames: u64,
    /// Position in the file of the first byte of the samples.
    pub data_start: u64,
    /// True if the size of the samples was never filled in or is too small, so that they reach to the end of the file.
    pub unfinished: bool,
    /// Bytes of an incomplete frame after the last whole one, in a stream whose length is known.
    pub rest: usize,
    /// Oddities of the file, a sentence each without the path.
    pub notes: Vec<String>,
    /// The chunks before the samples, in their order.
    pub chunks: Vec<Chunk>,
    /// The chunks after the samples, in their order; of a stream none.
    pub after: Vec<Chunk>,
}

/// A chunk of a file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub name: [u8; 4],
    /// Position in the file of the first byte of its contents.
    pub start: u64,
    /// Bytes of its contents.
    pub size: u32,
}

/// Format tags: values of `wFormatTag` in Microsoft's mmreg.h.
pub(super) const PCM: u16 = 1;
pub(super) const IEEE_FLOAT: u16 = 3;
pub(super) const ALAW: u16 = 6;
pub(super) const MULAW: u16 = 7;
pub(super) const EXTENSIBLE: u16 = 0xFFFE;
/// Bytes 2 to 15 of the sub-format GUIDs that carry a `wFormatTag` in bytes 0 and 1.
pub(super) const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// Bytes 2 to 15 of the sub-format GUIDs of ambisonic B-format (`SUBTYPE_AMBISONIC_B_FORMAT_PCM` and `_IEEE_FLOAT`).
const AMBISONIC_GUID_TAIL: [u8; 14] = [0, 0, 0x21, 0x07, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0];
/// The size of a chunk whose true size is unknown (a stream) or is in the `ds64` chunk (RF64).
pub(super) const UNKNOWN_SIZE: u32 = u32::MAX;
/// Names of chunks that follow an unpadded chunk, a chunk with an odd pad byte, or samples of unknown size.
const CHUNK_NAMES: [&[u8; 4]; 17] = [
    b"data", b"fmt ", b"LIST", b"bext", b"iXML", b"JUNK", b"junk", b"fact", b"cue ", b"smpl", b"inst", b"id3 ", b"ID3 ", b"_PMX",
    b"axml", b"chna", b"PEAK",
];
/// Bytes at the end of a file of unfilled size in which chunks after the samples are looked for.
const TAIL_BYTES: u64 = 64 * 1024;

/// Chunks after the samples that are followed; far more than any program writes.
const MAX_CHUNKS: usize = 1024;
/// Bytes of an ID3v1 tag, which is at the end of a file and begins with `TAG`.
const ID3V1_BYTES: u64 = 128;

/// True for a size of samples that a recorder or a stream writes before it knows the true one: 0, 7FFFxxxx, FFFFFFxx.
fn is_placeholder(size: u64) -> bool {
    matches!(size, 0 | 0x7FFF_0000..=0x7FFF_FFFF | 0xFFFF_FF00..=0xFFFF_FFFF | 0x7FFF_FFFF_FFFF_0000..)
}

/// The contents of a `fmt ` chunk.
#[derive(Clone, Copy)]
struct FmtChunk {
    sample_rate: u32,
    channels: usize,
    encoding: Encoding,
}

/// A stream that cannot be sought.
pub(super) type Stream = Box<dyn Read + Send>;

/// The bytes of a file, or of a stream.
pub(super) enum Input {
    File(BufReader<File>),
    Stream(Stream),
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(bytes),
            Self::Stream(stream) => stream.read(bytes),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Stream(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Stream(_) => "Stream",
        })
    }
}

/// Parses the chunks up to the samples and leaves `input` at the first byte of the samples.
pub(super) fn parse(input: &mut Input, path: &Path) -> Result<Header, WavError> {
    HeaderParser { input, path, position: 0, end: None, big_endian: false, notes: Vec::new(), chunks: Vec::new() }.header()
}

/// A parser of one header; `path` is for messages.
struct HeaderParser<'a> {
    input: &'a mut Input,
    path: &'a Path,
    /// Position of the next byte to read.
    position: u64,
    /// Length of the file in bytes; None for a stream.
    end: Option<u64>,
    big_endian: bool,
    notes: Vec<String>,
    /// The chunks that have been read.
    chunks: Vec<Chunk>,
}

impl HeaderParser<'_> {
    fn header(&mut self) -> Result<Header, WavError> {
        if let Input::File(file) = self.input {
            let end = file.seek(SeekFrom::End(0)).and_then(|end| file.seek(SeekFrom::Start(0)).map(|_| end));
            self.end = Some(end.map_err(|source| self.io(source))?);
        }
        let rf64 = self.riff()?;
        let (mut fmt, mut ds64_size) = (None, None);
        // The name of the chunk before, if its size is odd.
        let mut odd: Option<[u8; 4]> = None;
        loop {
            let mut chunk = [0; 8];
            let mut length = self.fill(&mut chunk)?;
            if let Some(before) = odd.take().filter(|_| length == 8) {
                length = self.skip_pad(before, &mut chunk)?;
            }
            if length < 8 {
                let missing = if fmt.is_some() { "a data chunk" } else { "a fmt chunk and a data chunk" };
                return Err(self.damaged(missing, format!("the end of the file at byte {}", self.position)));
            }
            let name = [chunk[0], chunk[1], chunk[2], chunk[3]];
            let (start, size) = (self.position, self.u32_at(&chunk, 4));
            match &name {
                b"data" => {
                    let Some(fmt) = fmt else {
                        return Err(self.damaged("a fmt chunk before the data chunk", "none"));
                    };
                    return self.data(fmt, size, ds64_size, rf64);
                }
                b"fmt " => fmt = Some(self.fmt(size)?),
                b"ds64" => {
                    let mut body = [0; 16];
                    if size < 16 || self.fill(&mut body)? < 16 {
                        return Err(self.damaged("a ds64 chunk of at least 16 bytes", format!("{size} bytes")));
                    }
                    let [low, high] = [u32_le(&body, 8), u32_le(&body, 12)].map(u64::from);
                    ds64_size = Some(high << 32 | low);
                    if !rf64 {
                        self.notes.push("a ds64 chunk in a RIFF file; its size counts".into());
                    }
                }
                _ => {}
            }
            let after = start + u64::from(size);
            if let Some(end) = self.end.filter(|end| after > *end) {
                return Err(self.damaged(
                    "chunks within the file",
                    format!("chunk {} of {size} bytes, which ends at byte {after} of {end}", printable(&name)),
                ));
            }
            self.go_to(after)?;
            self.chunks.push(Chunk { name, start, size });
            odd = (!size.is_multiple_of(2)).then_some(name);
        }
    }

    /// Takes the pad byte of the odd chunk `before` out of `chunk`, the 8 bytes after its contents, if there is one; returns the
    /// bytes that `chunk` has then. Some writers leave the pad byte out, others do not set it to 0. No chunk's name begins with 0.
    fn skip_pad(&mut self, before: [u8; 4], chunk: &mut [u8; 8]) -> Result<usize, WavError> {
        if !has_pad(chunk) {
            self.notes.push(format!("chunk {} is odd and has no pad byte", printable(&before)));
            return Ok(8);
        }
        if chunk[0] != 0 {
            self.notes.push(format!("the pad byte of chunk {} is {:#04x}, not 0", printable(&before), chunk[0]));
        }
        chunk.copy_within(1.., 0);
        Ok(7 + self.fill(&mut chunk[7..])?)
    }

    /// Reads the first 12 bytes of the file, after an ID3 tag if there is one; true for RF64 and BW64.
    fn riff(&mut self) -> Result<bool, WavError> {
        let mut start = [0; 12];
        let mut length = self.fill(&mut start)?;
        if length == 12 && start.starts_with(b"ID3") {
            let size = start[6..10].iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7F));
            // The tag has a header of 10 bytes, and perhaps a footer of 10.
            let size = size + if start[5] & 0x10 == 0 { 10 } else { 20 };
            self.notes.push(format!("an ID3 tag of {size} bytes is in front of the WAV header"));
            if size >= 12 && self.end.is_none_or(|end| size <= end) {
                self.go_to(size)?;
                length = self.fill(&mut start)?;
            }
        }
        self.big_endian = start.starts_with(b"RIFX");
        match (&start[..4], &start[8..]) {
            (b"RIFF" | b"RIFX", b"WAVE") if length == 12 => Ok(false),
            (b"RF64" | b"BW64", b"WAVE") if length == 12 => Ok(true),
            _ => {
                let found = match length {
                    0 => "an empty file".to_string(),
                    1..12 => format!("{length} bytes"),
                    _ => match file_kind(&start) {
                        "" => format!("{} with {}", printable(&start[..4]), printable(&start[8..])),
                        kind => kind.into(),
                    },
                };
                Err(WavError::NotWav { path: self.path.into(), found })
            }
        }
    }

    /// Reads a `fmt ` chunk of `size` bytes.
    fn fmt(&mut self, size: u32) -> Result<FmtChunk, WavError> {
        let mut body = [0; 40];
        let length = (size as usize).min(body.len());
        if size < 16 || self.fill(&mut body[..length])? < length {
            return Err(self.damaged("a fmt chunk of 16, 18 or 40 bytes", format!("{size} bytes")));
        }
        let channels = usize::from(self.u16_at(&body, 2));
        let sample_rate = self.u32_at(&body, 4);
        let byte_rate = self.u32_at(&body, 8);
        let frame_bytes = usize::from(self.u16_at(&body, 12));
        let bits = self.u16_at(&body, 14);
        let mut tag = self.u16_at(&body, 0);
        if tag == EXTENSIBLE && length < 40 {
            self.notes.push(format!("an extensible fmt chunk of {size} bytes, not 40; its samples are taken for integers"));
            tag = PCM;
        } else if tag == EXTENSIBLE {
            if body[26..] != GUID_TAIL && body[26..] != AMBISONIC_GUID_TAIL {
                return Err(self.unsupported("an extensible format of unknown kind".into()));
            }
            tag = self.u16_at(&body, 24);
        }
        let plain = match (tag, bits) {
            (PCM, 1..=8) => Encoding::Unsigned8,
            (PCM, 9..=16) => Encoding::Int16,
            (PCM, 17..=24) => Encoding::Int24,
            (PCM, 25..=32) => Encoding::Int32,
            (IEEE_FLOAT, 32) => Encoding::Float32,
            (IEEE_FLOAT, 64) => Encoding::Float64,
            (ALAW, 8) => Encoding::ALaw,
            (MULAW, 8) => Encoding::MuLaw,
            (PCM, _) => return Err(self.unsupported(format!("{bits}-bit integer"))),
            (IEEE_FLOAT, 24) => return Err(self.unsupported("24-bit float (of Adobe Audition)".into())),
            (IEEE_FLOAT, _) => return Err(self.unsupported(format!("{bits}-bit float"))),
            _ => return Err(self.unsupported(format!("format tag {tag:#06x}{}", tag_name(tag)))),
        };
        if channels == 0 {
            return Err(WavError::Channels { path: self.path.into(), highest: usize::from(u16::MAX) / plain.bytes(), found: 0 });
        }
        if sample_rate == 0 {
            return Err(WavError::Rate { path: self.path.into(), highest: u32::MAX, found: 0 });
        }
        let expected = channels * plain.bytes();
        let encoding = if frame_bytes == expected {
            plain
        } else {
            // Samples may lie in more bytes than their bits need; the byte rate tells that from a wrong frame size.
            let agrees = [0, sample_rate.wrapping_mul(u32::from(self.u16_at(&body, 12)))].contains(&byte_rate);
            match frame_bytes / channels {
                bytes @ 2..=4 if tag == PCM && agrees && bytes > plain.bytes() && frame_bytes.is_multiple_of(channels) => {
                    let wide = [Encoding::Int16, Encoding::Int24, Encoding::Int32][bytes - 2];
                    self.notes.push(format!(
                        "{bits} bits in {bytes} bytes, read as {wide}; if the sound is {} dB too quiet, the bits are in the low bytes",
                        6 * (8 * bytes - usize::from(bits))
                    ));
                    wide
                }
                _ => {
                    let found = if frame_bytes == 0 { "no size".into() } else { format!("{frame_bytes} bytes") };
                    self.notes.push(format!("the header says {found} for a frame of {channels} x {plain}; {expected} is taken"));
                    plain
                }
            }
        };
        Ok(FmtChunk { sample_rate, channels, encoding })
    }

    /// Finds the number of frames in the `data` chunk, whose contents begin here. `size` is in its header, `ds64_size` in the `ds64`
    /// chunk if there is one.
    fn data(&mut self, fmt: FmtChunk, size: u32, ds64_size: Option<u64>, rf64: bool) -> Result<Header, WavError> {
        let FmtChunk { sample_rate, channels, encoding } = fmt;
        let start = self.position;
        let frame_bytes = (channels * encoding.bytes()) as u64;
        let low = |size: u64| size & u64::from(u32::MAX);
        let stated = match ds64_size {
            Some(long) if size == UNKNOWN_SIZE || size == 0 || u64::from(size) == low(long) => long,
            _ => u64::from(size),
        };
        if rf64 && ds64_size.is_none() {
            self.notes.push("an RF64 file without a ds64 chunk".into());
        }
        let mut unfinished = is_placeholder(stated);
        let mut after = Vec::new();
        let bytes = if let Some(end) = self.end {
            let available = end - start;
            // The samples may end here, if the file has more bytes than that.
            let mut tail = self.tail(start + stated.min(available), stated)?;
            let more = stated < available && tail.stop < end;
            let wrapped = stated + (available.saturating_sub(stated) >> 32 << 32);
            unfinished &= stated > available || more;
            if unfinished {
                let bytes = self.bytes_to_end(start, end, &mut after)?;
                self.notes.push(format!(
                    "the size of the sound was never filled in (found {stated:X}): read up to the end, {} frames",
                    bytes / frame_bytes
                ));
                bytes
            } else if stated > available {
                let (frames, all) = (available / frame_bytes, stated / frame_bytes);
                self.notes.push(format!(
                    "cut short: the header says {stated} bytes of sound, found {available}: {} of {all} frames are missing",
                    all - frames
                ));
                available
            } else {
                let last = if more && wrapped > stated { Some(self.tail(start + wrapped, wrapped)?) } else { None };
                let ends_there = last.as_ref().is_some_and(|last| last.stop == end);
                let is_sound = more && !ends_there && self.is_sound(&tail, frame_bytes - stated % frame_bytes)?;
                let mut bytes = stated;
                if let Some(last) = last
                    && (ends_there || (is_sound && !self.is_sound(&last, frame_bytes - wrapped % frame_bytes)?))
                {
                    self.notes.push(format!(
                        "longer than 4 GiB, with a size that wrapped ({stated}): {wrapped} bytes of sound are read"
                    ));
                    (bytes, tail) = (wrapped, last);
                }
                if is_sound && bytes == stated {
                    unfinished = true;
                    bytes = self.bytes_to_end(start, end, &mut after)?;
                    self.notes.push(longer_than_stated(stated, bytes - stated));
                } else {
                    if tail.cut == Some(*b"data") || tail.chunks.iter().any(|chunk| chunk.name == *b"data") {
                        self.notes.push("a second data chunk follows; only the first is read".into());
                    }
                    after = tail.chunks;
                }
                bytes
            }
        } else if unfinished {
            u64::MAX
        } else {
            stated
        };
        // A stream may have more sound; its end tells.
        if self.end.is_some() && (unfinished || bytes >= stated) && !bytes.is_multiple_of(frame_bytes) {
            self.notes.push(inside_frame(bytes % frame_bytes));
        }
        let frames = if bytes == u64::MAX { u64::MAX } else { bytes / frame_bytes };
        if frames == 0 {
            return Err(WavError::NoFrames { path: self.path.into() });
        }
        self.go_to(start)?;
        let rest = if bytes == u64::MAX { 0 } else { usize::try_from(bytes % frame_bytes).unwrap_or(0) };
        let (big_endian, notes, chunks) = (self.big_endian, std::mem::take(&mut self.notes), std::mem::take(&mut self.chunks));
        Ok(Header {
            sample_rate,
            channels,
            encoding,
            big_endian,
            frames,
            data_start: start,
            unfinished,
            rest,
            notes,
            chunks,
            after,
        })
    }

    /// Bytes of the samples that begin at `start` and reach to the end of the file, or to the chunks at its end, which are put
    /// in `after`.
    fn bytes_to_end(&mut self, start: u64, end: u64, after: &mut Vec<Chunk>) -> Result<u64, WavError> {
        let bytes = end - start - self.trailing_chunks(start, end)?;
        *after = self.tail(start + bytes, bytes)?.chunks;
        Ok(bytes)
    }

    /// Bytes of the chunks at the end of a file whose samples begin at `start` and have no size: from the first known name on, if
    /// chunks reach from there to the end.
    fn trailing_chunks(&mut self, start: u64, end: u64) -> Result<u64, WavError> {
        let first = start.max(end.saturating_sub(TAIL_BYTES));
        let mut tail = Vec::new();
        self.go_to(first)?;
        self.input.by_ref().take(end - first).read_to_end(&mut tail).map_err(|source| self.io(source))?;
        self.position = first + tail.len() as u64;
        let length = tail.len();
        // For each byte, from the last one on: true if chunks reach from there to the end.
        let mut reaches = vec![false; length + 1];
        reaches[length] = true;
        for at in (0..length.saturating_sub(7)).rev().filter(|at| is_name(&tail[*at..at + 4])) {
            let size = self.u32_at(&tail, at + 4) as usize;
            let next = (at + 8).saturating_add(size);
            let is_padded = size % 2 == 1 && tail.get(next) == Some(&0);
            reaches[at] = next <= length && reaches[next + usize::from(is_padded)];
        }
        let first_chunk = (0..length).find(|at| reaches[*at] && is_known(&tail[*at..at + 4]));
        Ok(first_chunk.map_or(0, |at| (length - at) as u64))
    }

    /// The chunks of a file from `position` on, after `before` bytes of samples.
    fn tail(&mut self, position: u64, before: u64) -> Result<Tail, WavError> {
        let (big_endian, end) = (self.big_endian, self.end.unwrap_or(position));
        Tail::read(self.input, position..end, !before.is_multiple_of(2), big_endian).map_err(|source| self.io(source))
    }

    /// True if the bytes of a file after its stated samples are sound; see [`Tail::is_sound`].
    fn is_sound(&mut self, tail: &Tail, least: u64) -> Result<bool, WavError> {
        tail.is_sound(self.input, least).map_err(|source| self.io(source))
    }

    /// Fills `bytes` as far as the file reaches; returns the number of bytes read.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, WavError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.input.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.io(source)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Makes the byte at `position` the next one; in a stream only forward.
    fn go_to(&mut self, position: u64) -> Result<(), WavError> {
        match self.input {
            Input::File(file) => file.seek(SeekFrom::Start(position)).map(|_| ()),
            Input::Stream(stream) => {
                let bytes = position.saturating_sub(self.position);
                io::copy(&mut stream.take(bytes), &mut io::sink()).map(|_| ())
            }
        }
        .map_err(|source| self.io(source))?;
        self.position = position;
        Ok(())
    }

    fn u16_at(&self, bytes: &[u8], at: usize) -> u16 {
        let raw = [bytes[at], bytes[at + 1]];
        if self.big_endian { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) }
    }

    fn u32_at(&self, bytes: &[u8], at: usize) -> u32 {
        let value = u32_le(bytes, at);
        if self.big_endian { value.swap_bytes() } else { value }
    }

    fn io(&self, source: io::Error) -> WavError {
        WavError::Io { path: self.path.into(), action: "read", source }
    }

    fn damaged(&self, expected: impl Into<String>, found: impl Into<String>) -> WavError {
        WavError::Header { path: self.path.into(), expected: expected.into(), found: found.into() }
    }

    fn unsupported(&self, found: String) -> WavError {
        WavError::Unsupported { path: self.path.into(), found }
    }
}

/// True if the first of the 8 bytes after the contents of an odd chunk is a pad byte.
fn has_pad(chunk: &[u8; 8]) -> bool {
    chunk[0] == 0 || (is_known(&chunk[1..5]) && !is_known(&chunk[..4]))
}

/// True if these 4 bytes are in [`CHUNK_NAMES`].
fn is_known(name: &[u8]) -> bool {
    CHUNK_NAMES.iter().any(|known| known[..] == *name)
}

/// True if a chunk may have these 4 bytes for a name.
fn is_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// The bytes after the stated samples of a file, or after those of a stream as far as they have been read.
pub(super) struct Tail {
    /// Position of the first of these bytes, and the position after the last.
    bytes: Range<u64>,
    /// The chunks with which they begin.
    chunks: Vec<Chunk>,
    /// Position of the first byte after the chunks.
    stop: u64,
    /// The name there, if a chunk of a known name begins there and is cut short.
    cut: Option<[u8; 4]>,
}

impl Tail {
    /// Reads the headers of the chunks in `bytes`; `odd` if a pad byte may be in front.
    fn read<R: Read + Seek>(input: &mut R, bytes: Range<u64>, mut odd: bool, big_endian: bool) -> io::Result<Self> {
        let mut tail = Self { stop: bytes.start, bytes, chunks: Vec::new(), cut: None };
        while tail.stop < tail.bytes.end && tail.chunks.len() < MAX_CHUNKS {
            let mut chunk = [0xFF; 9];
            let length = usize::try_from(tail.bytes.end - tail.stop).map_or(9, |left| left.min(9));
            input.seek(SeekFrom::Start(tail.stop))?;
            input.read_exact(&mut chunk[..length])?;
            let [first @ .., _] = chunk;
            let pad = usize::from(odd && has_pad(&first));
            tail.stop += pad as u64;
            let name = [chunk[pad], chunk[pad + 1], chunk[pad + 2], chunk[pad + 3]];
            let is_whole = length >= pad + 8;
            let size = u32_le(&chunk, pad + 4);
            let size = if big_endian { size.swap_bytes() } else { size };
            let start = tail.stop + 8;
            if !is_whole || !is_name(&name) || start + u64::from(size) > tail.bytes.end {
                tail.cut = is_known(&name).then_some(name);
                break;
            }
            tail.chunks.push(Chunk { name, start, size });
            tail.stop = start + u64::from(size);
            odd = !size.is_multiple_of(2);
        }
        Ok(tail)
    }

    /// True if these bytes are sound that the stated size does not count: at least `least` bytes, which are neither chunks, nor
    /// only zeros, nor an ID3v1 tag.
    fn is_sound<R: Read + Seek>(&self, input: &mut R, least: u64) -> io::Result<bool> {
        let has_chunks = self.cut.is_some() || self.chunks.first().is_some_and(|chunk| is_known(&chunk.name));
        let left = self.bytes.end - self.stop;
        if has_chunks || left == 0 || self.bytes.end - self.bytes.start < least {
            return Ok(false);
        }
        input.seek(SeekFrom::Start(self.stop))?;
        let mut bytes = input.take(left);
        let mut part = Vec::new();
        loop {
            part.clear();
            let first = bytes.limit() == left;
            bytes.by_ref().take(TAIL_BYTES).read_to_end(&mut part)?;
            if part.is_empty() || (first && left == ID3V1_BYTES && part.starts_with(b"TAG")) {
                return Ok(false);
            }
            if part.iter().any(|byte| *byte != 0) {
                return Ok(true);
            }
        }
    }
}

/// The rest of a stream whose stated samples have been read, beginning with the bytes of an incomplete frame, if it has more
/// sound than its header says; otherwise None, and it is read to its end, so that the program that writes it can end, too.
pub(super) fn sound_after(mut stream: Stream, header: &Header) -> io::Result<Option<Stream>> {
    let frame_bytes = (header.channels * header.encoding.bytes()) as u64;
    let rest = header.rest as u64;
    let odd = !(header.frames.wrapping_mul(frame_bytes).wrapping_add(rest)).is_multiple_of(2);
    // Zeros may be silence, if sound follows, and are counted, not kept.
    let mut zeros = 0;
    loop {
        let mut bytes = Vec::new();
        let found = stream.by_ref().take(TAIL_BYTES).read_to_end(&mut bytes)? as u64;
        if found == 0 {
            return Ok(None);
        }
        if bytes.iter().all(|byte| *byte == 0) {
            zeros += found;
            continue;
        }
        let mut input = io::Cursor::new(bytes);
        let is_sound = zeros > 0 || {
            let tail = Tail::read(&mut input, rest.min(found)..found, odd, header.big_endian)?;
            tail.is_sound(&mut input, frame_bytes - rest)?
        };
        if !is_sound {
            return io::copy(&mut stream, &mut io::sink()).map(|_| None);
        }
        input.set_position(0);
        return Ok(Some(Box::new(io::repeat(0).take(zeros).chain(input).chain(stream))));
    }
}

/// The note on a file that has `more` bytes of sound than the `stated` ones.
pub(super) fn longer_than_stated(stated: u64, more: u64) -> String {
    format!("the header says {stated} bytes of sound; {more} bytes more follow, and are read")
}

/// The note on samples that end with `rest` bytes of an incomplete frame.
pub(super) fn inside_frame(rest: u64) -> String {
    let bytes = if rest == 1 { "byte is".into() } else { format!("{rest} bytes are") };
    format!("the sound ends inside a frame: the last {bytes} left out")
}

/// The name of a format tag of compressed samples (mmreg.h), for a message; empty for any other tag.
fn tag_name(tag: u16) -> &'static str {
    match tag {
        0x0002 => " (Microsoft ADPCM)",
        0x0006 => " (A-law, but not of 8 bits)",
        0x0007 => " (mu-law, but not of 8 bits)",
        0x0011 => " (IMA ADPCM)",
        0x0031 => " (GSM 6.10)",
        0x0050 => " (MPEG)",
        0x0055 => " (MP3)",
        _ => "",
    }
}

/// The kind of a sound file that is no WAV, by its first bytes, for a message; empty if it is not known.
fn file_kind(start: &[u8; 12]) -> &'static str {
    match &start[..4] {
        b"riff" => "Sony Wave64 (W64)",
        b"FORM" => "AIFF",
        b"fLaC" => "FLAC",
        b"OggS" => "Ogg",
        b"caff" => "Core Audio (CAF)",
        [0xFF, second, ..] if *second >= 0xE0 => "MP3",
        _ => "",
    }
}

/// A chunk's name in quotation marks, with unprintable bytes escaped, for a message.
fn printable(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
