//! Networks one after another: the output of each is the audio of the next.

use std::sync::Arc;

use super::description::Architecture;
use super::engine;
use super::network::{EngineError, Network, NetworkState, StateSpec};
use crate::Block;

/// Packs the networks; `sample_rate` is as for [`engine::build`]. [control thread: allocates]
///
/// # Panics
/// If a network has knobs, or as [`engine::build`] does.
#[must_use]
pub fn build(parts: &[Architecture], sample_rate: f32) -> Arc<dyn Network> {
    assert!(parts.iter().all(|part| part.inputs() == 1), "networks in series have no knobs");
    Arc::new(PackedSeries { parts: parts.iter().map(|part| engine::build(part, sample_rate)).collect() })
}

/// The packed networks, in order.
struct PackedSeries {
    parts: Vec<Arc<dyn Network>>,
}

impl Network for PackedSeries {
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
        // Silence at the input is at each further network the constant that the one before makes of it.
        let mut silence = spec.silence;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let mut state = part.clone().state(StateSpec { silence, ..spec })?;
            silence = state.settle(&[]);
            parts.push(state);
        }
        Ok(Box::new(SeriesState { parts }))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes()).sum()
    }
}

/// The states of the networks, in order.
struct SeriesState {
    parts: Vec<Box<dyn NetworkState>>,
}

impl NetworkState for SeriesState {
    fn process(&mut self, block: &mut Block<'_>, _knobs: &[&[f32]]) {
        for part in &mut self.parts {
            part.process(block, &[]);
        }
    }

    fn settle(&mut self, _knobs: &[f32]) -> f32 {
        self.parts.iter_mut().fold(0.0, |_, part| part.settle(&[]))
    }

    fn reset(&mut self) {
        self.parts.iter_mut().for_each(|part| part.reset());
    }

    fn rests(&self) -> bool {
        self.parts.iter().all(|part| part.rests())
    }

    fn latency(&self) -> usize {
        self.parts.iter().map(|part| part.latency()).sum()
    }

    fn duplicate(&self) -> Option<Box<dyn NetworkState>> {
        let parts = self.parts.iter().map(|part| part.duplicate()).collect::<Option<Vec<_>>>()?;
        Some(Box::new(Self { parts }))
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes() + size_of_val(part)).sum()
    }
}
