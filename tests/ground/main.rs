//! The ground floor, which needs no feature: sounds, their files, generators, the graph.

mod alloc;
mod audio;
mod generate;
mod graph;
mod wav;

use isotherm_support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
