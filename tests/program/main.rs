//! The built program: its commands, and `isotherm app` without and with a window.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

#[cfg(all(feature = "standalone", unix))]
mod app;
mod arguments;
mod bench;
mod compare;
mod compatibility;
#[cfg(unix)]
mod listen;
#[cfg(all(feature = "standalone", target_os = "linux"))]
#[path = "../listener/mod.rs"]
mod listener;
#[cfg(all(feature = "standalone", target_os = "linux"))]
mod listening;
mod model;
mod record;
mod run;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod study;
mod summary;
mod train;
mod wav;
#[cfg(all(feature = "standalone", target_os = "linux"))]
mod window;
