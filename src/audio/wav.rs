//! WAV files: 16, 24 and 32-bit integer and 32-bit float, read and written as streams or whole.
//!
//! **Reading** walks the chunks itself: hound 3.5 does not skip the pad byte of an odd chunk, refuses 32-bit integers under
//! an 18-byte `fmt `, takes 24 valid bits in 4 bytes for the low ones, knows no RF64, and its messages carry no
//! numbers. Read are plain headers and `WAVE_FORMAT_EXTENSIBLE`, RIFF and RF64, any chunks before the sound, padded or not. Fewer valid
//! bits than the container has (20 in 24, 24 in 32) are read with their container, at whose top the format puts them.
//!
//! A recorder that died or wrote to a pipe leaves a size of FFFFFFFF, or 0, for its sound:
//! - FFFFFFFF without RF64: everything up to the end of the file is the sound.
//! - 0, while bytes follow that are not a sequence of chunks: likewise.
//!
//! An unfinished frame at the end is then dropped; [`Reader::unfinished`] says that this happened. Any other size
//! that does not match the file is an error.
//!
//! **Writing** is hound's: 16-bit mono and stereo get the plain header, everything else the extensible one. A file
//! is written under another name beside its target and renamed when it is whole, so the target never holds half a
//! sound. Up to 4 GiB; what is longer is an error.

mod header;
mod reader;
mod writer;

pub use reader::{NonFinite, Reader, read, read_exact, read_with};
pub use writer::{Writer, Written, write};

use super::sample::Sample;
use std::fmt;

/// The form of the samples in a WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 16-bit integer.
    Int16,
    /// 24-bit integer.
    Int24,
    /// 32-bit integer.
    Int32,
    /// 32-bit float.
    Float32,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Int16, Self::Int24, Self::Int32, Self::Float32];

    /// Bytes of one sample. [any thread]
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

    /// Whether every sample of this format has a sample of `S` of exactly its value. [any thread]
    pub fn fits<S: Sample>(self) -> bool {
        match self {
            Self::Float32 => S::FLOAT,
            _ => u32::from(self.bits()) <= S::BITS,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int16 => "16-bit integer",
            Self::Int24 => "24-bit integer",
            Self::Int32 => "32-bit integer",
            Self::Float32 => "32-bit float",
        })
    }
}
