//! Tests of the modules at the bottom, which need no feature: audio buffers, WAV files, generators, the graph.

#![allow(clippy::unwrap_used)]

mod alloc;
mod audio;
mod generate;
mod graph;
mod wav;
mod wav_kinds;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
