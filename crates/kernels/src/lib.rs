//! The native engine: SIMD kernels, activation functions, networks and their states; convolution. It has no features and no dependencies, so
//! that it is compiled once for each profile, whatever features the main package is built with.
//!
//! A loader fills a [`description`] (plain data). [`engine::build`] packs it for this machine into an [`engine::Network`].
//! An [`engine::NetworkState`] is what one processor keeps from frame to frame for its channels.

pub mod activation;
pub mod convolution;
pub mod description;
pub mod engine;
mod network;
mod sequence;
mod series;
pub mod simd;
mod wavenet;

/// A block of samples: one slice for each channel, all of one length in frames. Full scale is 1.
pub type Block<'a> = [&'a mut [f32]];

/// Largest number of channels of a block.
pub const MAX_CHANNELS: usize = 128;

/// Largest number of frames that a network handles at a time, so that its data stay in the first-level cache. Longer blocks are
/// cut.
pub const CHUNK: usize = 64;
