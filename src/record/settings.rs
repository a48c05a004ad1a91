//! The settings of a recorder.

use std::path::{Path, PathBuf};

use super::TakeError;
use super::pcm::WordFormat;
use crate::audio::WavFormat;
use crate::source::{DeskChannelInfo, SourceChange, check_name};

/// Longest pre-roll in seconds.
const MAX_PRE_ROLL_SECONDS: f64 = 60.0;
/// Largest number of channels of a take.
const MAX_CHANNELS: usize = 512;
/// Longest take and part of a take in seconds, about 30 years.
const MAX_SECONDS: f64 = 1e9;

/// A channel that is recorded, as a stem of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Index of the channel in the blocks that the writer is given, from 0.
    pub source_channel: usize,
    /// Name of the stem.
    pub name: String,
    /// The desk's metadata of the channel, for the manifest; `None` without a desk.
    pub desk: Option<DeskChannelInfo>,
}

impl Channel {
    /// A channel without a desk.
    #[must_use]
    pub fn new(source_channel: usize, name: impl Into<String>) -> Self {
        Self { source_channel, name: name.into(), desk: None }
    }

    /// Applies a change of this channel to the desk's metadata; the stem keeps its name. Changes of other channels do nothing.
    pub(super) fn apply(&mut self, change: &SourceChange) {
        let Some(desk) = self.desk.as_mut().filter(|_| self.source_channel == change.source_channel) else { return };
        match change.what {
            "source" => desk.source = change.to.clone().unwrap_or_default(),
            "colour" => desk.colour.clone_from(&change.to),
            "note" => desk.note.clone_from(&change.to),
            _ => {}
        }
    }
}

/// The trigger that starts a take, besides [`Recorder::start`](super::Recorder::start) and
/// [`Writer::start`](super::Writer::start).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StartTrigger {
    /// No other trigger: the user starts each take.
    Manual,
    /// The first frame that the writer is given.
    Now,
    /// A sample of at least this level on any recorded channel; after every stop the recorder waits for the level again.
    Level {
        /// The level in dBFS.
        db: f32,
    },
}

/// The conditions that end a take, besides [`Recorder::stop`](super::Recorder::stop), [`Writer::stop`](super::Writer::stop) and
/// closing the recorder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopConditions {
    /// Length of a take in seconds, counted from its start; the pre-roll is added to it.
    pub after_seconds: Option<f64>,
    /// A level in dBFS and a time in seconds: the take ends when no sample of any recorded channel has reached the level for that
    /// time.
    pub below: Option<(f32, f64)>,
}

/// Settings of a recorder: the sound that it is given, and the takes that it writes.
#[derive(Clone, Debug, PartialEq)]
pub struct RecorderSettings {
    /// Folder that the takes' folders are created in; it is created if it does not exist.
    pub folder: PathBuf,
    /// Name of the take, as [`check_name`](crate::source::check_name) allows it.
    pub name: String,
    /// Source of the sound, like a device's name; for the manifest.
    pub source: String,
    /// The rate, channels and sample format that were requested from the source, as text for the manifest.
    pub requested: String,
    /// The rate, channels and sample format that the source delivers, as text for the manifest.
    pub granted: String,
    /// Sample rate in hertz, 1 to 10 000 000.
    pub sample_rate: u32,
    /// Sample format of the blocks that the writer is given.
    pub word_format: WordFormat,
    /// Sample format of the files.
    pub format: WavFormat,
    /// The recorded channels, 1 to 512, with different names.
    pub channels: Vec<Channel>,
    /// True to write an additional file with all channels.
    pub interleaved: bool,
    /// Time that the ring holds in seconds, 0.01 to 600; needs 4 bytes per sample.
    pub buffer_seconds: f64,
    /// Time before the start that a take contains, in seconds, 0 to 60; needs 4 bytes per sample.
    pub pre_roll_seconds: f64,
    /// The trigger that starts a take.
    pub start: StartTrigger,
    /// The conditions that end a take.
    pub stop: StopConditions,
    /// Length in seconds of the parts that files are split into, 0.001 to 1e9; `None` to not split them.
    pub split_seconds: Option<f64>,
    /// True to flush the system's cache to the disk every second, so that a take survives a loss of power.
    pub sync: bool,
    /// True to store the SHA-256 of each file's sound in the manifest.
    pub hashes: bool,
}

impl RecorderSettings {
    /// Settings that record `channels` channels of floats, named by their numbers, as 24-bit stems, starting at the first frame.
    #[must_use]
    pub fn new(folder: PathBuf, name: &str, sample_rate: u32, channels: usize) -> Self {
        Self {
            folder,
            name: name.into(),
            source: String::new(),
            requested: String::new(),
            granted: String::new(),
            sample_rate,
            word_format: WordFormat::Float,
            format: WavFormat::Int24,
            channels: (0..channels).map(|index| Channel::new(index, format!("Channel {}", index + 1))).collect(),
            interleaved: false,
            buffer_seconds: 10.0,
            pre_roll_seconds: 0.0,
            start: StartTrigger::Now,
            stop: StopConditions::default(),
            split_seconds: None,
            sync: true,
            hashes: true,
        }
    }

    /// Converts seconds to frames, rounded to the nearest.
    pub(super) fn frames(&self, seconds: f64) -> u64 {
        seconds_to_frames(seconds, self.sample_rate)
    }

    /// Checks names, numbers and ranges.
    pub(super) fn check(&self) -> Result<(), TakeError> {
        check_name("name", &self.name)?;
        if !(1..=MAX_CHANNELS).contains(&self.channels.len()) {
            return Err(TakeError::setting("channels", self.channels.len(), format!("1 to {MAX_CHANNELS}")));
        }
        for (index, channel) in self.channels.iter().enumerate() {
            check_name("channel name", &channel.name)?;
            if let Some(other) = self.channels[..index].iter().position(|c| c.name == channel.name) {
                let found = format!("'{}' for stems {} and {}", channel.name, other + 1, index + 1);
                return Err(TakeError::setting("channel name", found, "a name of its own for each stem"));
            }
        }
        if !(1..=10_000_000).contains(&self.sample_rate) {
            return Err(TakeError::setting("sample rate", self.sample_rate, "1 to 10000000 Hz"));
        }
        let check_seconds = |field, found: f64, min: f64, max: f64| {
            if (min..=max).contains(&found) {
                return Ok(());
            }
            Err(TakeError::setting(field, format_args!("{found} s"), format!("{min} to {max} s")))
        };
        check_seconds("buffer", self.buffer_seconds, 0.01, 600.0)?;
        check_seconds("pre-roll", self.pre_roll_seconds, 0.0, MAX_PRE_ROLL_SECONDS)?;
        check_seconds("split", self.split_seconds.unwrap_or(1.0), 1e-3, MAX_SECONDS)?;
        check_seconds("duration", self.stop.after_seconds.unwrap_or(1.0), 1e-3, MAX_SECONDS)?;
        check_seconds("silence", self.stop.below.map_or(1.0, |(_, seconds)| seconds), 1e-3, MAX_SECONDS)
    }
}

/// Converts seconds to frames, rounded to the nearest; negative times become 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the float is rounded, and a cast of a float to an integer saturates"
)]
pub(super) fn seconds_to_frames(seconds: f64, sample_rate: u32) -> u64 {
    (seconds * f64::from(sample_rate)).round() as u64
}

/// Creates the folder if it is missing and tries to write a file in it, so that a user learns of an error before the start.
pub(super) fn check_folder(folder: &Path) -> Result<(), TakeError> {
    std::fs::create_dir_all(folder).map_err(|e| TakeError::io("create", folder, e))?;
    let probe = folder.join(format!(".isotherm-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(|e| TakeError::io("write to", folder, e))?;
    let _ = std::fs::remove_file(probe);
    Ok(())
}
