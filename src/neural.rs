//! Neural models: reading their files, and the algorithm that plays them ([`ALGORITHM`]).
//!
//! The reader of a format turns a file into plain data: a [`ParsedModel`] with the [`description`] of its networks. A [`Model`]
//! is made from that once, is immutable and is shared. It holds the networks, packed for this machine by the native engine
//! ([`engine`], in `crates/kernels`) or run by ONNX Runtime (`onnx`). Each processor that plays the model has a state of its
//! own ([`engine::NetworkState`]).

mod alignment;
#[cfg(feature = "models")]
mod batch_norm;
#[cfg(feature = "models")]
mod budget;
mod chain;
#[cfg(feature = "models")]
mod format;
#[cfg(feature = "models")]
pub mod formats;
mod interleave;
#[cfg(feature = "models")]
mod json;
#[cfg(feature = "models")]
mod keras;
#[cfg(feature = "models")]
mod metadata;
mod model;
#[cfg(feature = "models")]
mod nam;
#[cfg(feature = "onnx")]
pub mod onnx;
mod processor;
#[cfg(feature = "models")]
mod proteus;
#[cfg(feature = "models")]
mod read;
mod resampler_pair;

pub use alignment::Alignment;
pub use isotherm_kernels::{activation, description, engine, simd};
pub use model::{Model, ModelError, ModelId, ModelInfo, ModelSize, ParsedModel, TestVector};
pub use processor::{
    ALGORITHM, CALIBRATE_INPUT, INTERFACE_LEVEL, NeuralProcessor, OVERSAMPLING, OutputMode, RENDER_OVERSAMPLING, SIZE,
    check_oversampling, knob_parameters, output_modes, uses_oversampling,
};
#[cfg(feature = "models")]
pub use read::MAX_FILE_BYTES;
