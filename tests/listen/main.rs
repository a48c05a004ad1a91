//! Listening tests, from statistics to whole sessions.
#![cfg(feature = "listen")]
#![allow(clippy::unwrap_used)]

mod examiner;
mod live;
mod matching;
mod player;
mod record;
mod sides;
mod simulated;
mod statistics;
mod words;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
