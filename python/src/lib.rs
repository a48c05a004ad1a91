//! The native part of the Python package `isotherm`: a face on the core, which computes nothing of its own.
//!
//! The package's Python modules (`python/isotherm`) make the names that users see from what is registered here.

mod buffer;

use pyo3::prelude::*;

/// Everything that the Python modules of the package call; not for users.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::buffer::SampleBuffer;
}
