//! WAV files, read and written as streams or whole: written in 16, 24 and 32-bit integer and 32-bit float, read also in 8-bit
//! integer, 64-bit float, A-law and mu-law ([`Encoding`]).
//!
//! **Reading** uses a chunk parser of our own, because the `hound` crate (3.5) does not skip the pad byte of an odd chunk,
//! refuses 32-bit integers under an 18-byte `fmt ` chunk, takes 24 valid bits in 4 bytes from the low end, does not know RF64,
//! and has error messages without numbers. The parser reads plain headers and `WAVE_FORMAT_EXTENSIBLE`; RIFF, RIFX, RF64 and BW64,
//! also behind an ID3 tag; with any chunks before the `data` chunk, padded or not. Samples with fewer valid bits than their
//! container (20 in 24, 24 in 32) are read as wide as the container, because the format puts the valid bits at its top.
//!
//! A header that contradicts the file is read as far as there is sound, and [`Reader::notes`] says what was odd:
//! - A recorder that crashed or wrote to a pipe leaves a size that it never filled in: 0 (while bytes follow that are not a
//!   sequence of chunks), 7FFFxxxx or FFFFFFxx. Everything up to the end of the file, or up to the chunks at its end, is samples;
//!   [`Reader::unfinished`] returns true.
//! - A size that is larger than the file: the whole frames that are there.
//! - A file of more than 4 GiB whose size wrapped: the size is as many times 4 GiB larger as fit into the file.
//! - A size that is too small, as a killed recorder leaves it: everything up to the end of the file, unless chunks, only
//!   zeros or an ID3v1 tag follow. So for a stream.
//! - A size of a frame that contradicts channels and bits: what channels and bits say.
//!
//! **Joining**: files of one rate, coding and number of channels are read end to end as one ([`Reader::followed_by`]), as those of
//! a recorder that begins another file each 4 GiB ([`numbered_pieces`]).
//!
//! **Mending**: [`mend`] copies a file that a crash left behind, with a header that is right.
//!
//! **Writing** uses `hound`: 16-bit mono and stereo get the plain header, everything else the extensible one. A file is written under a
//! temporary name beside its target and renamed when it is complete, so the target is never half written. A file holds at most
//! 4 GiB, unless it was created with room for 64-bit sizes ([`Writer::create_long`]). A stream has no sizes
//! ([`Writer::stream`]). For both, which `hound` does not write, the header is our own.

// A cast that wraps would misread a file.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod g711;
mod header;
mod mend;
mod pieces;
mod reader;
mod writer;

pub use mend::{MendReport, mend};
pub use pieces::numbered_pieces;
pub use reader::{NonFinitePolicy, Reader, is_sound_file, read, read_exact, read_with};
pub use writer::{WriteSummary, Writer, file_header, write};

use super::WavError;
use super::sample::Sample;
use std::fmt;

/// Bytes that are read at a time, or one frame if that is larger.
const CHUNK_BYTES: usize = 64 * 1024;

/// The coding of the samples in a WAV file that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// 8-bit integer, unsigned: 128 is silence.
    Unsigned8,
    /// 16-bit integer.
    Int16,
    /// 24-bit integer.
    Int24,
    /// 32-bit integer.
    Int32,
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
    /// A-law (ITU-T G.711), 8 bits; its values are 16-bit integers.
    ALaw,
    /// mu-law (ITU-T G.711), 8 bits; its values are 16-bit integers.
    MuLaw,
}

impl Encoding {
    /// Bytes of one sample: 1, 2, 3, 4 or 8. [any thread]
    pub fn bytes(self) -> usize {
        match self {
            Self::Unsigned8 | Self::ALaw | Self::MuLaw => 1,
            Self::Float64 => 8,
            other => other.format().bytes(),
        }
    }

    /// The narrowest format that holds the value of every sample exactly; for 64-bit float, which none holds, 32-bit float.
    /// [any thread]
    pub fn format(self) -> WavFormat {
        match self {
            Self::Unsigned8 | Self::Int16 | Self::ALaw | Self::MuLaw => WavFormat::Int16,
            Self::Int24 => WavFormat::Int24,
            Self::Int32 => WavFormat::Int32,
            Self::Float32 | Self::Float64 => WavFormat::Float32,
        }
    }

    /// True if `S` holds the value of every sample exactly. [any thread]
    pub fn fits<S: Sample>(self) -> bool {
        if self == Self::Float64 { S::FLOAT && S::BITS > 24 } else { self.format().fits::<S>() }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned8 => "8-bit integer",
            Self::Float64 => "64-bit float",
            Self::ALaw => "A-law",
            Self::MuLaw => "mu-law",
            other => return other.format().fmt(f),
        })
    }
}

/// The sample format of a WAV file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WavFormat {
    /// 16-bit integer.
    Int16,
    /// 24-bit integer.
    Int24,
    /// 32-bit integer.
    Int32,
    /// 32-bit float.
    Float32,
}

impl WavFormat {
    /// Every format, in the order of their definition.
    pub const ALL: [Self; 4] = [Self::Int16, Self::Int24, Self::Int32, Self::Float32];

    /// Bytes of one sample: 2, 3 or 4. [any thread]
    pub fn bytes(self) -> usize {
        match self {
            Self::Int16 => 2,
            Self::Int24 => 3,
            Self::Int32 | Self::Float32 => 4,
        }
    }

    /// Bits of one sample: 16, 24 or 32. [any thread]
    pub fn bits(self) -> u16 {
        match self {
            Self::Int16 => 16,
            Self::Int24 => 24,
            Self::Int32 | Self::Float32 => 32,
        }
    }

    /// True if `S` holds the value of every sample of this format exactly. [any thread]
    pub fn fits<S: Sample>(self) -> bool {
        match self {
            Self::Float32 => S::FLOAT,
            _ => u32::from(self.bits()) <= S::BITS,
        }
    }
}

impl fmt::Display for WavFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int16 => "16-bit integer",
            Self::Int24 => "24-bit integer",
            Self::Int32 => "32-bit integer",
            Self::Float32 => "32-bit float",
        })
    }
}
