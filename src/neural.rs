//! Neural models: files, the native engine, and the algorithm that plays them.
//!
//! A [`Model`] is immutable, loaded and verified once and shared; what runs has a state of its own ([`engine::Voices`]). The loaders
//! turn a file into plain data ([`description`]), the engine packs that for the machine ([`engine`]).

pub mod activation;
mod alignment;
#[cfg(feature = "models")]
mod budget;
pub mod description;
pub mod engine;
#[cfg(feature = "models")]
mod json;
#[cfg(feature = "models")]
mod keras;
mod model;
#[cfg(feature = "models")]
mod nam;
#[cfg(feature = "onnx")]
pub mod onnx;
mod processor;
#[cfg(feature = "models")]
mod proteus;
mod rate;
#[cfg(feature = "models")]
mod read;
mod sequence;
pub mod shelf;
pub mod simd;
mod wavenet;

pub use alignment::Alignment;
pub use model::{Format, Golden, Info, Loaded, Model, ModelError, Size};
pub use processor::{ALGORITHM, Neural, OutputMode, output_modes};
