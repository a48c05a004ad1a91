//! Models: their files, and the networks that play them.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "models")]
mod files;
#[cfg(feature = "onnx")]
mod onnx;
mod oversampled;
mod realtime;
mod sequence;
mod series;
mod wavenet;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
