//! Neural models: files, the native engine, and the algorithm that plays them.
//!
//! A [`Model`] is immutable, loaded and verified once and shared; what runs has a state of its own ([`engine::Voices`]). The loaders
//! turn a file into plain data ([`description`]), the engine packs that for the machine ([`engine`]).

pub mod activation;
pub mod description;
pub mod engine;
mod model;
#[cfg(feature = "onnx")]
pub mod onnx;
mod sequence;
pub mod shelf;
pub mod simd;
mod wavenet;

pub use model::{Format, Golden, Info, Loaded, Model, ModelError, Size};
