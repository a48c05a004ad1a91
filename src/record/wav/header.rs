//! Reading the header of a take's WAV file.

use std::io::{self, Read, Seek, SeekFrom};

use thiserror::Error;

use super::{BEXT_BYTES, DS64_BYTES, FORMAT_EXTENSIBLE, FORMAT_IEEE_FLOAT, FORMAT_PCM, WavMetadata};
use crate::audio::WavFormat;

/// Bytes of a file that are searched for its chunks up to `data`.
const SEARCHED_BYTES: u64 = 4096;

/// The header of a file that [`WavWriter`](super::WavWriter) wrote, and the position of its sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavHeader {
    /// Format and origin of the sound.
    pub metadata: WavMetadata,
    /// Offset of the sound's first byte in the file.
    pub data_start: u64,
    /// Bytes of sound according to the header.
    pub data_bytes: u64,
    /// Length of the file according to the header.
    pub riff_bytes: u64,
    /// Actual length of the file.
    pub file_bytes: u64,
    /// True if the file is RF64, whose sizes are in its `ds64` chunk.
    pub rf64: bool,
    /// All bytes before the sound.
    pub(super) bytes: Vec<u8>,
}

/// Error of reading a header. The messages follow the file's name and a colon.
#[derive(Debug, Error)]
pub enum WavHeaderError {
    /// The system's error.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// The file does not begin with `RIFF` or `RF64`, and `WAVE`.
    #[error("it is no WAV file")]
    NotWav,
    /// The `data` chunk has no usable `fmt ` chunk before it.
    #[error("it has no fmt chunk before its sound")]
    NoFormat,
    /// An RF64 file has no `ds64` chunk before its sound.
    #[error("it is RF64 without a ds64 chunk")]
    NoSizes,
    /// The `data` chunk does not begin in the searched part of the file.
    #[error("it has no data chunk in its first {} bytes", SEARCHED_BYTES)]
    NoData,
    /// The samples have a format that takes do not have.
    #[error("it has format tag {tag} with {bits} bits; expected 16, 24 or 32-bit integer or 32-bit float")]
    Format {
        /// `wFormatTag`, or that of the sub-format.
        tag: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// The number of channels or the sample rate is 0.
    #[error("it has {channels} channels at {sample_rate} Hz; expected 1 or more")]
    Empty {
        /// Number of channels.
        channels: u16,
        /// Sample rate in hertz.
        sample_rate: u32,
    },
}

impl WavHeader {
    /// Length in frames according to the header.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.metadata.frame_bytes() as u64
    }

    /// Frames that the file holds: in a finished file those of the header; in one that was left behind by a crash all up to its
    /// end.
    #[must_use]
    pub fn frames_present(&self) -> u64 {
        let bytes_present = self.file_bytes.saturating_sub(self.data_start);
        let finished = self.riff_bytes >= self.file_bytes && self.data_bytes <= bytes_present;
        if finished { self.frames() } else { bytes_present / self.metadata.frame_bytes() as u64 }
    }

    /// Reads the header of a file that [`WavWriter`](super::WavWriter) wrote.
    ///
    /// # Errors
    /// If the file cannot be read, or its header is not one that the writer writes.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, WavHeaderError> {
        let file_bytes = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        file.take(SEARCHED_BYTES).read_to_end(&mut head)?;
        let form = head.get(..4).unwrap_or(&[]);
        let rf64 = form == b"RF64";
        if !(rf64 || form == b"RIFF") || head.get(8..12) != Some(b"WAVE") {
            return Err(WavHeaderError::NotWav);
        }
        let (mut fmt, mut bext, mut ds64) = (None, None, None);
        let mut at = 12;
        while let Some(start) = head.get(at..at + 8) {
            let size = u32_at(start, 4);
            let body = head.get(at + 8..at + 8 + size as usize).unwrap_or(&[]);
            match &start[..4] {
                b"fmt " if body.len() >= 16 => fmt = Some(body),
                b"bext" if body.len() >= BEXT_BYTES => bext = Some(body),
                b"ds64" if body.len() >= DS64_BYTES => ds64 = Some((u64_at(body, 0), u64_at(body, 8))),
                b"data" => {
                    let metadata = parse_metadata(fmt.ok_or(WavHeaderError::NoFormat)?, bext)?;
                    let data_start = at as u64 + 8;
                    let (riff_bytes, data_bytes) = match ds64 {
                        Some(sizes) if rf64 => sizes,
                        None if rf64 => return Err(WavHeaderError::NoSizes),
                        _ => (u64::from(u32_at(&head, 4)), u64::from(size)),
                    };
                    let riff_bytes = riff_bytes.saturating_add(8);
                    let bytes = head[..at + 8].to_vec();
                    return Ok(Self { metadata, data_start, data_bytes, riff_bytes, file_bytes, rf64, bytes });
                }
                _ => {}
            }
            at += 8 + size as usize + size as usize % 2;
        }
        Err(WavHeaderError::NoData)
    }
}

/// Parses the bodies of a `fmt ` chunk and, if there is one, of a `bext` chunk.
fn parse_metadata(fmt: &[u8], bext: Option<&[u8]>) -> Result<WavMetadata, WavHeaderError> {
    let bits = u16_at(fmt, 14);
    let tag = match u16_at(fmt, 0) {
        FORMAT_EXTENSIBLE if fmt.len() >= 40 => u16_at(fmt, 24),
        tag => tag,
    };
    let format = match (tag, bits) {
        (FORMAT_PCM, 16) => WavFormat::Int16,
        (FORMAT_PCM, 24) => WavFormat::Int24,
        (FORMAT_PCM, 32) => WavFormat::Int32,
        (FORMAT_IEEE_FLOAT, 32) => WavFormat::Float32,
        _ => return Err(WavHeaderError::Format { tag, bits }),
    };
    let (channels, sample_rate) = (u16_at(fmt, 2), u32_at(fmt, 4));
    if channels == 0 || sample_rate == 0 {
        return Err(WavHeaderError::Empty { channels, sample_rate });
    }
    let text = |range: std::ops::Range<usize>| {
        let bytes = bext.map_or(&[][..], |b| &b[range]);
        String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or(&[])).into_owned()
    };
    Ok(WavMetadata {
        sample_rate,
        channels,
        format,
        text: text(0..256),
        originator: text(256..288),
        reference: text(288..320),
        date: text(320..330),
        time: text(330..338),
        time_reference: bext.map_or(0, |b| u64_at(b, 338)),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
