//! The header of a WAV file: parses the chunks of a RIFF or RF64 file up to its samples.

use super::WavFormat;
use crate::audio::WavError;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The contents of a header, and the position of the samples.
pub(super) struct Header {
    /// In hertz; at least 1.
    pub sample_rate: u32,
    /// At least 1.
    pub channels: usize,
    pub format: WavFormat,
    /// At least 1.
    pub frames: u64,
    /// Position in the file of the first byte of the samples.
    pub data_start: u64,
    /// True if the size of the samples was never filled in, so that they reach to the end of the file.
    pub unfinished: bool,
}

/// Format tags: values of `wFormatTag` in Microsoft's mmreg.h.
const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// Bytes 2 to 15 of the sub-format GUIDs that carry a `wFormatTag` in bytes 0 and 1.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// The size of a chunk whose true size is unknown (a stream) or is in the `ds64` chunk (RF64).
const UNKNOWN_SIZE: u32 = u32::MAX;

/// The contents of a `fmt ` chunk.
#[derive(Clone, Copy)]
struct FmtChunk {
    sample_rate: u32,
    channels: usize,
    format: WavFormat,
}

/// Parses the chunks up to the samples and leaves `file` at the first byte of the samples.
pub(super) fn parse<R: Read + Seek>(file: &mut R, path: &Path) -> Result<Header, WavError> {
    HeaderParser { file, path }.header()
}

/// A parser of one header; `path` is for messages.
struct HeaderParser<'a, R> {
    file: &'a mut R,
    path: &'a Path,
}

impl<R: Read + Seek> HeaderParser<'_, R> {
    fn header(&mut self) -> Result<Header, WavError> {
        let end = self.seek(SeekFrom::End(0))?;
        self.seek(SeekFrom::Start(0))?;
        let rf64 = self.riff()?;
        let (mut fmt, mut ds64_size) = (None, None);
        let mut position = 12;
        loop {
            let mut chunk = [0; 8];
            if self.fill(&mut chunk)? < 8 {
                let missing = if fmt.is_some() { "a data chunk" } else { "a fmt chunk and a data chunk" };
                return Err(self.damaged(missing, format!("the end of the file at byte {end}")));
            }
            position += 8;
            let size = u32_at(&chunk, 4);
            match &chunk[..4] {
                b"data" => {
                    let Some(fmt) = fmt else {
                        return Err(self.damaged("a fmt chunk before the data chunk", "none"));
                    };
                    let size = if rf64 && size == UNKNOWN_SIZE {
                        ds64_size.ok_or_else(|| self.damaged("a ds64 chunk in an RF64 file", "none"))?
                    } else {
                        u64::from(size)
                    };
                    return self.data(fmt, size, position, end, rf64);
                }
                b"fmt " => fmt = Some(self.fmt(size)?),
                b"ds64" if rf64 => {
                    let mut body = [0; 16];
                    if size < 16 || self.fill(&mut body)? < 16 {
                        return Err(self.damaged("a ds64 chunk of at least 16 bytes", format!("{size} bytes")));
                    }
                    let [low, high] = [u32_at(&body, 8), u32_at(&body, 12)].map(u64::from);
                    ds64_size = Some(high << 32 | low);
                }
                _ => {}
            }
            position += u64::from(size);
            if position > end {
                let name = printable(&chunk[..4]);
                return Err(self.damaged(
                    "chunks within the file",
                    format!("chunk {name} of {size} bytes, which ends at byte {position} of {end}"),
                ));
            }
            position = self.skip_to(position, size)?;
        }
    }

    /// Seeks to `position`, the end of a chunk of `size` bytes, or past its pad byte if it has one; returns the new position.
    /// Some writers leave out the pad byte of an odd chunk. A zero there is a pad byte, because no chunk's name begins with one.
    fn skip_to(&mut self, position: u64, size: u32) -> Result<u64, WavError> {
        self.seek(SeekFrom::Start(position))?;
        let mut pad = [1];
        if size.is_multiple_of(2) || (self.fill(&mut pad)? == 1 && pad == [0]) {
            return Ok(position + u64::from(size % 2));
        }
        self.seek(SeekFrom::Start(position))
    }

    /// Reads the first 12 bytes of the file; true for RF64, false for RIFF.
    fn riff(&mut self) -> Result<bool, WavError> {
        let mut start = [0; 12];
        let length = self.fill(&mut start)?;
        match (&start[..4], &start[8..]) {
            (b"RIFF", b"WAVE") if length == 12 => Ok(false),
            (b"RF64", b"WAVE") if length == 12 => Ok(true),
            _ => {
                let found = match length {
                    0 => "an empty file".to_string(),
                    1..12 => format!("{length} bytes"),
                    _ => format!("{} with {}", printable(&start[..4]), printable(&start[8..])),
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
        let channels = usize::from(u16_at(&body, 2));
        let sample_rate = u32_at(&body, 4);
        let frame_bytes = usize::from(u16_at(&body, 12));
        let bits = u16_at(&body, 14);
        let mut tag = u16_at(&body, 0);
        if tag == EXTENSIBLE {
            if length < 40 {
                return Err(self.damaged("40 bytes of fmt chunk in the extensible form", format!("{size}")));
            }
            if body[26..] != GUID_TAIL {
                return Err(self.unsupported("an extensible format of unknown kind".into()));
            }
            tag = u16_at(&body, 24);
        }
        let format = match (tag, bits) {
            (PCM, 9..=16) => WavFormat::Int16,
            (PCM, 17..=24) => WavFormat::Int24,
            (PCM, 25..=32) => WavFormat::Int32,
            (IEEE_FLOAT, 32) => WavFormat::Float32,
            (PCM, _) => return Err(self.unsupported(format!("{bits}-bit integer"))),
            (IEEE_FLOAT, _) => return Err(self.unsupported(format!("{bits}-bit float"))),
            _ => return Err(self.unsupported(format!("format tag {tag:#06x}{}", tag_name(tag)))),
        };
        if channels == 0 {
            return Err(WavError::Channels { path: self.path.into(), highest: usize::from(u16::MAX) / format.bytes(), found: 0 });
        }
        if sample_rate == 0 {
            return Err(WavError::Rate { path: self.path.into(), highest: u32::MAX, found: 0 });
        }
        if frame_bytes != channels * format.bytes() {
            return Err(self.damaged(
                format!("{} bytes for a frame of {channels} x {format}", channels * format.bytes()),
                format!("{frame_bytes}"),
            ));
        }
        Ok(FmtChunk { sample_rate, channels, format })
    }

    /// Computes the number of frames in the `data` chunk, and checks its size. Its contents begin at byte `start` and have `size`
    /// bytes according to its header; the file ends at byte `end`.
    fn data(&mut self, fmt: FmtChunk, size: u64, start: u64, end: u64, rf64: bool) -> Result<Header, WavError> {
        let frame_bytes = (fmt.channels * fmt.format.bytes()) as u64;
        let available = end - start;
        let unfinished = (size == u64::from(UNKNOWN_SIZE) && !rf64 && available < size)
            || (size == 0 && available > 0 && !self.only_chunks(start, end)?);
        let found_bytes = if unfinished { available - available % frame_bytes } else { size };
        let frames = found_bytes / frame_bytes;
        let path = || self.path.to_path_buf();
        if found_bytes > available {
            return Err(WavError::Truncated {
                path: path(),
                expected_bytes: size,
                found_bytes: available,
                frames: available / frame_bytes,
            });
        }
        if !found_bytes.is_multiple_of(frame_bytes) {
            return Err(WavError::CutFrame { path: path(), frame_bytes, found_bytes });
        }
        if frames == 0 {
            return Err(WavError::NoFrames { path: path() });
        }
        self.seek(SeekFrom::Start(start))?;
        let FmtChunk { sample_rate, channels, format } = fmt;
        Ok(Header { sample_rate, channels, format, frames, data_start: start, unfinished })
    }

    /// True if the bytes from `position` to the end of the file are a sequence of chunks.
    fn only_chunks(&mut self, mut position: u64, end: u64) -> Result<bool, WavError> {
        self.seek(SeekFrom::Start(position))?;
        while position < end {
            let mut chunk = [0; 8];
            if self.fill(&mut chunk)? < 8 || !chunk[..4].iter().all(|byte| (b' '..=b'~').contains(byte)) {
                return Ok(false);
            }
            let size = u32_at(&chunk, 4);
            position += 8 + u64::from(size);
            if position > end {
                return Ok(false);
            }
            position = self.skip_to(position, size)?;
        }
        Ok(true)
    }

    /// Fills `bytes` as far as the file reaches; returns the number of bytes read.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, WavError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(WavError::Io { path: self.path.into(), action: "read", source });
                }
            }
        }
        Ok(filled)
    }

    fn seek(&mut self, to: SeekFrom) -> Result<u64, WavError> {
        self.file.seek(to).map_err(|source| WavError::Io { path: self.path.into(), action: "read", source })
    }

    fn damaged(&self, expected: impl Into<String>, found: impl Into<String>) -> WavError {
        WavError::Header { path: self.path.into(), expected: expected.into(), found: found.into() }
    }

    fn unsupported(&self, found: String) -> WavError {
        WavError::Unsupported { path: self.path.into(), found }
    }
}

/// The name of a format tag of compressed samples (mmreg.h), for a message; empty for any other tag.
fn tag_name(tag: u16) -> &'static str {
    match tag {
        0x0002 => " (ADPCM)",
        0x0006 => " (A-law)",
        0x0007 => " (mu-law)",
        0x0011 => " (IMA ADPCM)",
        0x0031 => " (GSM 6.10)",
        0x0050 => " (MPEG)",
        0x0055 => " (MP3)",
        _ => "",
    }
}

/// A chunk's name in quotation marks, with unprintable bytes escaped, for a message.
fn printable(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
