//! Isotherm, an audio effect: exact DSP and neural networks, side by side in two slots on the same sound.
//!
//! `ARCHITECTURE.md` describes each module ("room"). A module uses only modules below it in the table there. The groups here go
//! the same way, from the user-facing programs at the top to plain audio buffers at the bottom.
//!
//! Labels in the documentation of functions say on which threads they may be called:
//!
//! | label | meaning |
//! |---|---|
//! | `[audio thread]` | real-time safe: no allocation, lock, log or I/O; may also be called on any other thread |
//! | `[any thread]` | may be called on the audio thread, too |
//! | `[control thread]` | may allocate, block or take long: any thread but the audio thread |
//! | `[builder thread]`, `[disk thread]` ... | only on the thread of this name in the table of threads in `ARCHITECTURE.md` |

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
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "ui")]
pub mod ui;

#[cfg(feature = "study")]
pub mod study;

#[cfg(feature = "compare")]
pub mod compare;
#[cfg(feature = "desk")]
pub mod desk;
#[cfg(feature = "listen")]
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
