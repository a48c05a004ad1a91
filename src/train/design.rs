//! Network designs: the kinds and sizes of networks that can be trained, their names on the command line, and one interface for
//! both kinds.

use super::optimiser::ParameterMatrix;
use super::recurrent::{CellKind, Recurrent};
use super::wavenet::{self, Convolutional};
use crate::audio::Random;
use crate::neural::description::Architecture;

/// The shape of a network, without weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Design {
    /// An LSTM or GRU layer with a dense head.
    Recurrent(Recurrent),
    /// A WaveNet.
    Convolutional(Convolutional),
}

/// A name that is none of [`DESIGN_NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is no network; expected {DESIGN_NAMES}")]
pub struct DesignError {
    /// The name.
    pub found: String,
}

/// The names that [`Design::parse`] takes, for messages and help.
pub const DESIGN_NAMES: &str = "lstm-N, gru-N (N cells, 1 to 128), tcn-CxL (C channels, 1 to 32, L layers, 1 to 20), \
                                wavenet-nano, wavenet-feather, wavenet-lite or wavenet-standard";
/// Layers of a `tcn` after which the dilations begin again at 1: 1, 2, 4 ... 128, 1, 2 ...
const TCN_DILATIONS: usize = 8;

impl Design {
    /// The design of a name of [`DESIGN_NAMES`], without a knob. [any thread]
    ///
    /// # Errors
    /// If there is no such name.
    pub fn parse(name: &str) -> Result<Self, DesignError> {
        let wrong = || DesignError { found: name.to_owned() };
        let number = |text: &str, max: usize| text.parse().ok().filter(|n| (1..=max).contains(n)).ok_or_else(wrong);
        let (kind, size) = name.split_once('-').ok_or_else(wrong)?;
        let recurrent = |cell| -> Result<Self, DesignError> {
            Ok(Self::Recurrent(Recurrent { cell, inputs: 1, hidden: number(size, 128)?, chrono: false }))
        };
        let powers = |from: u32, to: u32| (from..to).map(|i| 1usize << i);
        match kind {
            "lstm" => recurrent(CellKind::Lstm),
            "gru" => recurrent(CellKind::Gru),
            "tcn" => {
                let (channels, layers) = size.split_once('x').ok_or_else(wrong)?;
                let dilations = (0..number(layers, 20)?).map(|i| 1 << (i % TCN_DILATIONS)).collect();
                let array = wavenet::Array { channels: number(channels, 32)?, taps: 3, dilations, gated: false };
                Ok(Self::Convolutional(Convolutional { arrays: vec![array] }))
            }
            // The sizes that the trainer of neural-amp-modeler (NAM) offers.
            "wavenet" => {
                let (first, second) = match size {
                    "nano" => (4, 2),
                    "feather" => (8, 4),
                    "lite" => (12, 6),
                    "standard" => (16, 8),
                    _ => return Err(wrong()),
                };
                let (front, back): (Vec<_>, Vec<_>) = if size == "standard" {
                    (powers(0, 10).collect(), powers(0, 10).collect())
                } else {
                    (powers(0, 7).collect(), powers(7, 10).chain(powers(0, 10)).collect())
                };
                let array = |channels, dilations| wavenet::Array { channels, taps: 3, dilations, gated: false };
                Ok(Self::Convolutional(Convolutional { arrays: vec![array(first, front), array(second, back)] }))
            }
            _ => Err(wrong()),
        }
    }

    /// Kind and size in one line, for a card: `lstm-16`, `wavenet of 16 and 8 channels, 20 layers`. [any thread]
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Recurrent(r) => {
                let cell = if r.cell == CellKind::Lstm { "lstm" } else { "gru" };
                format!("{cell}-{}{}", r.hidden, if r.chrono { ", slow" } else { "" })
            }
            Self::Convolutional(c) => {
                let layers: usize = c.arrays.iter().map(|a| a.dilations.len()).sum();
                let channels: Vec<String> = c.arrays.iter().map(|a| a.channels.to_string()).collect();
                format!("wavenet of {} channels, {layers} layers", channels.join(" and "))
            }
        }
    }

    /// Number of parameters: weights and biases. [any thread]
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        match self {
            Self::Recurrent(r) => r.parameter_count(),
            Self::Convolutional(c) => c.parameter_count(),
        }
    }

    /// The parameters as matrices for the optimiser; each parameter is in exactly one. [any thread]
    #[must_use]
    pub fn matrices(&self) -> Vec<ParameterMatrix> {
        match self {
            Self::Recurrent(r) => r.matrices(),
            Self::Convolutional(c) => c.matrices(),
        }
    }

    /// Number of inputs: 1 for the audio, and 1 for a knob if there is one. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Recurrent(r) => r.inputs,
            Self::Convolutional(_) => 1,
        }
    }

    /// Parameters to begin training with, drawn from `random`. [any thread: allocates]
    #[must_use]
    pub fn initial_weights(&self, random: &mut Random) -> Vec<f32> {
        match self {
            Self::Recurrent(r) => r.initial_weights(random),
            Self::Convolutional(c) => c.initial_weights(random),
        }
    }

    /// The network with these parameters, for the engine and the exports. [any thread: allocates]
    ///
    /// # Panics
    /// If their number is not [`Self::parameter_count`].
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        match self {
            Self::Recurrent(r) => r.architecture(parameters),
            Self::Convolutional(c) => c.architecture(parameters),
        }
    }
}
