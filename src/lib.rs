//! Isotherm: exact DSP and neural networks on the same sound, side by side.
//! `ARCHITECTURE.md` shows the rooms; arrows between them only point down this list.

pub mod algorithm;
pub mod audio;
pub mod dsp;
#[cfg(feature = "measure")]
pub mod measure;
#[cfg(feature = "ui")]
pub mod ui;
