//! Tests of devices and desks: files in place of devices, JACK and PipeWire servers that each test starts, fake desks.

#![allow(clippy::unwrap_used)]

#[cfg(all(feature = "cli", target_os = "linux"))]
mod capture;
#[cfg(feature = "desk")]
mod desk;
#[cfg(feature = "device")]
mod device;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod jack_server;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod monitor;
#[cfg(feature = "cli")]
mod record_with_desk;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
