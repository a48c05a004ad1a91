//! Takes.
#![cfg(feature = "record")]

mod alloc;
mod record;

use isotherm_support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
