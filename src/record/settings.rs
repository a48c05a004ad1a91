//! The settings of a recorder.

use std::path::{Path, PathBuf};

use super::TakeError;
use super::pcm::Words;
use crate::audio::Format;
use crate::source::{DeskTrack, SourceChange, check_name};

/// Seconds that can be kept in front of a take.
const LONGEST_PRE_ROLL_SECONDS: f64 = 60.0;
/// Channels of a take.
const MOST_CHANNELS: usize = 512;

/// A channel that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The channel of the blocks that the writer is given, from 0.
    pub source: usize,
    /// The stem's name.
    pub name: String,
    /// For the manifest.
    pub desk: Option<DeskTrack>,
}

impl Channel {
    /// A channel of no desk.
    #[must_use]
    pub fn new(source: usize, name: impl Into<String>) -> Self {
        Self { source, name: name.into(), desk: None }
    }

    /// Brings what is said of it up to date, if the change is its source's; its stem keeps its name.
    pub(super) fn follow(&mut self, change: &SourceChange) {
        let Some(desk) = self.desk.as_mut().filter(|_| self.source == change.source) else { return };
        match change.what {
            "source" => desk.source = change.to.clone().unwrap_or_default(),
            "colour" => desk.colour.clone_from(&change.to),
            "note" => desk.note.clone_from(&change.to),
            _ => {}
        }
    }
}

/// What starts a take, besides [`Recorder::start`](super::Recorder::start) and [`Writer::start`](super::Writer::start).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Nothing.
    Hand,
    /// The first frame that is given.
    Now,
    /// A sample of at least this level on any recorded channel; then again after every stop.
    Level { db: f32 },
}

/// What ends a take, besides [`Recorder::stop`](super::Recorder::stop), [`Writer::stop`](super::Writer::stop) and the recorder's end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stop {
    /// This time after its start; the pre-roll comes on top.
    pub after_seconds: Option<f64>,
    /// No sample of at least `db` on any recorded channel for so many seconds.
    pub below: Option<(f32, f64)>,
}

/// What is recorded, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Takes are made in this folder; it is created if it does not exist.
    pub folder: PathBuf,
    /// Of the take: [`check_name`](crate::source::check_name).
    pub name: String,
    /// For the manifest: where the sound comes from, which form of it was asked for and which one is given.
    pub source: String,
    pub asked: String,
    pub granted: String,
    /// Hertz.
    pub sample_rate: u32,
    /// What the writer is given.
    pub words: Words,
    /// What the files get.
    pub format: Format,
    pub channels: Vec<Channel>,
    /// One more file, with all channels.
    pub interleaved: bool,
    /// Time that the ring holds: 4 bytes for each sample.
    pub buffer_seconds: f64,
    /// Time that is kept and put in front of a take, 0 to 60: 4 bytes for each sample.
    pub pre_roll_seconds: f64,
    pub start: Start,
    pub stop: Stop,
    /// New files after each such time.
    pub split_seconds: Option<f64>,
    /// Whether everything is brought to the disk itself every second: keeps a take through a loss of power.
    pub sync: bool,
    /// Whether the manifest has a SHA-256 of every file's sound.
    pub hashes: bool,
}

impl Settings {
    /// All of `channels` named by their numbers, as 24-bit stems, from the first frame to the end.
    #[must_use]
    pub fn new(folder: PathBuf, name: &str, sample_rate: u32, channels: usize) -> Self {
        Self {
            folder,
            name: name.into(),
            source: String::new(),
            asked: String::new(),
            granted: String::new(),
            sample_rate,
            words: Words::Float,
            format: Format::Int24,
            channels: (0..channels).map(|source| Channel::new(source, format!("Channel {}", source + 1))).collect(),
            interleaved: false,
            buffer_seconds: 10.0,
            pre_roll_seconds: 0.0,
            start: Start::Now,
            stop: Stop::default(),
            split_seconds: None,
            sync: true,
            hashes: true,
        }
    }

    pub(super) fn frames(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.sample_rate)).round() as u64
    }

    pub(super) fn check(&self) -> Result<(), TakeError> {
        check_name("name", &self.name)?;
        if !(1..=MOST_CHANNELS).contains(&self.channels.len()) {
            return Err(TakeError::setting("channels", self.channels.len(), format!("1 to {MOST_CHANNELS}")));
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
        let seconds = |field, found: f64, least: f64, most: f64| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(TakeError::setting(field, format_args!("{found} s"), format!("{least} to {most} s")))
        };
        const LONGEST: f64 = 1e9;
        seconds("buffer", self.buffer_seconds, 0.01, 600.0)?;
        seconds("pre-roll", self.pre_roll_seconds, 0.0, LONGEST_PRE_ROLL_SECONDS)?;
        seconds("split", self.split_seconds.unwrap_or(1.0), 1e-3, LONGEST)?;
        seconds("duration", self.stop.after_seconds.unwrap_or(1.0), 1e-3, LONGEST)?;
        seconds("silence", self.stop.below.map_or(1.0, |(_, seconds)| seconds), 1e-3, LONGEST)
    }
}

/// Whether the folder can be written shall be known before the start, not after it.
pub(super) fn check_folder(folder: &Path) -> Result<(), TakeError> {
    std::fs::create_dir_all(folder).map_err(|e| TakeError::io("create", folder, e))?;
    let probe = folder.join(format!(".isotherm-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(|e| TakeError::io("write to", folder, e))?;
    let _ = std::fs::remove_file(probe);
    Ok(())
}
