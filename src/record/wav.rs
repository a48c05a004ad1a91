//! One file of a take: a Broadcast Wave file that is playable while it grows and becomes RF64 in place before 4 GiB.
//!
//! `RIFF`, `JUNK` (the room of `ds64`), `fmt `, `bext`, `data`; behind the sound, when it is finished, `iXML`, `cue ` and `LIST`:
//! readers of desk sessions take nothing else before the sound. RF64 is EBU Tech 3306, `bext` EBU Tech 3285.

mod header;
mod writer;

use crate::audio::Format;

pub use header::Header;
pub use writer::WavWriter;

/// Body of `ds64` without a table: three sizes of 8 bytes and the table's length.
const DS64_BYTES: usize = 28;
/// `bext` without a coding history.
const BEXT_BYTES: usize = 602;
/// `wFormatTag` of Microsoft's mmreg.h.
const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// Bytes 2 to 15 of the sub-format GUIDs that carry a `wFormatTag` in bytes 0 and 1.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// What a file says of itself before its sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Hertz.
    pub sample_rate: u32,
    pub channels: u16,
    pub format: Format,
    /// Up to 256 characters; others than ASCII become `?`.
    pub text: String,
    /// Up to 32 characters.
    pub originator: String,
    /// Up to 32 characters.
    pub reference: String,
    /// `2026-11-20`
    pub date: String,
    /// `20:15:03`
    pub time: String,
    /// Frames from midnight to the first frame.
    pub time_reference: u64,
}

impl Description {
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

    fn fmt(&self) -> Vec<u8> {
        let tag = if self.format == Format::Float32 { IEEE_FLOAT } else { PCM };
        let frame_bytes = self.frame_bytes();
        let mut body = Vec::new();
        body.extend((if self.channels > 2 { EXTENSIBLE } else { tag }).to_le_bytes());
        body.extend(self.channels.to_le_bytes());
        body.extend(self.sample_rate.to_le_bytes());
        body.extend(self.sample_rate.wrapping_mul(frame_bytes as u32).to_le_bytes());
        body.extend((frame_bytes as u16).to_le_bytes());
        body.extend(self.format.bits().to_le_bytes());
        if self.channels > 2 {
            body.extend(22_u16.to_le_bytes());
            body.extend(self.format.bits().to_le_bytes());
            // No loudspeaker belongs to any channel.
            body.extend(0_u32.to_le_bytes());
            body.extend(tag.to_le_bytes());
            body.extend(GUID_TAIL);
        } else if tag == IEEE_FLOAT {
            body.extend(0_u16.to_le_bytes());
        }
        body
    }

    fn bext(&self) -> Vec<u8> {
        let mut body = vec![0; BEXT_BYTES];
        let mut at = 0;
        let mut put = |text: &str, room: usize| {
            for (byte, c) in body[at..at + room].iter_mut().zip(text.chars()) {
                *byte = if c.is_ascii() && !c.is_ascii_control() { c as u8 } else { b'?' };
            }
            at += room;
        };
        put(&self.text, 256);
        put(&self.originator, 32);
        put(&self.reference, 32);
        put(&self.date, 10);
        put(&self.time, 8);
        body[at..at + 8].copy_from_slice(&self.time_reference.to_le_bytes());
        // Version 1: without loudness.
        body[at + 8] = 1;
        body
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"RIFF\0\0\0\0WAVE".to_vec();
        chunk(&mut header, b"JUNK", &[0; DS64_BYTES]);
        chunk(&mut header, b"fmt ", &self.fmt());
        chunk(&mut header, b"bext", &self.bext());
        header.extend(b"data\0\0\0\0");
        header
    }
}

/// Appends a chunk, padded to even bytes.
fn chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    file.extend(name);
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file.resize(file.len() + body.len() % 2, 0);
}

/// A point with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Frames from the beginning of the file.
    pub frame: u64,
    pub name: String,
}

/// The chunks behind the sound: `iXML`, if it is not empty, and cue points with their names. A cue chunk has 32 bits for a frame;
/// points behind that are left out.
#[must_use]
pub fn tail(ixml: &str, cues: &[Cue]) -> Vec<u8> {
    let mut tail = Vec::new();
    if !ixml.is_empty() {
        chunk(&mut tail, b"iXML", ixml.as_bytes());
    }
    let cues: Vec<(u32, u32, &str)> =
        (1..).zip(cues).filter_map(|(id, cue)| Some((id, u32::try_from(cue.frame).ok()?, &*cue.name))).collect();
    if cues.is_empty() {
        return tail;
    }
    let mut points = (cues.len() as u32).to_le_bytes().to_vec();
    let mut labels = b"adtl".to_vec();
    for (id, frame, name) in cues {
        for field in [id, frame, u32::from_le_bytes(*b"data"), 0, 0, frame] {
            points.extend(field.to_le_bytes());
        }
        let mut label = id.to_le_bytes().to_vec();
        label.extend(name.bytes().filter(|b| *b != 0));
        label.push(0);
        chunk(&mut labels, b"labl", &label);
    }
    chunk(&mut tail, b"cue ", &points);
    chunk(&mut tail, b"LIST", &labels);
    tail
}
