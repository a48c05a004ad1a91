//! What the writer writes to: files, objects with `write`, and files of the standard library's `wave`.

use super::buffer::OutputBuffer;
use super::source::BYTES;
use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyInt, PyString, PyType};

/// Largest number of bytes of samples in a file of `wave`: its sizes are 32-bit numbers, and the header counts 36 bytes more.
const WAVE_BYTES: u64 = u32::MAX as u64 - 36;

/// A block of at least this part of a file's own buffer goes past the buffer, straight to the operating system: the buffer would
/// save no call to it worth its copy. Measured with blocks of 256 and 1024 frames and buffers of 8192 bytes.
const DIRECT_PART: usize = 5;

/// Types of the standard library that the writer knows.
struct Types {
    buffered_writer: Py<PyType>,
    buffered_random: Py<PyType>,
    file_io: Py<PyType>,
    bytes_io: Py<PyType>,
    text_io_base: Py<PyType>,
    raw_io_base: Py<PyType>,
    unsupported: Py<PyType>,
    /// Bytes of a `BufferedWriter` without its buffer.
    buffered_writer_bytes: usize,
}

impl Types {
    fn get(py: Python<'_>) -> PyResult<&Self> {
        static TYPES: PyOnceLock<Types> = PyOnceLock::new();
        TYPES.get_or_try_init(py, || {
            let io = py.import("io")?;
            let get = |name: &str| -> PyResult<Py<PyType>> { Ok(io.getattr(name)?.cast_into::<PyType>()?.unbind()) };
            let buffered_writer = get("BufferedWriter")?;
            let buffered_writer_bytes = buffered_writer.bind(py).getattr("__basicsize__")?.extract()?;
            Ok(Self {
                buffered_writer,
                buffered_random: get("BufferedRandom")?,
                file_io: get("FileIO")?,
                bytes_io: get("BytesIO")?,
                text_io_base: get("TextIOBase")?,
                raw_io_base: get("RawIOBase")?,
                unsupported: get("UnsupportedOperation")?,
                buffered_writer_bytes,
            })
        })
    }
}

/// Way of bytes to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `io.BufferedWriter`: what `open(path, "wb")` gives.
    Buffered,
    /// `io.FileIO`: what `open(path, "wb", buffering=0)` gives.
    Raw,
    /// Another file in C, which reads the buffer during the call only.
    Borrowing,
    /// `wave.Wave_write`.
    Wave,
    /// Any other object with `write`, which may keep what it gets.
    Other,
}

/// A file object with its place in `file_objects`.
pub struct Target<'py> {
    object: Bound<'py, PyAny>,
    kind: Kind,
    place: usize,
    /// Bytes of this call that it has accepted.
    pub accepted: usize,
}

/// Class `wave.Wave_write`, if the program has imported it: else no object is one.
fn wave_write(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyType>>> {
    static WAVE_WRITE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if WAVE_WRITE.get(py).is_none() {
        let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
        if !modules.contains(intern!(py, "wave"))? {
            return Ok(None);
        }
        let class = modules.get_item(intern!(py, "wave"))?.getattr(intern!(py, "Wave_write"))?.cast_into::<PyType>()?;
        let _ = WAVE_WRITE.set(py, class.unbind());
    }
    Ok(WAVE_WRITE.get(py).map(|class| class.bind(py)))
}

/// Calls `object.name(argument)`, without a tuple for the argument.
fn call<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: all are alive, the null pointer ends the arguments, and the result is a new reference or null with an exception.
    unsafe {
        let none: *mut ffi::PyObject = std::ptr::null_mut();
        let result = ffi::PyObject_CallMethodObjArgs(object.as_ptr(), name.as_ptr(), argument.as_ptr(), none);
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// A `bytes` object with these bytes, or `MemoryError`.
fn copy<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the bytes are alive, and the result is a new reference or null with an exception.
    unsafe {
        let result = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed());
        Bound::from_owned_ptr_or_err(py, result)
    }
}

/// Number of an error on this system, by its name in Python's `errno`.
pub fn errno(py: Python<'_>, name: &str) -> PyResult<i32> {
    py.import("errno")?.getattr(name)?.extract()
}

impl<'py> Target<'py> {
    /// Checks a file object that gets `frames` frames: everything that can be known before the first byte.
    ///
    /// # Errors
    /// `TypeError` for an object that does not take bytes, `ValueError` for a closed file and a `wave` file of another format,
    /// `io.UnsupportedOperation` for a file that is not open for writing.
    pub fn new(object: Bound<'py, PyAny>, place: usize, frames: usize) -> PyResult<Self> {
        let py = object.py();
        let types = Types::get(py)?;
        let class = object.get_type();
        let kind = if class.is(&types.buffered_writer) {
            Kind::Buffered
        } else if class.is(&types.file_io) {
            Kind::Raw
        } else if class.is(&types.bytes_io) || class.is(&types.buffered_random) {
            Kind::Borrowing
        } else if let Some(wave_write) = wave_write(py)?
            && object.is_instance(wave_write)?
        {
            Kind::Wave
        } else {
            Kind::Other
        };
        let target = Self { object, kind, place, accepted: 0 };
        match kind {
            Kind::Wave => target.check_wave(frames)?,
            Kind::Other => target.check_other(types)?,
            _ => {}
        }
        if kind != Kind::Wave {
            target.check_open(types)?;
        }
        Ok(target)
    }

    fn check_open(&self, types: &Types) -> PyResult<()> {
        let py = self.object.py();
        let place = self.place;
        if self.object.getattr_opt(intern!(py, "closed"))?.is_some_and(|closed| closed.is(PyBool::new(py, true))) {
            return Err(PyValueError::new_err(format!("file_objects[{place}] is closed")));
        }
        let maybe_readonly = matches!(self.kind, Kind::Raw | Kind::Other);
        if maybe_readonly && self.object.hasattr(intern!(py, "writable"))? {
            let writable = self.object.call_method0(intern!(py, "writable"))?;
            if writable.is(PyBool::new(py, false)) {
                let message = format!("file_objects[{place}] is not open for writing");
                return Err(PyErr::from_type(types.unsupported.bind(py).clone(), message));
            }
        }
        Ok(())
    }

    fn check_other(&self, types: &Types) -> PyResult<()> {
        let py = self.object.py();
        let (place, class) = (self.place, self.object.get_type().name()?);
        let has_write = self.object.getattr_opt(intern!(py, "write"))?.is_some_and(|write| write.is_callable());
        if !has_write {
            return Err(PyTypeError::new_err(format!("file_objects[{place}] is {class}, which has no method write")));
        }
        let has_encoding = self.object.getattr_opt(intern!(py, "encoding"))?.is_some_and(|e| e.is_instance_of::<PyString>());
        if has_encoding || self.object.is_instance(types.text_io_base.bind(py))? {
            return Err(PyTypeError::new_err(format!(
                "file_objects[{place}] is {class}, a text file; the writer needs binary files, as open(path, 'wb') gives them"
            )));
        }
        Ok(())
    }

    fn check_wave(&self, frames: usize) -> PyResult<()> {
        let py = self.object.py();
        let place = self.place;
        let file = self.object.getattr_opt(intern!(py, "_file"))?;
        let is_closed = match &file {
            Some(file) if file.is_none() => true,
            Some(file) => file.getattr_opt(intern!(py, "closed"))?.is_some_and(|closed| closed.is(PyBool::new(py, true))),
            None => false,
        };
        if is_closed {
            return Err(PyValueError::new_err(format!("file_objects[{place}] is closed")));
        }
        let get = |name: &Bound<'py, PyString>| -> PyResult<u64> {
            let value = self.object.call_method0(name).map_err(|error| {
                let text = format!(
                    "file_objects[{place}] is a wave file without a format ({}); set 1 channel, a sample width of 3 and a frame rate",
                    error.value(py)
                );
                let told = PyValueError::new_err(text);
                told.set_cause(py, Some(error));
                told
            })?;
            value.extract()
        };
        let (channels, width) = (get(intern!(py, "getnchannels"))?, get(intern!(py, "getsampwidth"))?);
        get(intern!(py, "getframerate"))?;
        if (channels, width) != (1, BYTES as u64) {
            return Err(PyValueError::new_err(format!(
                "file_objects[{place}] is a wave file with {channels} channels and a sample width of {width}; the writer gives each \
                 file 1 channel with a sample width of {BYTES}"
            )));
        }
        let there = get(intern!(py, "tell"))?;
        let most = WAVE_BYTES / BYTES as u64;
        if there.saturating_add(frames as u64) > most {
            return Err(PyValueError::new_err(format!(
                "file_objects[{place}] is a wave file with {there} frames, to which {frames} would be added; it can hold {most}"
            )));
        }
        Ok(())
    }

    /// The descriptor of a file that takes a block of `len` bytes straight from the writer. What the file's buffer held is
    /// written before.
    ///
    /// # Errors
    /// Those of writing what the buffer held.
    #[cfg(unix)]
    pub fn descriptor(&self, len: usize) -> PyResult<Option<std::os::fd::RawFd>> {
        let py = self.object.py();
        let types = Types::get(py)?;
        let raw = match self.kind {
            Kind::Raw => self.object.clone(),
            Kind::Buffered => {
                let size: usize = self.object.call_method0(intern!(py, "__sizeof__"))?.extract()?;
                let raw = self.object.getattr(intern!(py, "raw"))?;
                if !raw.get_type().is(&types.file_io) || len * DIRECT_PART < size.saturating_sub(types.buffered_writer_bytes) {
                    return Ok(None);
                }
                self.object.call_method0(intern!(py, "flush"))?;
                raw
            }
            _ => return Ok(None),
        };
        Ok(Some(raw.call_method0(intern!(py, "fileno"))?.extract()?))
    }

    /// Gives the object `len` bytes from `start` on, in several calls if it accepts fewer in one. `accepted` is true to the
    /// byte also after an error, if the object says how many it has taken.
    ///
    /// # Errors
    /// What the object raises; `BlockingIOError` and `OSError` if it accepts nothing.
    pub fn write(&mut self, buffer: &Bound<'py, OutputBuffer>, start: usize, len: usize) -> PyResult<()> {
        let py = self.object.py();
        let mut done = 0;
        while done < len {
            let (start, len) = (start + done, len - done);
            let result = match self.kind {
                Kind::Buffered | Kind::Raw | Kind::Borrowing => {
                    buffer.get().show(start, len);
                    call(&self.object, intern!(py, "write"), buffer.as_any())
                }
                // These may keep what they get, so they get bytes of their own.
                Kind::Wave | Kind::Other => {
                    let name = if self.kind == Kind::Wave { intern!(py, "writeframesraw") } else { intern!(py, "write") };
                    call(&self.object, name, &copy(py, buffer.get().part(start, len))?)
                }
            };
            let accepted = match result {
                Ok(result) => self.number_accepted(&result, len)?,
                Err(error) => {
                    // A buffer in front of a full pipe says how many bytes it still had room for.
                    let characters = error.value(py).getattr_opt(intern!(py, "characters_written")).ok().flatten();
                    let characters = characters.and_then(|n| n.extract::<usize>().ok()).unwrap_or(0);
                    self.accepted += characters.min(len);
                    return Err(error);
                }
            };
            done += accepted;
            self.accepted += accepted;
        }
        Ok(())
    }

    /// Bytes that `write` has accepted, which `result` tells, of `len`. Objects outside of `io` may return anything: only a
    /// number from 0 to `len` counts.
    fn number_accepted(&self, result: &Bound<'py, PyAny>, len: usize) -> PyResult<usize> {
        let py = self.object.py();
        let place = self.place;
        if self.kind != Kind::Wave && result.is_none() && self.object.is_instance(Types::get(py)?.raw_io_base.bind(py))? {
            let message = format!("file_objects[{place}] accepts nothing now, and does not wait");
            return Err(PyBlockingIOError::new_err((errno(py, "EAGAIN")?, message)));
        }
        if !result.is_instance_of::<PyInt>() || result.is_instance_of::<PyBool>() {
            return Ok(len);
        }
        match result.extract::<usize>() {
            Ok(0) => Err(PyOSError::new_err((errno(py, "EIO")?, format!("file_objects[{place}] accepted 0 of {len} bytes")))),
            Ok(n) => Ok(n.min(len)),
            Err(_) => Ok(len),
        }
    }
}
