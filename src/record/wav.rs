//! The WAV files of a take: Broadcast Wave files that are playable while they grow and become RF64 in place before 4 GiB.
//!
//! Chunks: `RIFF`, `JUNK` (room for `ds64`), `fmt `, `bext`, `data`; after the sound of a finished file `iXML`, `cue ` and
//! `LIST`, since programs that read the recordings of desks accept no other chunk before the sound. RF64 is EBU Tech 3306, `bext`
//! EBU Tech 3285.

mod header;
mod writer;

use crate::audio::WavFormat;

pub use header::{WavHeader, WavHeaderError};
pub use writer::WavWriter;

/// Bytes of a `ds64` body without a table: three sizes of 8 bytes and the table's length.
const DS64_BYTES: usize = 28;
/// Bytes of a `bext` body without a coding history.
const BEXT_BYTES: usize = 602;
/// `wFormatTag` of integer samples in Microsoft's mmreg.h.
const FORMAT_PCM: u16 = 1;
/// `wFormatTag` of floats.
const FORMAT_IEEE_FLOAT: u16 = 3;
/// `wFormatTag` of files with more than 2 channels, whose sub-format GUID holds the tag of their samples.
const FORMAT_EXTENSIBLE: u16 = 0xFFFE;
/// Bytes 2 to 15 of a sub-format GUID whose bytes 0 and 1 are a `wFormatTag`.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// Contents of a file's `fmt ` and `bext` chunks: the format of the sound, and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavMetadata {
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u16,
    /// Sample format.
    pub format: WavFormat,
    /// Description of the sound; up to 256 characters are written, those beyond ASCII as `?`.
    pub text: String,
    /// Program that wrote the file; up to 32 characters are written.
    pub originator: String,
    /// Identifier of the take; up to 32 characters are written.
    pub reference: String,
    /// Date of the first frame, like `2026-11-20`.
    pub date: String,
    /// Time of the first frame, like `20:15:03`.
    pub time: String,
    /// Frames from midnight to the first frame.
    pub time_reference: u64,
}

impl WavMetadata {
    /// Bytes of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * self.format.bytes()
    }

    /// Bytes before the sound.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.header().len() as u64
    }

    /// Body of the `fmt ` chunk.
    fn fmt_body(&self) -> Vec<u8> {
        let tag = if self.format == WavFormat::Float32 { FORMAT_IEEE_FLOAT } else { FORMAT_PCM };
        let frame_bytes = self.frame_bytes();
        let mut body = Vec::new();
        body.extend((if self.channels > 2 { FORMAT_EXTENSIBLE } else { tag }).to_le_bytes());
        body.extend(self.channels.to_le_bytes());
        body.extend(self.sample_rate.to_le_bytes());
        body.extend(self.sample_rate.wrapping_mul(to_u32(frame_bytes)).to_le_bytes());
        body.extend(u16::try_from(frame_bytes).unwrap_or(u16::MAX).to_le_bytes());
        body.extend(self.format.bits().to_le_bytes());
        if self.channels > 2 {
            body.extend(22_u16.to_le_bytes());
            body.extend(self.format.bits().to_le_bytes());
            // The channel mask is 0: no channel belongs to a certain loudspeaker.
            body.extend(0_u32.to_le_bytes());
            body.extend(tag.to_le_bytes());
            body.extend(GUID_TAIL);
        } else if tag == FORMAT_IEEE_FLOAT {
            body.extend(0_u16.to_le_bytes());
        }
        body
    }

    /// Body of the `bext` chunk.
    fn bext_body(&self) -> Vec<u8> {
        let mut body = vec![0; BEXT_BYTES];
        let mut at = 0;
        let mut put = |text: &str, room: usize| {
            for (byte, c) in body[at..at + room].iter_mut().zip(text.chars()) {
                *byte = u8::try_from(c).ok().filter(|c| c.is_ascii() && !c.is_ascii_control()).unwrap_or(b'?');
            }
            at += room;
        };
        put(&self.text, 256);
        put(&self.originator, 32);
        put(&self.reference, 32);
        put(&self.date, 10);
        put(&self.time, 8);
        body[at..at + 8].copy_from_slice(&self.time_reference.to_le_bytes());
        // Version 1 of the chunk, which has no loudness.
        body[at + 8] = 1;
        body
    }

    /// All bytes before the sound, for an empty file.
    fn header(&self) -> Vec<u8> {
        let mut header = b"RIFF\0\0\0\0WAVE".to_vec();
        push_chunk(&mut header, b"JUNK", &[0; DS64_BYTES]);
        push_chunk(&mut header, b"fmt ", &self.fmt_body());
        push_chunk(&mut header, b"bext", &self.bext_body());
        header.extend(b"data\0\0\0\0");
        header
    }
}

/// Appends a chunk, padded to an even number of bytes.
fn push_chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    file.extend(name);
    file.extend(to_u32(body.len()).to_le_bytes());
    file.extend(body);
    file.resize(file.len() + body.len() % 2, 0);
}

/// Converts a size to 32 bits. The sizes here are far below the limit; one beyond it saturates.
fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// A named point of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CuePoint {
    /// Frame of the point, counted from the file's first.
    pub frame: u64,
    /// The name.
    pub name: String,
}

/// The chunks after the sound: `iXML` with this text, if it is not empty, and the cue points with their names. A cue chunk has
/// 32 bits for a frame; later points are left out.
#[must_use]
pub fn trailing_chunks(ixml: &str, cues: &[CuePoint]) -> Vec<u8> {
    let mut chunks = Vec::new();
    if !ixml.is_empty() {
        push_chunk(&mut chunks, b"iXML", ixml.as_bytes());
    }
    let cues: Vec<(u32, u32, &str)> =
        (1..).zip(cues).filter_map(|(id, cue)| Some((id, u32::try_from(cue.frame).ok()?, &*cue.name))).collect();
    if cues.is_empty() {
        return chunks;
    }
    let mut points = to_u32(cues.len()).to_le_bytes().to_vec();
    let mut labels = b"adtl".to_vec();
    for (id, frame, name) in cues {
        for field in [id, frame, u32::from_le_bytes(*b"data"), 0, 0, frame] {
            points.extend(field.to_le_bytes());
        }
        let mut label = id.to_le_bytes().to_vec();
        label.extend(name.bytes().filter(|b| *b != 0));
        label.push(0);
        push_chunk(&mut labels, b"labl", &label);
    }
    push_chunk(&mut chunks, b"cue ", &points);
    push_chunk(&mut chunks, b"LIST", &labels);
    chunks
}
