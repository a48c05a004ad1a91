//! Small hosts for tests: they load a CLAP or VST3 plug-in into this process as a real host does, read what it offers and run
//! sound through it.
//!
//! [`ClapInstance`] keeps the rules of the CLAP specification for hosts: sound is processed on a thread of its own, a restart
//! that the plug-in asks for happens between two renderings ([`ClapInstance::grant_requests`]), parameters change by events
//! only. [`vst3`] is the host for VST3.
//!
//! A "CLAP value" in these pages is a value as it passes between host and plug-in. It is not plain: nice-plug gives a number as
//! the position of its knob, 0 to 1, and a choice or a toggle as its index, 0 to the count of steps. [`ClapInstance::set_text`]
//! takes what a user would type ("24 dB") and lets the plug-in translate it; [`nice_state`] reads plain values from a saved
//! state.
//!
//! ```no_run
//! # fn main() -> Result<(), isotherm_host::HostError> {
//! let mut plugin = isotherm_host::ClapInstance::load("target/bundled/Isotherm.clap".as_ref())?;
//! plugin.select_layout(2)?;
//! plugin.set_text("A Saturator Drive", "24 dB")?;
//! plugin.activate(48_000.0, 512)?;
//! plugin.grant_requests()?; // a latency that changed takes effect here
//! let output = plugin.render(&[vec![0.5; 1000], vec![0.5; 1000]], [512, 17], &[])?;
//! # Ok(()) }
//! ```

#![allow(clippy::unwrap_used)]

mod clap;
#[cfg(target_os = "linux")]
mod clap_window;
mod error;
mod handlers;
pub mod nice_state;
pub mod vst3;
#[cfg(target_os = "linux")]
mod vst3_view;

pub use clap::{ClapInstance, ParameterEvent, ParameterInfo, ParameterKey, RemoteControlPage};
pub use error::HostError;
#[cfg(target_os = "linux")]
pub use vst3_view::Vst3View;
