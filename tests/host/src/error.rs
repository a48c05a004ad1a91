use std::path::PathBuf;

/// Why a plug-in cannot be loaded or does not do what a host asks of it.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{}: no CLAP plug-in: {reason}", path.display())]
    Load { path: PathBuf, reason: String },
    #[error("the plug-in has no {0} extension")]
    Extension(&'static str),
    #[error("no layout of {asked} channels; the plug-in offers {offered:?}")]
    Layout { asked: usize, offered: Vec<usize> },
    #[error("{parameter}: the plug-in takes '{text}' for no value")]
    Text { parameter: String, text: String },
    #[error("the plug-in did not save its state")]
    Save,
    #[error("the plug-in refused a state of {bytes} bytes")]
    LoadState { bytes: usize },
    #[error("the plug-in cannot be activated at {sample_rate} Hz with blocks of up to {max_frames} frames: {reason}")]
    Activate { sample_rate: f64, max_frames: u32, reason: String },
    #[error("processing failed in the block of frames {first} to {end}: {reason}")]
    Process { first: usize, end: usize, reason: String },
    #[error("the plug-in still asked for a restart or a call after {rounds} rounds")]
    Restless { rounds: usize },
}
