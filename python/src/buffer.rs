//! The base class of `AudioSamples`: an array with its sample rate, and the buffer protocol, which only a native class can offer
//! before Python 3.12.

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A NumPy array and its sample rate in Hz. `AudioSamples` checks both before it makes one.
#[pyclass(subclass, module = "isotherm._native")]
pub struct SampleBuffer {
    /// A `numpy.ndarray`: (frames,) for one channel, else (channels, frames).
    data: Py<PyAny>,
    sample_rate: u32,
}

#[pymethods]
impl SampleBuffer {
    #[new]
    fn new(data: Py<PyAny>, sample_rate: u32) -> Self {
        Self { data, sample_rate }
    }

    /// The array itself: a view, never a copy.
    #[getter]
    fn _data(&self, py: Python<'_>) -> Py<PyAny> {
        self.data.clone_ref(py)
    }

    /// The samples as a NumPy array that shares their memory: (frames,) for one channel, else (channels, frames).
    fn to_numpy(&self, py: Python<'_>) -> Py<PyAny> {
        self.data.clone_ref(py)
    }

    /// Samples per second and channel, in Hz.
    #[getter]
    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Passes the request on to the array, which owns the memory and keeps it alive.
    ///
    /// # Safety
    /// Python calls it with a view to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::ffi::c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let data = slf.borrow().data.clone_ref(slf.py());
        // SAFETY: `view` is not null, and `data` is alive during the call; the view holds a reference to it afterwards.
        match unsafe { ffi::PyObject_GetBuffer(data.as_ptr(), view, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}
