//! The laws: properties that every algorithm of the registry must have. Also golden renders, effects as values, and tests that
//! the audio thread allocates nothing.

#![allow(clippy::unwrap_used)]

mod contract;
mod effect;
mod golden;
#[cfg(feature = "instance")]
mod instance;
#[cfg(feature = "instance")]
mod listening;
mod oversampling;
mod realtime;
mod render;
mod test_models;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
