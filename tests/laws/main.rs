//! What every algorithm of the registry promises: the laws, the renders that stay, and what the audio thread may do.

mod contract;
mod doubles;
mod effect;
mod golden;
#[cfg(feature = "plugin")]
mod rack;
mod realtime;
mod render;

use isotherm_support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
