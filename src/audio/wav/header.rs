//! The header of a WAV file: parses the chunks of a RIFF, RIFX, RF64 or BW64 file up to its samples.

use super::Encoding;
use crate::audio::WavError;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
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
    /// True if the size of the samples was never filled in, so that they reach to the end of the file.
    pub unfinished: bool,
    /// Oddities of the file, a sentence each without the path.
    pub notes: Vec<String>,
    /// The chunks before the samples, in their order.
    pub chunks: Vec<Chunk>,
    /// Position and bytes of the chunks after the samples; None if there are none, if one is `data`, or for other bytes.
    pub after: Option<(u64, u64)>,
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
/// The same of ambisonic B-format (`SUBTYPE_AMBISONIC_B_FORMAT_PCM` and `_IEEE_FLOAT`).
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

/// The bytes of a file, or of a stream that cannot be sought.
pub(super) enum Input {
    File(BufReader<File>),
    Stream(Box<dyn Read + Send>),
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
        let known = |name: &[u8]| CHUNK_NAMES.iter().any(|known| known[..] == *name);
        let padded = chunk[0] == 0 || (known(&chunk[1..5]) && !known(&chunk[..4]));
        if !padded {
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
        let (stated, long) = match ds64_size {
            Some(long) if size == UNKNOWN_SIZE || size == 0 || u64::from(size) == low(long) => (long, true),
            _ => (u64::from(size), false),
        };
        if rf64 && ds64_size.is_none() {
            self.notes.push("an RF64 file without a ds64 chunk".into());
        }
        let mut unfinished = is_placeholder(stated);
        let mut after = None;
        let bytes = if let Some(end) = self.end {
            let available = end - start;
            // The samples may end here, if the file has more bytes than that.
            let more = stated < available && !self.only_chunks(start + stated, end, !stated.is_multiple_of(2))?;
            let wrapped = stated + (available.saturating_sub(stated) >> 32 << 32);
            unfinished &= stated > available || more;
            if unfinished {
                let bytes = available - self.trailing_chunks(start, end)?;
                after = Some((start + bytes, available - bytes));
                self.notes.push(format!(
                    "the size of the sound was never filled in (found {stated:X}): read up to the end, {} frames",
                    bytes / frame_bytes
                ));
                bytes
            } else if more && !long && wrapped > stated {
                self.notes
                    .push(format!("longer than 4 GiB, with a size that wrapped ({stated}): {wrapped} bytes of sound are read"));
                wrapped
            } else if stated > available {
                let (frames, all) = (available / frame_bytes, stated / frame_bytes);
                self.notes.push(format!(
                    "cut short: the header says {stated} bytes of sound, found {available}: {} of {all} frames are missing",
                    all - frames
                ));
                available
            } else {
                if stated < available {
                    // A pad byte belongs to the samples.
                    let pad = stated % 2;
                    let is_data = self.note_second_data(start + stated + pad)?;
                    let is_after = !more && !is_data && stated + pad < available;
                    after = is_after.then(|| (start + stated + pad, available - stated - pad));
                }
                stated
            }
        } else if unfinished {
            u64::MAX
        } else {
            stated
        };
        if bytes != u64::MAX && (unfinished || bytes >= stated) && !bytes.is_multiple_of(frame_bytes) {
            self.notes.push(inside_frame(bytes % frame_bytes));
        }
        let frames = if bytes == u64::MAX { u64::MAX } else { bytes / frame_bytes };
        if frames == 0 {
            return Err(WavError::NoFrames { path: self.path.into() });
        }
        self.go_to(start)?;
        let (big_endian, notes, chunks) = (self.big_endian, std::mem::take(&mut self.notes), std::mem::take(&mut self.chunks));
        Ok(Header { sample_rate, channels, encoding, big_endian, frames, data_start: start, unfinished, notes, chunks, after })
    }

    /// Notes a second `data` chunk at byte `position`, which is not read; true if there is one.
    fn note_second_data(&mut self, position: u64) -> Result<bool, WavError> {
        let mut name = [0; 4];
        self.go_to(position)?;
        let is_data = self.fill(&mut name)? == 4 && &name == b"data";
        if is_data {
            self.notes.push("a second data chunk follows; only the first is read".into());
        }
        Ok(is_data)
    }

    /// Bytes of the chunks at the end of a file whose samples begin at `start` and have no size: from the first known name on, if
    /// chunks reach from there to the end.
    fn trailing_chunks(&mut self, start: u64, end: u64) -> Result<u64, WavError> {
        let first = start.max(end.saturating_sub(TAIL_BYTES));
        let mut tail = Vec::new();
        self.go_to(first)?;
        self.input.by_ref().take(end - first).read_to_end(&mut tail).map_err(|source| self.io(source))?;
        self.position = first + tail.len() as u64;
        for at in 0..tail.len().saturating_sub(8) {
            let name = CHUNK_NAMES.iter().any(|name| name[..] == tail[at..at + 4]);
            if name && self.only_chunks(first + at as u64, end, false)? {
                return Ok((tail.len() - at) as u64);
            }
        }
        Ok(0)
    }

    /// True if the bytes from `position` to the end of the file are a sequence of chunks; `odd` if a pad byte may be in front.
    fn only_chunks(&mut self, mut position: u64, end: u64, mut odd: bool) -> Result<bool, WavError> {
        while position < end {
            self.go_to(position)?;
            let mut chunk = [0; 8];
            let mut length = self.fill(&mut chunk)?;
            if odd && chunk[0] == 0 {
                if length == 1 {
                    return Ok(true);
                }
                chunk.copy_within(1.., 0);
                length = length - 1 + self.fill(&mut chunk[7..])?;
                position += 1;
            }
            if length < 8 || !chunk[..4].iter().all(|byte| (b' '..=b'~').contains(byte)) {
                return Ok(false);
            }
            let size = self.u32_at(&chunk, 4);
            position += 8 + u64::from(size);
            odd = !size.is_multiple_of(2);
        }
        Ok(position == end)
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
