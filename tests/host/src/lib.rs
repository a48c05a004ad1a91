//! A small CLAP host in process: loads a plug-in as a host does, shows what it offers and plays sound through it.
//!
//! [`Plugin`] keeps the rules of the CLAP specification that hosts keep: sound is processed on a thread of its own, a requested
//! restart happens between two renderings ([`Plugin::serve`]), parameters change by events only.
//!
//! Values at the level of CLAP are not plain. nice-plug shows a number as 0 to 1 along the travel of its knob, and a choice or a
//! toggle as its position, 0 to the count of steps. [`Plugin::set_text`] takes what a user would type ("24 dB") and lets
//! the plug-in translate; [`nice_state`] reads plain values back out of a saved state.
//!
//! ```no_run
//! # fn main() -> Result<(), isotherm_host::HostError> {
//! let mut plugin = isotherm_host::Plugin::load("target/bundled/Isotherm.clap".as_ref())?;
//! plugin.select_layout(2)?;
//! plugin.set_text("A Saturator Drive", "24 dB")?;
//! plugin.activate(48_000.0, 512)?;
//! plugin.serve()?; // a latency that changed takes effect here
//! let output = plugin.render(&[vec![0.5; 1000], vec![0.5; 1000]], [512, 17], &[])?;
//! # Ok(()) }
//! ```

#[cfg(target_os = "linux")]
mod clap_window;
mod error;
mod handlers;
pub mod nice_state;
mod plugin;
pub mod vst3;
#[cfg(target_os = "linux")]
mod vst3_view;

pub use error::HostError;
pub use plugin::{Event, Key, Page, ParameterInfo, Plugin};
#[cfg(target_os = "linux")]
pub use vst3_view::Vst3View;
