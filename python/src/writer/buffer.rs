//! The buffer that samples are converted into. Files get it as a Python object, so that nothing is copied on the way.

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes that are converted at a time, if there are so many: little enough for the processor's caches, and enough that a call to
/// a file does not count.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Buffers that wait for the next call: one for each thread that writes at the same time, up to this number.
const WAITING: usize = 4;

/// Buffers that are not in use.
static POOL: Mutex<Vec<Py<OutputBuffer>>> = Mutex::new(Vec::new());

/// Buffers that were allocated or enlarged since the module was loaded.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Bytes for files. Python sees the part that [`show`](Self::show) has chosen, read-only.
#[pyclass(frozen, module = "isotherm._native")]
pub struct OutputBuffer {
    bytes: UnsafeCell<Vec<u8>>,
    start: AtomicUsize,
    len: AtomicUsize,
    /// Views that Python holds.
    views: AtomicUsize,
}

// SAFETY: the bytes change only in `fill`, which one call of the writer at a time uses: the one that took the buffer.
unsafe impl Sync for OutputBuffer {}

#[pymethods]
impl OutputBuffer {
    /// # Safety
    /// Python calls it with a view to fill.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: std::ffi::c_int) -> PyResult<()> {
        let this = slf.get();
        let (start, len) = (this.start.load(Ordering::Relaxed), this.len.load(Ordering::Relaxed));
        // SAFETY: `show` has checked that the part lies within the bytes. They stay where they are while there are views: the
        // writer gives a buffer back only without any.
        let filled = unsafe {
            let from = (*this.bytes.get()).as_mut_ptr().add(start);
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), from.cast(), len.cast_signed(), 1, flags)
        };
        if filled != 0 {
            if !view.is_null() {
                // SAFETY: Python's rule for a view that was refused.
                unsafe { (*view).obj = std::ptr::null_mut() };
            }
            return Err(PyErr::fetch(slf.py()));
        }
        this.views.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// # Safety
    /// Python calls it for each view that it got.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.views.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OutputBuffer {
    /// A buffer of at least `len` bytes, one that was used before if there is one.
    ///
    /// # Errors
    /// `MemoryError`.
    pub fn take(py: Python<'_>, len: usize) -> PyResult<Bound<'_, Self>> {
        let used = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(used) = used {
            let used = used.into_bound(py);
            // SAFETY: nobody else has the buffer, and it has no views.
            if unsafe { (*used.get().bytes.get()).len() } >= len {
                return Ok(used);
            }
        }
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(len).is_err() {
            return Err(PyMemoryError::new_err(format!("no memory for {len} bytes of 24-bit samples")));
        }
        bytes.resize(len, 0);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let (start, len, views) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Bound::new(py, Self { bytes: UnsafeCell::new(bytes), start, len, views })
    }

    /// Keeps a buffer for the next call, unless it is very long or Python still reads it.
    pub fn give_back(buffer: Bound<'_, Self>) {
        let this = buffer.get();
        // SAFETY: only the length is read.
        let len = unsafe { (*this.bytes.get()).len() };
        if this.views.load(Ordering::Relaxed) == 0 && len <= 2 * CHUNK_BYTES {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < WAITING {
                pool.push(buffer.unbind());
            }
        }
    }

    /// Lets `convert` fill the first `len` bytes.
    pub fn fill(&self, len: usize, convert: impl FnOnce(&mut [u8])) {
        // SAFETY: the call that took the buffer is the only one that fills it, and no file reads it meanwhile: files read only
        // in calls of `Target::write`.
        convert(unsafe { &mut (&mut *self.bytes.get())[..len] });
    }

    /// A part of the bytes.
    pub fn part(&self, start: usize, len: usize) -> &[u8] {
        // SAFETY: nobody fills the buffer while the writer reads it.
        unsafe { &(&*self.bytes.get())[start..][..len] }
    }

    /// Chooses the part that Python sees.
    pub fn show(&self, start: usize, len: usize) {
        let _ = self.part(start, len);
        self.start.store(start, Ordering::Relaxed);
        self.len.store(len, Ordering::Relaxed);
    }
}

/// Number of times that a buffer of the writer was allocated since the module was loaded.
#[pyfunction]
pub fn writer_allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}
