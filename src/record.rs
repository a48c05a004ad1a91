//! Takes: recordings of many channels to disk, one file per channel, in which every frame is either written or listed as lost.
//!
//! [`Recorder::open`] returns two ends. The [`Writer`] belongs to the audio thread: it copies blocks into a ring and does not
//! wait. The disk thread, one per recorder, empties the ring, converts the samples ([`pcm`]) and writes them ([`wav`]). The
//! [`Recorder`] starts, stops and marks takes and reports their [`Health`]. A position is a frame, counted from the first frame
//! that the writer was given.
//!
//! A take is a folder with a file per channel and `take.json` ([`Manifest`]), which lists what was recorded, how many samples
//! were beyond full scale, and which frames were lost. [`verify`] checks the files against the manifest; [`unfinished_takes`]
//! finds takes that a crash left behind, and [`recover`] completes one. While a take grows, its files are playable and at most a
//! second behind.
//!
//! Frames that find the ring full are lost in all stems alike: silence of the same length is written, and the gap is listed.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod block_view;
mod event;
mod file_name;
pub mod file_system;
mod health;
pub mod manifest;
mod metadata;
mod output_file;
pub mod pcm;
mod pre_roll;
mod recorder;
mod recover;
mod ring;
mod settings;
mod shared;
mod take;
mod verify;
pub mod wav;
mod worker;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::source::NameError;

pub use health::{Health, RecorderPhase, StatusLight};
pub use manifest::Manifest;
pub use recorder::Recorder;
pub use recover::{RecoverReport, recover, recover_with_progress, unfinished_message, unfinished_takes};
pub use ring::{RingBlockWriter, SampleWord, Writer};
pub use settings::{Channel, RecorderSettings, StartTrigger, StopConditions};
pub use verify::{VerifyReport, verify, verify_with_progress};

/// Error of recording, checking or recovering a take. Every message is one line.
#[derive(Debug, Error)]
pub enum TakeError {
    /// The system refused an operation on a file or folder.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// The verb of the operation, like `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// `take.json` cannot be parsed, or is of another version.
    #[error("{}: it is no manifest of a take: {what}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The parser's message, or the version that was found.
        what: String,
    },
    /// The take or a channel has a name that file systems refuse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting of the recorder is out of range.
    #[error("{field}: found {found}; expected {expected}")]
    Setting {
        /// The setting, like `pre-roll`.
        field: &'static str,
        /// Value of the setting, with the unit.
        found: String,
        /// The range, with the unit.
        expected: String,
    },
    /// The source ended while the take ran: no more frames can be recorded.
    #[error("{what}")]
    SourceEnded {
        /// The reason, as [`Recorder::source_ended`] was given it.
        what: String,
    },
    /// The folder has no take that can be recovered now.
    #[error("{}: {what}", .folder.display())]
    CannotRecover {
        /// The take's folder.
        folder: PathBuf,
        /// The reason.
        what: String,
    },
    /// The take to recover is finished already.
    #[error("{}: the take is finished; `isotherm verify` checks it", .folder.display())]
    Finished {
        /// The take's folder.
        folder: PathBuf,
    },
    /// The caller cancelled the check or the recovery.
    #[error("{}: called off before it was done", .folder.display())]
    Cancelled {
        /// The take's folder.
        folder: PathBuf,
    },
}

impl TakeError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }

    fn setting(field: &'static str, found: impl std::fmt::Display, expected: impl Into<String>) -> Self {
        Self::Setting { field, found: found.to_string(), expected: expected.into() }
    }
}

/// Converts a count of frames or bytes to `usize`; a count beyond the address space saturates.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
