//! Takes, as panels show them and as a user asks for them. A take is one recording; a stem is the file of one of its channels.

use std::path::PathBuf;

/// Names of the sources in the names of stems, in the order of [`TakeSetup::sources`].
const SOURCE_NAMES: [&str; 4] = ["Dry", "A", "B", "Out"];

/// The trigger that starts takes, besides the record button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum TakeStart {
    /// None: only the user starts a take. (Saved states call it `hand`.)
    #[default]
    #[cfg_attr(feature = "record", serde(rename = "hand"))]
    Manual,
    /// The host's transport: a take lasts while it runs.
    Transport,
    /// The level of the input: a take starts with a sample above [`TakeSetup::level_db`] and ends after
    /// [`TakeSetup::quiet_seconds`] below it.
    Level,
}

/// The setup of takes: sources, names, folder, trigger. Saved states hold it by these names, so fields are only ever added.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct TakeSetup {
    /// Folder in which takes are made; empty for the owner's default. Any path is saved and restored as it is.
    #[cfg_attr(feature = "record", serde(flatten, with = "saved_folder"))]
    pub folder: PathBuf,
    /// Name of the takes; empty for the owner's default.
    pub name: String,
    /// True for each source that is recorded: input, slot A, slot B, output.
    pub sources: [bool; 4],
    /// Names of the channels. A channel whose name is missing or empty has a number, or is L or R.
    pub channels: Vec<String>,
    /// The trigger that starts takes.
    pub start: TakeStart,
    /// Level of [`TakeStart::Level`], in dB of full scale.
    pub level_db: f32,
    /// Time below `level_db` that ends a take of [`TakeStart::Level`], in seconds.
    pub quiet_seconds: f64,
    /// Length of sound from before the start that a take begins with, 0 to 60 seconds.
    pub pre_roll_seconds: f64,
    /// Minutes after which a take goes on in new files; None for never.
    pub split_minutes: Option<f64>,
}

impl Default for TakeSetup {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            name: String::new(),
            sources: [true, true, true, false],
            channels: Vec::new(),
            start: TakeStart::Manual,
            level_db: -40.0,
            quiet_seconds: 5.0,
            pre_roll_seconds: 0.0,
            split_minutes: None,
        }
    }
}

impl TakeSetup {
    /// The name of a stem: source and channel, such as `Dry L`. The source is left out if it is the only one and the channel
    /// has a name of its own. `source`: index in [`Self::sources`], `channels`: number of channels of each source.
    #[must_use]
    pub fn stem_name(&self, source: usize, channel: usize, channels: usize) -> String {
        let only = self.sources.iter().filter(|on| **on).count() == 1;
        match self.channels.get(channel).filter(|name| !name.is_empty()) {
            Some(name) if only => name.clone(),
            Some(name) => format!("{} {name}", SOURCE_NAMES[source]),
            None if channels == 1 => SOURCE_NAMES[source].into(),
            None => format!("{} {}", SOURCE_NAMES[source], Self::channel_name(channel, channels)),
        }
    }

    /// The name of a channel without a name of its own: L or R of two channels, otherwise its number, starting at 1.
    #[must_use]
    pub fn channel_name(channel: usize, channels: usize) -> String {
        match (channels, channel) {
            (2, 0) => "L".into(),
            (2, 1) => "R".into(),
            _ => (channel + 1).to_string(),
        }
    }

    /// Indices in [`Self::sources`] of the sources that are recorded.
    pub fn chosen(&self) -> impl Iterator<Item = usize> + '_ {
        self.sources.iter().enumerate().filter(|(_, on)| **on).map(|(source, _)| source)
    }
}

/// A folder as saved states hold it: `folder` as text, and `folder_bytes` if the text is not the path, because a path of Unix may
/// be any bytes.
#[cfg(feature = "record")]
mod saved_folder {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct SavedFolder {
        folder: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        folder_bytes: Option<Vec<u8>>,
    }

    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let folder_bytes = path.to_str().is_none().then(|| path.as_os_str().as_encoded_bytes().to_vec());
        SavedFolder { folder: path.to_string_lossy().into_owned(), folder_bytes }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let SavedFolder { folder, folder_bytes } = SavedFolder::deserialize(deserializer)?;
        // A text that was changed by hand counts, not the bytes beside it.
        let bytes = folder_bytes.filter(|bytes| String::from_utf8_lossy(bytes) == folder);
        Ok(bytes.and_then(path_of_bytes).unwrap_or_else(|| folder.into()))
    }

    /// The path of these bytes; `None` on systems whose paths are not bytes.
    #[cfg(unix)]
    fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        Some(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into())
    }

    #[cfg(not(unix))]
    fn path_of_bytes(_: Vec<u8>) -> Option<PathBuf> {
        None
    }
}

/// Health of the take that runs, or of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeLight {
    /// All is well.
    #[default]
    Green,
    /// The disk was slow and the recorder's ring filled up to more than a tenth (stretched); nothing is missing.
    Yellow,
    /// Frames are lost, or the take ended with an error.
    Red,
}

/// A stem that is recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StemView {
    /// The stem's name.
    pub name: String,
    /// Largest magnitude since the last view; full scale is 1. NaN if a sample was NaN.
    pub peak: f32,
    /// Samples beyond full scale in the take.
    pub overs: u64,
}

/// The recorder and its takes, as the panel gets them for each frame of its window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TakeView {
    /// The setup of takes.
    pub setup: TakeSetup,
    /// Number of channels of each source.
    pub channels: usize,
    /// True in a program that records a device: sources and names are then chosen channel by channel elsewhere, and there is no
    /// transport.
    pub chosen_per_channel: bool,
    /// True if a recorder has to be open, also without a take.
    pub standby: bool,
    /// True if a recorder is open.
    pub ready: bool,
    /// True while a take runs.
    pub recording: bool,
    /// Health. This and the following fields are about the take that runs, or the last one.
    pub light: TakeLight,
    /// Length so far, in seconds.
    pub seconds: f64,
    /// Frames that are missing.
    pub lost_frames: u64,
    /// Length of what is missing, in seconds.
    pub lost_seconds: f64,
    /// Number of times that the recorder's ring filled up to more than a tenth, as the disk was slow.
    pub stretched: u64,
    /// Number of markers.
    pub markers: usize,
    /// Time that the disk has room for, in seconds; None if it is not known.
    pub disk_seconds_left: Option<f64>,
    /// Folder of the take.
    pub folder: Option<PathBuf>,
    /// The reason why there is no recorder, or why the take ended, in one line.
    pub error: Option<String>,
    /// The stems: source after source, each with all its channels. Empty without a recorder.
    pub stems: Vec<StemView>,
}

/// An action of the user on the recorder.
#[derive(Clone, Debug, PartialEq)]
pub enum TakeAction {
    /// Keeps a recorder open, or closes it.
    Standby(bool),
    /// Starts a take, or stops it.
    Record(bool),
    /// Sets a marker at the current frame.
    Mark,
    /// Changes the setup.
    Setup(TakeSetup),
}
