//! Neural models: files, the native engine, and the algorithm that plays them.
//!
//! A [`Model`] is immutable, loaded and verified once and shared; what runs has a state of its own ([`engine::Voices`]). The loaders
//! turn a file into plain data ([`description`]), the engine packs that for the machine ([`engine`]).

pub mod activation;
mod alignment;
pub mod description;
pub mod engine;
mod model;
mod processor;
mod rate;
mod sequence;
pub mod shelf;
pub mod simd;
mod wavenet;

pub use alignment::Alignment;
pub use model::{Format, Golden, Info, Loaded, Model, ModelError, Size};
pub use processor::{ALGORITHM, Neural, OutputMode, output_modes};
