//! What is outside: sound devices, JACK and PipeWire servers of the tests' own, desks that are not there.

#[cfg(feature = "cli")]
mod beside_a_desk;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod capture;
#[cfg(feature = "desk")]
mod desk;
#[cfg(feature = "device")]
mod device;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod jackd;
#[cfg(all(feature = "cli", target_os = "linux"))]
mod monitor;

use isotherm_support::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
