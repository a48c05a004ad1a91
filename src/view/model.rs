//! Models of the slots, as panels show them.

use std::path::PathBuf;
use std::sync::Arc;

/// The model of a slot, and the requests for it.
#[derive(Clone, Debug, Default)]
pub struct ModelView {
    /// Facts about the model; None without a model.
    pub model: Option<Arc<ModelFacts>>,
    /// The use of each parameter while there is no model, as [`ModelFacts::parameter_uses`].
    pub uses_without_model: Vec<ParameterUse>,
    /// True while a request is not done yet.
    pub loading: bool,
    /// The reason why the last request failed, or a fault of the model while it played, in one line.
    pub error: Option<String>,
    /// True if there is a file from which the user can step to the next one in its folder.
    pub can_step: bool,
    /// The folder that the file browser shows.
    pub folder: Option<Arc<FolderView>>,
    /// The extensions of model files, as a user reads them: `.nam or .json`.
    pub extensions: &'static str,
}

/// Facts about a model. Those that its file does not hold are None.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    /// The model's name, or that of its file.
    pub name: String,
    /// The file that it was loaded from, which may be gone; None for a twin that is not saved.
    pub path: Option<PathBuf>,
    /// The person who made the model.
    pub author: Option<String>,
    /// The device that was modelled: make, model, type and tone, as far as they are known.
    pub gear: Option<String>,
    /// Architecture of the network, such as `LSTM`.
    pub architecture: String,
    /// Number of trained weights.
    pub parameters: usize,
    /// Sample rate in hertz at which the model was trained.
    pub sample_rate: f32,
    /// True if the file holds the sample rate; otherwise `sample_rate` is an assumption.
    pub sample_rate_given: bool,
    /// Loudness of the output in dB, as the trainer measured it.
    pub loudness_db: Option<f32>,
    /// Error-to-signal ratio (a power ratio) that the trainer measured.
    pub esr: Option<f32>,
    /// Processing time in nanoseconds per sample and channel, measured on this machine; None until it is measured.
    pub cost_ns: Option<f32>,
    /// Measured delay and polarity; None until they are measured.
    pub delay: Option<ModelDelay>,
    /// Measured aliasing for each of some sines, in the order of their frequencies; empty until it is measured.
    pub aliasing: Vec<ModelAliasingFacts>,
    /// The use that the model makes of each parameter of the algorithm that plays it, in their order. A parameter that is missing is
    /// used.
    pub parameter_uses: Vec<ParameterUse>,
}

/// The measured delay and polarity of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelDelay {
    /// Time by which the output is late, in samples at the model's rate.
    pub frames: f32,
    /// True if the model inverts the polarity.
    pub inverted: bool,
    /// True if the measurement is not sure.
    pub ambiguous: bool,
}

/// The measured aliasing of a model for a sine at -0.92 dBFS.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelAliasingFacts {
    /// Frequency of the sine in hertz.
    pub hz: f32,
    /// Aliasing to signal in dB of the model as it is, oversampled twice and four times; None where there is no figure.
    pub aliasing_db: [Option<f32>; 3],
}

/// The use that a model makes of a parameter of the algorithm that plays it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ParameterUse {
    /// The parameter has an effect.
    #[default]
    Used,
    /// The parameter has an effect, and this name in the model's file.
    Named(String),
    /// The parameter has no effect, so it is not shown.
    Unused,
}

/// A folder of the machine, as the file browser lists it.
#[derive(Clone, Debug, Default)]
pub struct FolderView {
    /// The folder's path.
    pub path: PathBuf,
    /// Names of the folders in it, sorted.
    pub folders: Vec<String>,
    /// Names of the model files in it, sorted.
    pub files: Vec<String>,
    /// The reason why the folder cannot be listed.
    pub error: Option<String>,
}
