//! Isotherm: exact DSP and neural networks on the same sound, side by side.
//! `ARCHITECTURE.md` shows the rooms; arrows between them only point down its table.

#[cfg(feature = "standalone")]
pub mod app;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "device")]
pub mod device;
#[cfg(feature = "plugin")]
pub mod plugin;

#[cfg(feature = "instance")]
pub mod instance;
#[cfg(feature = "ui")]
pub mod ui;

#[cfg(feature = "desk")]
pub mod desk;
pub mod listen;
#[cfg(feature = "measure")]
pub mod measure;
#[cfg(feature = "record")]
pub mod record;
pub mod render;
pub mod slots;
#[cfg(feature = "train")]
pub mod train;

pub mod effect;

pub mod algorithm;
pub mod graph;
#[cfg(any(feature = "desk", feature = "record"))]
pub mod source;
pub mod view;

pub mod neural;

pub mod dsp;

pub mod audio;
