//! The bundled plug-ins in real hosts, with and without windows. They need what `cargo xtask test` sets after it has bundled.
#![cfg(feature = "plugin")]

#[cfg(target_os = "linux")]
mod ardour;
#[cfg(feature = "cli")]
mod clap;
#[cfg(feature = "cli")]
mod model;
#[cfg(target_os = "linux")]
mod panels;
mod record;
#[cfg(feature = "cli")]
mod vst3;
mod vst3_ours;
#[cfg(target_os = "linux")]
mod windows;
