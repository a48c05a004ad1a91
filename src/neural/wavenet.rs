//! NAM's WaveNet: time in the vectors' lanes.

use std::sync::Arc;

use super::description::WaveNet;
use super::engine::Network;

/// Packs a description. [control thread]
///
/// # Panics
/// If lengths of weights and shapes disagree.
#[must_use]
pub fn build(description: &WaveNet) -> Arc<dyn Network> {
    let _ = description;
    todo!()
}
