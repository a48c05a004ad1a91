//! Neural models: files, and the algorithm that plays them. The native engine is a package of its own, `crates/kernels`.
//!
//! A [`Model`] is immutable, loaded and verified once and shared; what runs has a state of its own ([`engine::Voices`]). The loaders
//! turn a file into plain data ([`description`]), the engine packs that for the machine ([`engine`]).

mod alignment;
#[cfg(feature = "models")]
mod batch_norm;
#[cfg(feature = "models")]
mod budget;
#[cfg(feature = "models")]
mod format;
#[cfg(feature = "models")]
pub mod formats;
#[cfg(feature = "models")]
mod json;
#[cfg(feature = "models")]
mod keras;
mod model;
#[cfg(feature = "models")]
mod nam;
#[cfg(feature = "onnx")]
pub mod onnx;
mod play;
mod processor;
#[cfg(feature = "models")]
mod proteus;
mod rate;
#[cfg(feature = "models")]
mod read;

pub use alignment::Alignment;
pub use isotherm_kernels::{activation, description, engine, simd};
pub use model::{Golden, Info, Loaded, Model, ModelError, ModelId, Size};
pub use processor::{ALGORITHM, Neural, OutputMode, output_modes};
#[cfg(feature = "models")]
pub use read::MOST_BYTES;
