//! The native engine: SIMD kernels, activations, networks and their state. No features and no dependencies, so that it is compiled
//! once for each profile, whatever is built around it.
//!
//! A [`description`] is plain data that a loader made; [`engine::build`] packs it for the machine; [`engine::Voices`] is the state of
//! a number of channels.

pub mod activation;
pub mod description;
pub mod engine;
mod network;
mod sequence;
pub mod simd;
mod wavenet;

/// One block: a slice per channel, all of one length.
pub type Block<'a> = [&'a mut [f32]];

/// The most channels that a block may have.
pub const MAX_CHANNELS: usize = 128;

/// Frames that networks handle at a time: what they work on stays in the fastest cache.
pub const CHUNK: usize = 64;
