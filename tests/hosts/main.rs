//! The plug-ins in hosts, with and without windows. Most tests load the bundles that `cargo xtask test` makes, whose paths it
//! passes in environment variables.
#![cfg(feature = "plugin")]
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
#[path = "../listener/mod.rs"]
mod listener;

#[cfg(target_os = "linux")]
mod ardour;
#[cfg(feature = "cli")]
mod clap;
#[cfg(target_os = "linux")]
mod editor_windows;
#[cfg(target_os = "linux")]
mod listening;
#[cfg(feature = "cli")]
mod models;
#[cfg(target_os = "linux")]
mod panels;
#[cfg(feature = "cli")]
mod pedalboard;
mod states;
mod takes;
mod vst3_host;
