//! Takes: many channels to disk, a file each, provably nothing lost.
//!
//! [`Recorder::open`] gives two ends. The [`Writer`] belongs to the audio thread: it copies what it is given into a ring and never
//! waits. One disk thread empties the ring, converts ([`pcm`]) and writes ([`wav`]). The [`Recorder`] starts, stops, marks and
//! tells how it goes ([`Health`]). All positions are frames, counted from the first that the writer was given.
//!
//! A take is a folder: a file per channel and `take.json` ([`Manifest`]), which says what was captured, what was clipped, and what
//! was lost and where. [`verify`] checks every word of it; [`unfinished`] finds takes that a crash left behind, and [`recover`] makes
//! one whole. While it grows, a take on disk is at most a second behind, and its files are playable.
//!
//! Frames that find the ring full are lost in all stems alike: silence of their length is written, and the gap is listed.

mod describe;
pub mod disk;
mod event;
mod exchange;
mod health;
pub mod manifest;
mod name;
pub mod pcm;
mod pre_roll;
mod recorder;
mod recover;
mod ring;
mod settings;
mod take;
mod track;
mod verify;
mod view;
pub mod wav;
mod worker;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::source::NameError;

pub use health::{Health, Light, Phase};
pub use manifest::Manifest;
pub use recorder::Recorder;
pub use recover::{Recovered, recover, recover_while, unfinished, unfinished_text};
pub use ring::{Block, Word, Writer};
pub use settings::{Channel, Settings, Start, Stop};
pub use verify::{Verified, verify, verify_while};

/// Why a take cannot be made, checked or recovered. Every message is one line.
#[derive(Debug, Error)]
pub enum TakeError {
    #[error("cannot {action} {}: {source}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{}: it is no manifest of a take: {what}", .path.display())]
    Manifest { path: PathBuf, what: String },
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{field}: found {found}; expected {expected}")]
    Setting { field: &'static str, found: String, expected: String },
    /// The source has ended: nothing more can come.
    #[error("{what}")]
    Source { what: String },
    #[error("{}: {what}", .folder.display())]
    NoTake { folder: PathBuf, what: String },
    #[error("{}: the take is finished; `isotherm verify` checks it", .folder.display())]
    Finished { folder: PathBuf },
    #[error("{}: called off before it was done", .folder.display())]
    CalledOff { folder: PathBuf },
}

impl TakeError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    fn setting(field: &'static str, found: impl std::fmt::Display, expected: impl Into<String>) -> Self {
        Self::Setting { field, found: found.to_string(), expected: expected.into() }
    }
}
