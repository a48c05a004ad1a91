//! Models: their files, and the networks that play them.

#[cfg(feature = "models")]
mod files;
#[cfg(feature = "onnx")]
mod onnx;
mod realtime;
mod sequence;
mod wavenet;

use isotherm_support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
