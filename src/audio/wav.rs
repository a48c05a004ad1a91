//! WAV files: the forms of their samples.

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
