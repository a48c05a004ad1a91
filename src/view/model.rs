//! Models as a face shows them.

use std::path::PathBuf;
use std::sync::Arc;

/// How a slot stands with its model.
#[derive(Clone, Debug, Default)]
pub struct ModelView {
    /// Nothing without a model.
    pub model: Option<Arc<ModelFacts>>,
    /// Something that was asked for is not done yet.
    pub loading: bool,
    /// Why the last thing that was asked for was not done, in one line.
    pub error: Option<String>,
    /// Whether a folder is known to step through.
    pub steps: bool,
    /// What the browser shows.
    pub folder: Option<Arc<FolderView>>,
    /// What names of model files end with, as a user reads it: `.nam or .json`.
    pub endings: &'static str,
}

/// What is known of a model. What its file does not say is absent.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    pub name: String,
    /// Where the file was; it may be gone.
    pub path: Option<PathBuf>,
    pub author: Option<String>,
    pub gear: Option<String>,
    pub architecture: String,
    /// Numbers that training found.
    pub parameters: usize,
    /// In hertz.
    pub sample_rate: f32,
    pub sample_rate_given: bool,
    pub loudness_db: Option<f32>,
    /// Error to signal ratio that the trainer measured.
    pub esr: Option<f32>,
    /// Measured on this machine: nanoseconds a sample and channel.
    pub cost_ns: Option<f32>,
    /// Delay and polarity as they were measured.
    pub delay: Option<String>,
}

/// A folder on the machine.
#[derive(Clone, Debug, Default)]
pub struct FolderView {
    pub path: PathBuf,
    /// Names of the folders in it, sorted.
    pub folders: Vec<String>,
    /// Names of the model files in it, sorted.
    pub files: Vec<String>,
    /// Why it cannot be listed.
    pub error: Option<String>,
}
