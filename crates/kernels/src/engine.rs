//! The entry to the native engine: [`build`] packs a description of a network for this machine, [`Network::state`] makes a state
//! for any number of channels, [`NetworkState::process`] runs it block after block.

use std::sync::Arc;

pub use crate::network::{EngineError, KNOB_MIDDLE, KNOBS, Network, NetworkState, StateSpec};

use crate::description::Architecture;
use crate::{sequence, series, wavenet};

/// Packs the weights of a description for this machine. The description must be consistent; the loaders check that.
/// `sample_rate`, in Hz, gives the half second of silence after which a recurrent network counts as settled. At a rate of 0 a
/// sequence is not settled: it begins with `h0` and `c0` of the description and with zeros before the first sample. [control
/// thread: allocates]
///
/// # Panics
/// If lengths of weights disagree with the shapes, a WaveNet's condition model is recurrent, or a network in a series has knobs.
#[must_use]
pub fn build(architecture: &Architecture, sample_rate: f32) -> Arc<dyn Network> {
    match architecture {
        Architecture::Sequence(description) => sequence::build(description, sample_rate),
        Architecture::WaveNet(description) => wavenet::build(description),
        Architecture::Series(parts) => series::build(parts, sample_rate),
    }
}
