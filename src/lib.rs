//! Isotherm: exact DSP and neural networks on the same sound, side by side.
//! `ARCHITECTURE.md` shows the rooms; arrows between them only point down this list.

pub mod algorithm;
pub mod audio;
pub mod dsp;
pub mod graph;
pub mod listen;
#[cfg(feature = "plugin")]
pub mod plugin;
pub mod slots;
#[cfg(feature = "ui")]
pub mod ui;
#[cfg(feature = "cli")]
pub mod cli;
