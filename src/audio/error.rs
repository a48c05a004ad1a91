//! What can go wrong with a buffer and with a WAV file: each message names what was expected and what was found.

use super::wav::Format;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Channels and frames of a buffer or an array, printed as `2 x 480`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Number of frames (samples of each channel).
    pub frames: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.channels, self.frames)
    }
}

/// Which part of a divisor is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// The scalar.
    Scalar,
    /// A frame of an array that goes to every channel.
    Frame(usize),
    /// One sample of a channels x frames array.
    Sample {
        /// Channel, counted from 0.
        channel: usize,
        /// Frame, counted from 0.
        frame: usize,
    },
}

impl fmt::Display for Divisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar => write!(f, "the scalar"),
            Self::Frame(frame) => write!(f, "every channel, frame {frame}"),
            Self::Sample { channel, frame } => write!(f, "channel {channel}, frame {frame}"),
        }
    }
}

/// Why an [`Audio`](super::Audio) could not be made, changed or measured. The buffer is as it was before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// Two shapes differ. An array for every channel counts as `1 x frames`.
    #[error("expected {expected} (channels x frames), found {found}{}", .channel.map(|c| format!(" in channel {c}")).unwrap_or_default())]
    WrongShape {
        /// The shape asked for.
        expected: Shape,
        /// The shape there is.
        found: Shape,
        /// The first channel whose length differs, where channels came one by one.
        channel: Option<usize>,
    },
    /// Interleaved samples that do not fill their last frame.
    #[error("expected whole frames of {channels} channels, found {samples} samples")]
    UnevenSamples {
        /// Channels asked for.
        channels: usize,
        /// Samples given.
        samples: usize,
    },
    /// Two buffers of different sample rates.
    #[error("other rate: {left} Hz and {right} Hz")]
    OtherRate {
        /// Sample rate in Hz of the first buffer.
        left: u32,
        /// Sample rate in Hz of the other.
        right: u32,
    },
    /// A sample rate of 0 Hz.
    #[error("expected a sample rate of 1 Hz or more, found 0 Hz")]
    ZeroRate,
    /// No channel.
    #[error("expected 1 channel or more, found 0")]
    NoChannels,
    /// A zero among the divisors.
    #[error("division by zero at {at}")]
    DivisionByZero {
        /// Where the first zero stands.
        at: Divisor,
    },
    /// Frames outside the buffer.
    #[error("expected frames within 0..{frames}, found {start}..{end}")]
    OutOfRange {
        /// First frame asked for.
        start: usize,
        /// One past the last frame asked for.
        end: usize,
        /// Frames there are.
        frames: usize,
    },
    /// A channel that is not there.
    #[error("expected a channel below {channels}, found channel {channel}")]
    NoSuchChannel {
        /// The channel asked for.
        channel: usize,
        /// Channels there are.
        channels: usize,
    },
    /// Silence has no level that a gain could bring to another.
    #[error("expected a level above zero to normalise to {target_db} dB, found silence")]
    Silent {
        /// The level asked for, in dB of full scale.
        target_db: f64,
    },
    /// A NaN or an infinity where a level was to be taken.
    #[error("expected finite samples, found {value} at channel {channel}, frame {frame}")]
    NotFinite {
        /// Channel, counted from 0.
        channel: usize,
        /// Frame, counted from 0.
        frame: usize,
        /// The sample.
        value: f64,
    },
    /// A parameter outside its range.
    #[error("{name}: expected {low} to {high}, found {found}")]
    Parameter {
        /// Name of the parameter, with its unit.
        name: &'static str,
        /// Lowest value allowed.
        low: f64,
        /// Highest value allowed.
        high: f64,
        /// The value given.
        found: f64,
    },
    /// A frequency that the sample rate cannot carry.
    #[error("{name}: expected above 0 and {limit} {limit_hz} Hz, found {found_hz} Hz")]
    Frequency {
        /// Name of the parameter.
        name: &'static str,
        /// `below` or `at most`.
        limit: &'static str,
        /// Half the sample rate in Hz.
        limit_hz: f64,
        /// The frequency given in Hz.
        found_hz: f64,
    },
    /// Nothing was given where at least one buffer is needed.
    #[error("expected at least 1 buffer, found none")]
    NoBuffers,
}

/// Why a WAV file could not be read or written. One line each, beginning with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The system refused.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not begin as a WAV file does.
    #[error("{}: not a WAV file: expected RIFF or RF64 with WAVE, found {found}", .path.display())]
    NotWav {
        /// The file.
        path: PathBuf,
        /// The first bytes.
        found: String,
    },
    /// A header whose fields are missing or contradict one another.
    #[error("{}: damaged WAV header: expected {expected}, found {found}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What a sound header has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// Samples in a form this library does not read.
    #[error("{}: expected 16, 24 or 32-bit integer or 32-bit float samples, found {found}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The form of the samples.
        found: String,
    },
    /// A header that says no channels, or a writer asked for none or too many.
    #[error("{}: expected 1 to {highest} channels, found {found}", .path.display())]
    Channels {
        /// The file.
        path: PathBuf,
        /// Most channels whose frame size a WAV header can hold.
        highest: usize,
        /// The number of channels.
        found: usize,
    },
    /// A sample rate of 0 Hz, or one whose byte rate a WAV header cannot hold.
    #[error("{}: expected a sample rate of 1 to {highest} Hz, found {found} Hz", .path.display())]
    Rate {
        /// The file.
        path: PathBuf,
        /// Highest sample rate in Hz for this format.
        highest: u32,
        /// The sample rate in Hz.
        found: u32,
    },
    /// No frames in the file, or none given to a writer.
    #[error("{}: expected at least 1 frame of sound, found 0", .path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
    },
    /// The file ends before its sound does.
    #[error("{}: truncated: expected {expected_bytes} bytes of sound, found {found_bytes} ({frames} whole frames)", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Size of the sound in bytes according to the header.
        expected_bytes: u64,
        /// Bytes there are.
        found_bytes: u64,
        /// Whole frames there are.
        frames: u64,
    },
    /// The sound ends inside a frame.
    #[error("{}: cut inside a frame: expected a multiple of {frame_bytes} bytes of sound, found {found_bytes}", .path.display())]
    CutFrame {
        /// The file.
        path: PathBuf,
        /// Bytes of a frame.
        frame_bytes: u64,
        /// Bytes of sound there are.
        found_bytes: u64,
    },
    /// A NaN or an infinity among float samples; see [`NonFinite`](super::NonFinite).
    #[error("{}: expected finite samples, found {value} at channel {channel}, frame {frame}", .path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Channel, counted from 0.
        channel: usize,
        /// Frame, counted from 0.
        frame: u64,
        /// The sample.
        value: f32,
    },
    /// A block whose channels do not fit the file.
    #[error("{}: expected a block of {expected} (channels x frames), found {found}{}", .path.display(), .channel.map(|c| format!(" in channel {c}")).unwrap_or_default())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The shape asked for.
        expected: Shape,
        /// The shape given.
        found: Shape,
        /// The first channel whose length differs.
        channel: Option<usize>,
    },
    /// An exact reading into a type that cannot hold every code of the file.
    #[error("{}: expected samples that {asked} holds exactly, found {found}", .path.display())]
    Inexact {
        /// The file.
        path: PathBuf,
        /// The sample type asked for.
        asked: &'static str,
        /// The format of the file.
        found: Format,
    },
    /// More than a WAV file can hold.
    #[error("{}: too long: expected at most {highest} frames in a WAV file of {channels} channels, found {found}", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Channels of the file.
        channels: usize,
        /// Most frames that fit into 4 GiB.
        highest: u64,
        /// Frames given so far.
        found: u64,
    },
    /// A frame to go to that is not there.
    #[error("{}: expected a frame of at most {frames}, found {frame}", .path.display())]
    NoSuchFrame {
        /// The file.
        path: PathBuf,
        /// The frame asked for.
        frame: u64,
        /// Frames there are.
        frames: u64,
    },
}

impl WavError {
    /// What the system refused. [any thread]
    pub fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), action, source }
    }
}
