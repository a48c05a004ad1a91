//! Tests of the recorder and its takes.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used)]

mod alloc;
mod record;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
