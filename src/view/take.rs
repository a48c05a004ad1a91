//! Takes as a face shows them and as a user asks for them.

use std::path::PathBuf;

/// What can be recorded, in the order of [`TakeSetup::sources`], as stems are called.
const STEMS: [&str; 4] = ["Dry", "A", "B", "Out"];

/// What starts a take, besides a hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum TakeStart {
    #[default]
    Hand,
    /// The host plays; the take ends when it stops.
    Transport,
    /// A sample of a level; the take ends when it has been quiet for a time.
    Level,
}

/// What is recorded, and where. A state keeps it: fields are only ever added.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct TakeSetup {
    /// Where takes are made; empty for the folder that the owner prefers.
    pub folder: PathBuf,
    /// Of the take; empty for the owner's.
    pub name: String,
    /// Input, slot A, slot B, output.
    pub sources: [bool; 4],
    /// Names of the channels; one that lacks or is empty has a number, or L and R.
    pub channels: Vec<String>,
    pub start: TakeStart,
    /// Of [`TakeStart::Level`]: decibels of full scale, and seconds below it that end a take.
    pub level_db: f32,
    pub quiet_seconds: f64,
    /// 0 to 60, put in front of a take.
    pub pre_roll_seconds: f64,
    /// New files after so long.
    pub split_minutes: Option<f64>,
}

impl Default for TakeSetup {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            name: String::new(),
            sources: [true, true, true, false],
            channels: Vec::new(),
            start: TakeStart::Hand,
            level_db: -40.0,
            quiet_seconds: 5.0,
            pre_roll_seconds: 0.0,
            split_minutes: None,
        }
    }
}

impl TakeSetup {
    /// The name of a stem: its source's and its channel's. A channel with a name of its own needs no source beside it if there is
    /// only one.
    #[must_use]
    pub fn stem_name(&self, source: usize, channel: usize, channels: usize) -> String {
        let only = self.sources.iter().filter(|on| **on).count() == 1;
        match self.channels.get(channel).filter(|name| !name.is_empty()) {
            Some(name) if only => name.clone(),
            Some(name) => format!("{} {name}", STEMS[source]),
            None if channels == 1 => STEMS[source].into(),
            None => format!("{} {}", STEMS[source], Self::number(channel, channels)),
        }
    }

    /// A channel that has no name of its own: its number, or L and R.
    #[must_use]
    pub fn number(channel: usize, channels: usize) -> String {
        match (channels, channel) {
            (2, 0) => "L".into(),
            (2, 1) => "R".into(),
            _ => (channel + 1).to_string(),
        }
    }

    /// Sources that are recorded, as positions in [`Self::sources`].
    pub fn chosen(&self) -> impl Iterator<Item = usize> + '_ {
        self.sources.iter().enumerate().filter(|(_, on)| **on).map(|(source, _)| source)
    }
}

/// How the take of now, or the last one, is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeLight {
    #[default]
    Green,
    /// The buffer was stretched; nothing is missing.
    Yellow,
    /// Frames are lost, or the take ended in an error.
    Red,
}

/// A stem that is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StemView {
    pub name: String,
    /// The largest magnitude since the last view; full scale is 1. What was no number is none here.
    pub peak: f32,
    /// Samples beyond full scale in the take.
    pub overs: u64,
}

/// What the recorder tells, once a frame of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TakeView {
    pub setup: TakeSetup,
    /// Of each source.
    pub channels: usize,
    /// What is recorded, and what it is called, is chosen elsewhere: channel by channel of a device, which has no transport.
    pub by_strip: bool,
    /// A recorder is wanted.
    pub armed: bool,
    /// There is one.
    pub ready: bool,
    pub recording: bool,
    /// From here on of the take of now, or of the last one.
    pub light: TakeLight,
    pub seconds: f64,
    pub lost_frames: u64,
    /// Times that the buffer was stretched.
    pub stretched: u64,
    pub markers: usize,
    pub disk_seconds_left: Option<f64>,
    pub folder: Option<PathBuf>,
    /// One line.
    pub error: Option<String>,
    /// Source after source, each with all its channels; nothing without a recorder.
    pub stems: Vec<StemView>,
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq)]
pub enum TakeAction {
    Arm(bool),
    Record(bool),
    /// A marker, now.
    Mark,
    Setup(TakeSetup),
}
