//! Targets of the writer: files, objects with `write`, and files of the standard library's `wave`.

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

/// A block of at least this part of a file's own buffer, and of at least so many bytes, goes past the buffer, straight to the
/// operating system: the buffer would save no call to it that is worth the copy. Measured with blocks of 256 and 1024 frames and
/// buffers of 4096 bytes, as `open` makes them on most file systems.
const DIRECT_PART: usize = 5;
const DIRECT_BYTES: usize = 1024;

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

/// A file object.
pub struct Target<'py> {
    object: Bound<'py, PyAny>,
    kind: Kind,
    /// Place in `file_objects`.
    pub place: usize,
    /// Bytes of this call that it has accepted.
    pub accepted: usize,
}

/// Class `wave.Wave_write`, if the program has imported it: else no object is one.
fn wave_write(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyType>>> {
    static WAVE_WRITE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let Some(class) = WAVE_WRITE.get(py) {
        return Ok(Some(class.bind(py)));
    }
    // SAFETY: the name is alive; the result is a new reference, or null with or without an exception.
    let module = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyImport_GetModule(intern!(py, "wave").as_ptr())) };
    let Some(module) = module else {
        return PyErr::take(py).map_or(Ok(None), Err);
    };
    let class = module.getattr(intern!(py, "Wave_write"))?.cast_into::<PyType>()?;
    Ok(Some(WAVE_WRITE.get_or_init(py, || class.unbind()).bind(py)))
}

/// An attribute, or `default` if the object has none. Python's own `getattr` makes no exception on the way.
fn attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    default: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    static GETATTR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let getattr = GETATTR.get_or_try_init(py, || py.import("builtins")?.getattr("getattr").map(Bound::unbind))?;
    // SAFETY: all are alive, the null pointer ends the arguments, and the result is a new reference or null with an exception.
    unsafe {
        let none: *mut ffi::PyObject = std::ptr::null_mut();
        let result = ffi::PyObject_CallFunctionObjArgs(getattr.as_ptr(), object.as_ptr(), name.as_ptr(), default.as_ptr(), none);
        Bound::from_owned_ptr_or_err(py, result)
    }
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

/// True if the class of the object is this one or a subclass; without the questions of an abstract class.
fn is_instance(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: both are alive, and `class` is a type.
    unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), class.as_type_ptr()) != 0 }
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
        } else if wave_write(py)?.is_some_and(|wave_write| is_instance(&object, wave_write)) {
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
        let none = py.None().into_bound(py);
        let closed = if self.kind == Kind::Other {
            attribute(&self.object, intern!(py, "closed"), &none)?
        } else {
            self.object.getattr(intern!(py, "closed"))?
        };
        if closed.is(PyBool::new(py, true)) {
            return Err(PyValueError::new_err(format!("file_objects[{place}] is closed")));
        }
        if matches!(self.kind, Kind::Raw | Kind::Other) {
            let writable = attribute(&self.object, intern!(py, "writable"), &none)?;
            if !writable.is_none() && writable.call0()?.is(PyBool::new(py, false)) {
                let message = format!("file_objects[{place}] is not open for writing");
                return Err(PyErr::from_type(types.unsupported.bind(py).clone(), message));
            }
        }
        Ok(())
    }

    fn check_other(&self, types: &Types) -> PyResult<()> {
        let py = self.object.py();
        let place = self.place;
        let none = py.None().into_bound(py);
        if !attribute(&self.object, intern!(py, "write"), &none)?.is_callable() {
            let class = self.object.get_type().name()?;
            return Err(PyTypeError::new_err(format!("file_objects[{place}] is {class}, which has no method write")));
        }
        // Every text file has an encoding, if only None; the object itself stands for there being none.
        let encoding = attribute(&self.object, intern!(py, "encoding"), &self.object)?;
        let is_text = encoding.is_instance_of::<PyString>()
            || !encoding.is(&self.object) && self.object.is_instance(types.text_io_base.bind(py))?;
        if is_text {
            let class = self.object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "file_objects[{place}] is {class}, a text file; the writer needs binary files, as open(path, 'wb') gives them"
            )));
        }
        Ok(())
    }

    fn check_wave(&self, frames: usize) -> PyResult<()> {
        let py = self.object.py();
        let place = self.place;
        // `close` leaves no file behind; the object itself stands for there being no such attribute.
        let file = attribute(&self.object, intern!(py, "_file"), &self.object)?;
        if file.is_none() || attribute(&file, intern!(py, "closed"), &self.object)?.is(PyBool::new(py, true)) {
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
    /// Errors of writing what the buffer held.
    #[cfg(unix)]
    pub fn descriptor(&self, len: usize) -> PyResult<Option<std::os::fd::RawFd>> {
        let py = self.object.py();
        let types = Types::get(py)?;
        let raw = match self.kind {
            // A file without a buffer of its own.
            Kind::Raw => self.object.clone(),
            Kind::Buffered if len >= DIRECT_BYTES => {
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
