//! The measures against independent implementations.
#![cfg(feature = "measure")]
#![allow(clippy::unwrap_used)]

mod effects;
mod lags;
mod python;

use std::ffi::OsString;

/// The Python of `cargo xtask test`; without one, a line that the test is skipped.
pub fn find_python() -> Option<OsString> {
    let python = std::env::var_os("ISOTHERM_PYTHON");
    if python.is_none() {
        println!("skipped: ISOTHERM_PYTHON is not set");
    }
    python
}
