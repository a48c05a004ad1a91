//! The training of slot A's twin as a face shows it and as a user asks for it.

use std::path::PathBuf;

/// How large a twin is and how long it is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwinSize {
    pub name: &'static str,
    /// As `train::Design::parse` takes it.
    pub network: &'static str,
    /// Of training.
    pub seconds: u32,
}

/// What the list offers, the fastest first.
pub const TWIN_SIZES: [TwinSize; 3] = [
    TwinSize { name: "Quick: lstm-8, 20 s", network: "lstm-8", seconds: 20 },
    TwinSize { name: "Good: lstm-16, 60 s", network: "lstm-16", seconds: 60 },
    TwinSize { name: "Best: lstm-24, 5 min", network: "lstm-24", seconds: 300 },
];

/// How far the twin of slot A is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinView {
    pub stage: TwinStage,
    /// Slot B has the twin's model and was not set to play it yet: [`TwinWish::Seat`] is due.
    pub arrived: bool,
    /// Slot B is about to play it.
    pub coming: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum TwinStage {
    #[default]
    Idle,
    /// Why there is no twin, in one line.
    Failed(String),
    Training {
        /// Of the model.
        name: String,
        /// What a user should know of it; may be empty.
        note: String,
        /// 0 to 1; 0 while there is no sound to train on yet.
        done: f32,
        left_seconds: Option<f32>,
        /// Error to signal ratio, when it was last measured.
        esr: Option<f64>,
    },
    Done {
        name: String,
        note: String,
        esr: f64,
        /// Position in [`TWIN_SIZES`].
        size: usize,
        /// Slot B plays it.
        placed: bool,
        saved: Option<PathBuf>,
        /// Why it was not saved.
        error: Option<String>,
    },
}

/// What the strip asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinWish {
    /// Of slot A as it is set now; the position in [`TWIN_SIZES`].
    Train(usize),
    Cancel,
    /// Slot B gets the model, however good it is.
    Use,
    /// Slot B is set to play the model that it was given.
    Seat,
    /// As a file among the user's twins.
    Save,
    /// The result is forgotten; what slot B has stays.
    Dismiss,
}
