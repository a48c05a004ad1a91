use std::path::PathBuf;

/// The reason why a plug-in cannot be loaded, or does not do what the host asks of it.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The file is not a plug-in that can be loaded.
    #[error("{}: no CLAP plug-in: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The reason, in words.
        reason: String,
    },
    /// The plug-in lacks an extension, or refuses a call of it. Holds the extension's name.
    #[error("the plug-in has no {0} extension")]
    Extension(&'static str),
    /// The plug-in has no layout with this number of channels.
    #[error("no layout of {asked} channels; the plug-in offers {offered:?}")]
    Layout {
        /// The number of channels that was asked for.
        asked: usize,
        /// The numbers of channels of all layouts.
        offered: Vec<usize>,
    },
    /// The plug-in reads no value from a text.
    #[error("{parameter}: the plug-in takes '{text}' for no value")]
    Text {
        /// Group and name of the parameter.
        parameter: String,
        /// The text.
        text: String,
    },
    /// The plug-in did not save its state.
    #[error("the plug-in did not save its state")]
    Save,
    /// The plug-in refused a state.
    #[error("the plug-in refused a state of {bytes} bytes")]
    LoadState {
        /// Length of the state.
        bytes: usize,
    },
    /// The plug-in cannot be activated.
    #[error("the plug-in cannot be activated at {sample_rate} Hz with blocks of up to {max_frames} frames: {reason}")]
    Activate {
        /// Sample rate in hertz.
        sample_rate: f64,
        /// Frames of the largest block.
        max_frames: u32,
        /// The reason, in words.
        reason: String,
    },
    /// The plug-in failed in a block.
    #[error("processing failed in the block of frames {first} to {end}: {reason}")]
    Process {
        /// First frame of the block.
        first: usize,
        /// Frame after the last one of the block.
        end: usize,
        /// The reason, in words.
        reason: String,
    },
    /// The plug-in does not stop asking for restarts or calls.
    #[error("the plug-in still asked for a restart or a call after {rounds} rounds")]
    Restless {
        /// Number of times that all requests were granted.
        rounds: usize,
    },
}
