//! The twin of slot A, as panels show it and as a user asks for it: a neural network that is trained to sound as slot A does.

use std::path::PathBuf;

/// A size of twins: the network and the steps to train it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwinSize {
    /// The name that a user reads.
    pub name: &'static str,
    /// The network, as `train::Design::parse` reads it.
    pub network: &'static str,
    /// Steps of training.
    pub steps: u64,
    /// Seconds that they take on an idle machine, about.
    pub seconds: u32,
}

/// The sizes that a user can choose, the fastest first. Their steps are what one thread does in the time on an idle machine
/// (docs/training.md): the same steps give the same twin on a slower or a busy one, later.
pub const TWIN_SIZES: [TwinSize; 3] = [
    TwinSize { name: "Quick: lstm-8, 20 s", network: "lstm-8", steps: 25_000, seconds: 20 },
    TwinSize { name: "Good: lstm-16, 60 s", network: "lstm-16", steps: 25_000, seconds: 60 },
    TwinSize { name: "Best: lstm-24, 5 min", network: "lstm-24", steps: 68_000, seconds: 300 },
];

/// The training of a twin of slot A, and its way to slot B.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinView {
    /// The stage of the training.
    pub stage: TwinStage,
    /// True if slot B has the twin's model and was not set to play it yet: the panels then send [`TwinRequest::PlayInB`].
    pub play_pending: bool,
    /// True while the twin is on its way to slot B: its model is being loaded, or `play_pending`.
    pub starting_in_b: bool,
}

/// The stage of a training.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum TwinStage {
    /// No training runs, and there is no result.
    #[default]
    Idle,
    /// The reason why there is no twin, in one line.
    Failed(String),
    /// A training runs.
    Training {
        /// Name of the twin.
        name: String,
        /// A note for the user, such as settings that no network can learn; may be empty.
        note: String,
        /// Progress, 0 to 1; 0 while the training material is still made.
        done: f32,
        /// Estimated time left, in seconds.
        left_seconds: Option<f32>,
        /// Error-to-signal ratio (a power ratio) at its last measurement.
        esr: Option<f64>,
    },
    /// A twin is trained.
    Done {
        /// Name of the twin.
        name: String,
        /// A note for the user, such as settings that no network can learn; may be empty.
        note: String,
        /// Error-to-signal ratio (a power ratio) on material that was not trained on.
        esr: f64,
        /// Index in [`TWIN_SIZES`].
        size: usize,
        /// True if slot B plays it.
        plays_in_b: bool,
        /// The file that it was saved to.
        saved: Option<PathBuf>,
        /// The reason why it could not be saved.
        error: Option<String>,
    },
}

/// An action of the user on the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinRequest {
    /// Trains a twin of slot A as it is set now; with the index in [`TWIN_SIZES`].
    Train(usize),
    /// Cancels the training; nothing is kept.
    Cancel,
    /// Loads the twin into slot B, however good it is.
    LoadIntoB,
    /// Sets slot B to play the twin's model, which it has. The panels send it by themselves at [`TwinView::play_pending`].
    PlayInB,
    /// Saves the twin as a file in the user's folder of twins.
    Save,
    /// Drops the result; slot B keeps the model that it has.
    Dismiss,
}
