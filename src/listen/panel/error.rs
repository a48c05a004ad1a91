//! Reasons why a panel, or a request of a listener, is refused.

use std::path::PathBuf;

use super::{MOST_LISTENERS, PANEL, PANEL_VERSION};
use crate::listen::folder::FolderError;
use crate::view::GateView;

/// The reason why a panel cannot be made, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// A file or session.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no plan.
    #[error("{}: no panel; expected a new folder, or one with {PANEL}", .0.display())]
    NotAPanel(PathBuf),
    /// A newer version wrote it.
    #[error("{}: the panel has version {found}, which a newer version of Isotherm wrote; expected {PANEL_VERSION} or older", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version.
        found: u64,
    },
    /// A file cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Another program serves it.
    #[error("{}: another program serves this panel; expected one that nobody serves", .0.display())]
    InUse(PathBuf),
    /// There is something already.
    #[error("{}: holds other files; expected a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The sides do not pass the gates.
    #[error("the test does not start: {}", .0.iter().find(|gate| !gate.passed).map_or("", |gate| &gate.text))]
    Gates(Vec<GateView>),
    /// The test cannot be prepared.
    #[error("{0}")]
    Preparation(String),
    /// Too many listeners, or none.
    #[error("{found} listeners; expected 1 to {MOST_LISTENERS}")]
    Listeners {
        /// The number.
        found: usize,
    },
    /// The sound is wider than a browser plays it.
    #[error("the sound has {found} channels; expected 1 or 2, as a browser would mix more of them")]
    Channels {
        /// The channels.
        found: usize,
    },
    /// The system has no random source.
    #[error("the system gives no random numbers ({0}), so nothing can be hidden; expected its random source")]
    Random(String),
}

/// The reason why a listener's request is refused, in words for the listener. None of them has a path, a side or another listener.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No link has this token.
    #[error("this link is not one of this test; expected the link that you were given, in full")]
    UnknownLink,
    /// The link is bound to another browser.
    #[error(
        "this link was opened in another browser already; go on there, or use the link for another device that is shown there"
    )]
    Bound,
    /// The visit is not the newest one, or there is none.
    #[error("the test goes on in another window, or the server was started again; go on here, or close this page")]
    OtherVisit,
    /// The request cannot be understood.
    #[error("{0}")]
    Malformed(String),
    /// The sound check is not passed.
    #[error("the sound check comes first")]
    SoundCheck,
    /// The browser would convert the sound.
    #[error(
        "this browser plays at {found} Hz and the sound has {expected} Hz; expected the same rate, as nothing is converted in a \
         test: set the sound device to {expected} Hz, or take another browser"
    )]
    Rate {
        /// Sample rate of the browser in Hz.
        found: f64,
        /// Sample rate of the sound in Hz.
        expected: f64,
    },
    /// The action is not for the step that the test waits for.
    #[error("{0}")]
    OutOfTurn(String),
    /// There is no such sound, or it was fetched before.
    #[error("no such sound, or it was fetched before; expected one of the present trial")]
    NoSound,
    /// Something could not be read or written; it can be tried again.
    #[error("this could not be written down, and nothing of it is kept; try it again, or tell the person who gave you the link")]
    NotWritten {
        /// The reason, for whoever runs the server.
        detail: String,
    },
    /// The session cannot go on.
    #[error("this session cannot go on; tell the person who gave you the link")]
    Lost {
        /// The reason, for whoever runs the server.
        detail: String,
    },
}

impl Refusal {
    /// A fault that is the server's.
    pub(super) fn not_written(error: impl std::fmt::Display) -> Self {
        Self::NotWritten { detail: error.to_string() }
    }

    /// The reason, for whoever runs the server; none if the listener's own words have it. [any thread]
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::NotWritten { detail } | Self::Lost { detail } => Some(detail),
            _ => None,
        }
    }
}
