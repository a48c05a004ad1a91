//! WAV files: 16, 24 and 32-bit integer and 32-bit float, read and written as streams or whole.
//!
//! **Reading** uses a chunk parser of our own, because the `hound` crate (3.5) does not skip the pad byte of an odd chunk,
//! refuses 32-bit integers under an 18-byte `fmt ` chunk, takes 24 valid bits in 4 bytes from the low end, does not know RF64,
//! and has error messages without numbers. The parser reads plain headers and `WAVE_FORMAT_EXTENSIBLE`, RIFF and RF64, with any
//! chunks before the `data` chunk, padded or not. Samples with fewer valid bits than their container (20 in 24, 24 in 32) are
//! read as wide as the container, because the format puts the valid bits at its top.
//!
//! A recorder that crashed or wrote to a pipe leaves FFFFFFFF, or 0, as the size of the `data` chunk:
//! - FFFFFFFF without RF64: everything up to the end of the file is samples.
//! - 0, while bytes follow that are not a sequence of chunks: likewise.
//!
//! An incomplete frame at the end is then dropped, and [`Reader::unfinished`] returns true. Any other size
//! that does not match the file is an error.
//!
//! **Writing** uses `hound`: 16-bit mono and stereo get the plain header, everything else the extensible one. A file
//! is written under a temporary name beside its target and renamed when it is complete, so the target is never half
//! written. A file holds at most 4 GiB; more is an error.

// A cast that wraps would misread a file.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod header;
mod reader;
mod writer;

pub use reader::{NonFinitePolicy, Reader, read, read_exact, read_with};
pub use writer::{WriteSummary, Writer, write};

use super::sample::Sample;
use std::fmt;

/// The sample format of a WAV file.
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
