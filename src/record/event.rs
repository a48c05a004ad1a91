//! Events of a take, at the frames of its time.

use std::path::PathBuf;

use super::settings::Channel;
use crate::source::SourceChange;

/// What a take is told, at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Start,
    Stop,
    Mark(Option<String>),
    /// The source has ended, for this reason: so does the take.
    End(String),
    /// Takes that begin from here on are called otherwise.
    Describe(Box<Description>),
    /// So many frames from here on will not come, and why.
    Gap(u64, &'static str),
    /// What became different about the source's channel here, or between the position given and here.
    Change(Box<SourceChange>, Option<u64>),
}

/// What takes are called, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub folder: PathBuf,
    pub name: String,
    pub source: String,
    pub channels: Vec<Channel>,
}
