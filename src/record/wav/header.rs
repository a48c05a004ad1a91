//! The header of a file of a take, read.

use std::io::{self, Read, Seek, SeekFrom};

use super::{BEXT_BYTES, DS64_BYTES, Description, EXTENSIBLE, IEEE_FLOAT, PCM};
use crate::audio::Format;

/// What the header of a file says, and where its sound is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub description: Description,
    pub data_start: u64,
    /// As the header says.
    pub data_bytes: u64,
    /// The file's length, as the header says.
    pub riff_bytes: u64,
    /// The file's true length.
    pub file_bytes: u64,
    pub rf64: bool,
    /// All bytes before the sound.
    pub(super) bytes: Vec<u8>,
}

impl Header {
    /// Frames, as the header says.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.description.frame_bytes() as u64
    }

    /// Frames that are there: those of the header in a finished file; up to the end of the file in one that was left behind.
    #[must_use]
    pub fn frames_there(&self) -> u64 {
        let there = self.file_bytes.saturating_sub(self.data_start);
        let finished = self.riff_bytes >= self.file_bytes && self.data_bytes <= there;
        if finished { self.frames() } else { there / self.description.frame_bytes() as u64 }
    }

    /// Reads the header of a file that [`WavWriter`] wrote.
    ///
    /// # Errors
    /// What is wrong with the file, or the system's error.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, String> {
        let failed = |e: io::Error| format!("cannot read it: {e}");
        let file_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut head = Vec::new();
        file.take(4096).read_to_end(&mut head).map_err(failed)?;
        let form = head.get(..4).unwrap_or(&[]);
        let rf64 = form == b"RF64";
        if !(rf64 || form == b"RIFF") || head.get(8..12) != Some(b"WAVE") {
            return Err("it is no WAV file".into());
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
                    let description = described(fmt.ok_or("it has no fmt chunk before its sound")?, bext)?;
                    let data_start = at as u64 + 8;
                    let (riff_bytes, data_bytes) = match ds64 {
                        Some(sizes) if rf64 => sizes,
                        None if rf64 => return Err("it is RF64 without a ds64 chunk".into()),
                        _ => (u64::from(u32_at(&head, 4)), u64::from(size)),
                    };
                    let riff_bytes = riff_bytes.saturating_add(8);
                    let bytes = head[..at + 8].to_vec();
                    return Ok(Self { description, data_start, data_bytes, riff_bytes, file_bytes, rf64, bytes });
                }
                _ => {}
            }
            at += 8 + size as usize + size as usize % 2;
        }
        Err("it has no data chunk in its first 4096 bytes".into())
    }
}

fn described(fmt: &[u8], bext: Option<&[u8]>) -> Result<Description, String> {
    let bits = u16_at(fmt, 14);
    let tag = match u16_at(fmt, 0) {
        EXTENSIBLE if fmt.len() >= 40 => u16_at(fmt, 24),
        tag => tag,
    };
    let format = match (tag, bits) {
        (PCM, 16) => Format::Int16,
        (PCM, 24) => Format::Int24,
        (PCM, 32) => Format::Int32,
        (IEEE_FLOAT, 32) => Format::Float32,
        _ => return Err(format!("it has format tag {tag} with {bits} bits; expected 16, 24 or 32-bit integer or 32-bit float")),
    };
    let (channels, sample_rate) = (u16_at(fmt, 2), u32_at(fmt, 4));
    if channels == 0 || sample_rate == 0 {
        return Err(format!("it has {channels} channels at {sample_rate} Hz; expected 1 or more"));
    }
    let text = |range: std::ops::Range<usize>| {
        let bytes = bext.map_or(&[][..], |b| &b[range]);
        String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or(&[])).into_owned()
    };
    Ok(Description {
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
