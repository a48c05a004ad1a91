//! Layers one after another: convolutions, dense layers, LSTM, GRU.

use std::sync::Arc;

use super::description::Sequence;
use super::engine::Network;

/// Packs a description. `sample_rate` gives the half second that a recurrent network is prewarmed with. [control thread]
///
/// # Panics
/// If lengths of weights and shapes disagree.
#[must_use]
pub fn build(description: &Sequence, sample_rate: f32) -> Arc<dyn Network> {
    let _ = (description, sample_rate);
    todo!()
}
