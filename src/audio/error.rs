//! Errors of buffers and WAV files. Each message has what was expected and what was found.

use super::wav::Encoding;
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

/// ` in channel N` for a message; empty without a channel.
fn in_channel(channel: &Option<usize>) -> String {
    channel.map(|c| format!(" in channel {c}")).unwrap_or_default()
}

/// The position of a zero in a divisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroPosition {
    /// The scalar itself.
    Scalar,
    /// A frame, counted from 0, of an array that applies to every channel.
    Frame(usize),
    /// One sample of a channels x frames array.
    Sample {
        /// Channel, counted from 0.
        channel: usize,
        /// Frame, counted from 0.
        frame: usize,
    },
}

impl fmt::Display for ZeroPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar => write!(f, "the scalar"),
            Self::Frame(frame) => write!(f, "every channel, frame {frame}"),
            Self::Sample { channel, frame } => write!(f, "channel {channel}, frame {frame}"),
        }
    }
}

/// An error while an [`Audio`](super::Audio) is made, changed or measured. The buffer is unchanged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// Two shapes differ. An array for every channel counts as `1 x frames`.
    #[error("expected {expected} (channels x frames), found {found}{}", in_channel(.channel))]
    WrongShape {
        /// The shape that was needed.
        expected: Shape,
        /// The shape that was given.
        found: Shape,
        /// The first channel, counted from 0, whose length differs, where channels are given one by one.
        channel: Option<usize>,
    },
    /// Interleaved samples that do not fill their last frame.
    #[error("expected whole frames of {channels} channels, found {samples} samples")]
    UnevenSamples {
        /// Number of channels.
        channels: usize,
        /// Number of samples that were given; no multiple of `channels`.
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
    /// A buffer of 0 channels.
    #[error("expected 1 channel or more, found 0")]
    NoChannels,
    /// The divisor is zero, or has a zero in it.
    #[error("division by zero at {at}")]
    DivisionByZero {
        /// Position of the first zero.
        at: ZeroPosition,
    },
    /// Frames outside the buffer.
    #[error("expected frames within 0..{frames}, found {start}..{end}")]
    OutOfRange {
        /// First frame asked for.
        start: usize,
        /// One past the last frame asked for.
        end: usize,
        /// Frames of the buffer.
        frames: usize,
    },
    /// A channel that the buffer does not have.
    #[error("expected a channel below {channels}, found channel {channel}")]
    NoSuchChannel {
        /// The channel asked for, counted from 0.
        channel: usize,
        /// Channels of the buffer.
        channels: usize,
    },
    /// The buffer to normalise is silent: no gain can raise it.
    #[error("expected a level above zero to normalise to {target_db} dB, found silence")]
    Silent {
        /// The level asked for, in dB of full scale.
        target_db: f64,
    },
    /// A NaN or an infinity where samples must be finite.
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
    /// An empty list where at least one buffer is needed.
    #[error("expected at least 1 buffer, found none")]
    NoBuffers,
}

/// An error while a WAV file is read or written. Each message is one line that begins with the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The operating system refused an operation.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation as a verb: `open`, `read`, `create`, `write` ...
        action: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file does not begin with the RIFF or RF64 header of a WAV file.
    #[error("{}: not a WAV file: expected RIFF or RF64 with WAVE, found {found}", .path.display())]
    NotWav {
        /// The file.
        path: PathBuf,
        /// The first bytes, as text for the message.
        found: String,
    },
    /// A header whose fields are missing or contradict one another.
    #[error("{}: damaged WAV header: expected {expected}, found {found}", .path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// The contents of a valid header.
        expected: String,
        /// The contents of this header.
        found: String,
    },
    /// Samples in a format that this library does not read.
    #[error("{}: expected integer samples of 8 to 32 bits, float of 32 or 64 bits, A-law or mu-law, found {found}", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The format of the samples.
        found: String,
    },
    /// A header with 0 channels, or a writer that was asked for 0 or too many.
    #[error("{}: expected 1 to {highest} channels, found {found}", .path.display())]
    Channels {
        /// The file.
        path: PathBuf,
        /// Largest number of channels whose frame size a WAV header can hold.
        highest: usize,
        /// The number of channels in the header, or asked for.
        found: usize,
    },
    /// A sample rate of 0 Hz, or one whose byte rate a WAV header cannot hold.
    #[error("{}: expected a sample rate of 1 to {highest} Hz, found {found} Hz", .path.display())]
    Rate {
        /// The file.
        path: PathBuf,
        /// Highest sample rate in Hz for this format and number of channels.
        highest: u32,
        /// The sample rate in Hz in the header, or asked for.
        found: u32,
    },
    /// A file without frames, or a writer that got none.
    #[error("{}: expected at least 1 frame of sound, found 0", .path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
    },
    /// A NaN or an infinity among float samples; see [`NonFinitePolicy`](super::NonFinitePolicy).
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
    /// A block whose channels or lengths do not match the file.
    #[error(
        "{}: expected a block of {expected} (channels x frames), found {found}{}",
        .path.display(),
        in_channel(.channel)
    )]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The shape that was needed.
        expected: Shape,
        /// The shape that was given.
        found: Shape,
        /// The first channel, counted from 0, whose length differs.
        channel: Option<usize>,
    },
    /// An exact read into a sample type that cannot hold every code of the file's format.
    #[error("{}: expected samples that {asked} holds exactly, found {found}", .path.display())]
    Inexact {
        /// The file.
        path: PathBuf,
        /// Name of the sample type asked for, such as `16-bit integer`.
        asked: &'static str,
        /// The coding of the file.
        found: Encoding,
    },
    /// More frames than a WAV file can hold.
    #[error(
        "{}: too long: expected at most {highest} frames in a WAV file of {channels} channels, found {found}",
        .path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Channels of the file.
        channels: usize,
        /// Largest number of frames that fit into 4 GiB.
        highest: u64,
        /// Frames given so far.
        found: u64,
    },
    /// A file that cannot be joined to another one.
    #[error("{}: cannot follow {}: expected {expected}, found {found}", .path.display(), .before.display())]
    Join {
        /// The file.
        path: PathBuf,
        /// The file that it was to follow.
        before: PathBuf,
        /// Channels, rate and coding of the file before it.
        expected: String,
        /// Channels, rate and coding of the file.
        found: String,
    },
    /// A file to be mended that is whole.
    #[error("{}: nothing to recover: expected a damaged file, found a whole one", .path.display())]
    Whole {
        /// The file.
        path: PathBuf,
    },
    /// A seek after the end of the file.
    #[error("{}: expected a frame of at most {frames}, found {frame}", .path.display())]
    NoSuchFrame {
        /// The file.
        path: PathBuf,
        /// The frame asked for.
        frame: u64,
        /// Frames of the file.
        frames: u64,
    },
}

impl WavError {
    /// [`WavError::Io`] for an `action` (a verb, as in "cannot read") on the file at `path`. [any thread]
    pub fn io(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), action, source }
    }
}
