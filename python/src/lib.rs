//! The native part of the Python package `isotherm`: a face on the core, which computes nothing of its own.
//!
//! The package's Python modules (`python/isotherm`) make the names that users see from what is registered here.

mod buffer;
mod compare;
mod effect;
mod files;
mod measure;
mod work;
mod writer;

use pyo3::prelude::*;

/// Everything that the Python modules of the package call; not for users.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::buffer::SampleBuffer;
    #[pymodule_export]
    use crate::compare::{FinishedComparison, compare_sides};
    #[pymodule_export]
    use crate::effect::{NativeEffect, StreamState, latency, max_channels, registry, render, render_as_it_is};
    #[pymodule_export]
    use crate::files::{generated, read_wav, read_wav_bytes, resample, write_wav};
    #[pymodule_export]
    use crate::measure::{
        align_sounds, bench, characteristics, comparison_figure, default_tone, effect_figure, measures, sound_figure,
    };
    #[pymodule_export]
    use crate::writer::{
        convert_multichannel_24bit, write_multichannel_24bit, write_multichannel_24bit_int32, writer_allocations, writer_backend,
    };

    /// Adds the constants.
    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
