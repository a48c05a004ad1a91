//! Listening tests.
#![cfg(feature = "listen")]
#![allow(clippy::unwrap_used)]

mod matching;
mod player;
mod sides;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
