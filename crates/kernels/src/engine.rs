//! The native engine: packs a description for the machine and runs it, block after block, any number of channels at once.

use std::sync::Arc;

pub use crate::network::{KNOBS, MIDDLE, Mode, Network, Voices};

use crate::description::Architecture;
use crate::{sequence, wavenet};

/// Packs a description. It must be sound, as the loaders guarantee. [control thread: allocates]
///
/// # Panics
/// If lengths of weights and shapes disagree.
#[must_use]
pub fn build(architecture: &Architecture, sample_rate: f32) -> Arc<dyn Network> {
    match architecture {
        Architecture::Sequence(description) => sequence::build(description, sample_rate),
        Architecture::WaveNet(description) => wavenet::build(description),
    }
}
