//! Events that are sent to a recorder: each takes effect just before the frame at its position.

use std::path::PathBuf;

use super::settings::Channel;
use crate::source::SourceChange;

/// An event that the interface or the audio thread sends to the disk thread, together with its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecorderEvent {
    /// A take starts.
    Start,
    /// The take ends.
    Stop,
    /// A marker is set; without a name it gets a number.
    Mark(Option<String>),
    /// The source has ended for this reason, and the take ends with it.
    End(String),
    /// Takes that begin here or later have this description.
    Describe(Box<TakeDescription>),
    /// The next frames, of this number, are missing for this reason.
    Gap(u64, &'static str),
    /// A channel's metadata changed: at the event's position or, if the desk reported it late, between the given one and it.
    Change(Box<SourceChange>, Option<u64>),
}

/// The settings that can change while a recorder is open; they apply to the next take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeDescription {
    /// Folder that the take's folder is created in.
    pub folder: PathBuf,
    /// The take's name.
    pub name: String,
    /// Source of the sound, like a device's name; for the manifest.
    pub source: String,
    /// The recorded channels with their names.
    pub channels: Vec<Channel>,
}
