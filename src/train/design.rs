//! Which network is trained: names for the command line, and one face on both kinds.

use super::optimise::Tensor;
use super::recurrent::{Cell, Recurrent};
use super::wavenet::{Array, Convolutional};
use crate::audio::Random;
use crate::neural::description::Architecture;

/// A network to be trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Design {
    Recurrent(Recurrent),
    Convolutional(Convolutional),
}

/// What [`Design::parse`] takes.
pub const DESIGNS: &str = "lstm-N, gru-N (N cells, 1 to 128), tcn-CxL (C channels, 1 to 32, L layers, 1 to 20), wavenet-nano, \
                           wavenet-feather, wavenet-lite or wavenet-standard";
/// Layers of a `tcn` after which dilations begin anew, and so the largest, 128.
const TCN_DILATIONS: usize = 8;

impl Design {
    /// A name as [`DESIGNS`] lists them. [any thread]
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn parse(name: &str) -> Result<Self, String> {
        let wrong = || format!("'{name}' is no network; expected {DESIGNS}");
        let number = |text: &str, most: usize| text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(wrong);
        let (kind, size) = name.split_once('-').ok_or_else(wrong)?;
        let recurrent = |cell| -> Result<Self, String> {
            Ok(Self::Recurrent(Recurrent { cell, inputs: 1, hidden: number(size, 128)?, chrono: false }))
        };
        let powers = |from: u32, to: u32| (from..to).map(|i| 1usize << i);
        match kind {
            "lstm" => recurrent(Cell::Lstm),
            "gru" => recurrent(Cell::Gru),
            "tcn" => {
                let (channels, layers) = size.split_once('x').ok_or_else(wrong)?;
                let dilations = (0..number(layers, 20)?).map(|i| 1 << (i % TCN_DILATIONS)).collect();
                let array = Array { channels: number(channels, 32)?, taps: 3, dilations, gated: false };
                Ok(Self::Convolutional(Convolutional { arrays: vec![array] }))
            }
            // The sizes of neural-amp-modeler's trainer.
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
                let array = |channels, dilations| Array { channels, taps: 3, dilations, gated: false };
                Ok(Self::Convolutional(Convolutional { arrays: vec![array(first, front), array(second, back)] }))
            }
            _ => Err(wrong()),
        }
    }

    /// In one line, for a card: `lstm-16`, `wavenet of 16 and 8 channels, 20 layers`. [any thread]
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Recurrent(r) => {
                let cell = if r.cell == Cell::Lstm { "lstm" } else { "gru" };
                format!("{cell}-{}{}", r.hidden, if r.chrono { ", slow" } else { "" })
            }
            Self::Convolutional(c) => {
                let layers: usize = c.arrays.iter().map(|a| a.dilations.len()).sum();
                let channels: Vec<String> = c.arrays.iter().map(|a| a.channels.to_string()).collect();
                format!("wavenet of {} channels, {layers} layers", channels.join(" and "))
            }
        }
    }

    /// How many numbers are trained. [any thread]
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self {
            Self::Recurrent(r) => r.parameters(),
            Self::Convolutional(c) => c.parameters(),
        }
    }

    /// Which parameters form a matrix each: all of them. [any thread]
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        match self {
            Self::Recurrent(r) => r.tensors(),
            Self::Convolutional(c) => c.tensors(),
        }
    }

    /// The sound and the knobs behind it. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Recurrent(r) => r.inputs,
            Self::Convolutional(_) => 1,
        }
    }

    /// Weights to begin with. [any thread]
    #[must_use]
    pub fn begin(&self, random: &mut Random) -> Vec<f32> {
        match self {
            Self::Recurrent(r) => r.begin(random),
            Self::Convolutional(c) => c.begin(random),
        }
    }

    /// The network with these parameters. [any thread]
    ///
    /// # Panics
    /// If there are not [`Self::parameters`] of them.
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        match self {
            Self::Recurrent(r) => r.architecture(parameters),
            Self::Convolutional(c) => c.architecture(parameters),
        }
    }
}
