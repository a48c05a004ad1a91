//! The multichannel 24-bit writer: channels of a NumPy array to one file each, converted as takes are (`record::pcm`).
//!
//! Everything that can be known is checked before the first byte. Nothing is held back between calls: when a call returns, the
//! file objects have all its bytes.

mod buffer;
mod source;
mod target;
mod transpose;

pub use buffer::writer_allocations;

use buffer::{CHUNK_BYTES, OutputBuffer};
use isotherm::record::pcm::InstructionSet;
use pyo3::exceptions::{PyException, PyOSError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyList, PyString, PyTuple};
use source::{BYTES, Source};
use target::{Target, errno};
use transpose::TILE;

/// Samples from which on the interpreter is released while they are converted: fewer take a few microseconds, and getting the
/// interpreter back from a busy thread can take milliseconds.
const RELEASE_SAMPLES: usize = 1 << 14;

/// A write that ended early.
struct Failure {
    /// Place of the file that failed in `file_objects`; none if a signal handler raised the cause.
    place: Option<usize>,
    cause: PyErr,
}

/// Items of a sequence, as they are now. `name` is the argument's name, `kind` says what the items are.
fn items<'py>(sequence: &Bound<'py, PyAny>, name: &str, kind: &str) -> PyResult<Bound<'py, PyTuple>> {
    let is_text = sequence.is_instance_of::<PyString>() || sequence.is_instance_of::<PyBytes>();
    // SAFETY: the object is alive; the check has no errors.
    if is_text || unsafe { ffi::PySequence_Check(sequence.as_ptr()) } == 0 {
        let found = sequence.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{name} must be a list or another sequence of {kind}, found {found}")));
    }
    // SAFETY: the object is alive; the result is a new reference or null with an exception.
    let tuple = unsafe { Bound::from_owned_ptr_or_err(sequence.py(), ffi::PySequence_Tuple(sequence.as_ptr()))? };
    Ok(tuple.cast_into::<PyTuple>()?)
}

/// The channels that `channel_indices` names.
fn channels(channel_indices: &Bound<'_, PyAny>, source: &Source) -> PyResult<Vec<usize>> {
    let items = items(channel_indices, "channel_indices", "channel numbers")?;
    let mut channels = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        // SAFETY: the object is alive; the check has no errors.
        let is_index = unsafe { ffi::PyIndex_Check(item.as_ptr()) } != 0;
        if !is_index || item.is_instance_of::<PyBool>() {
            let found = item.get_type().name()?;
            return Err(PyTypeError::new_err(format!("channel_indices[{place}] must be an integer, found {found}")));
        }
        match item.extract::<usize>() {
            Ok(channel) if channel < source.channels => channels.push(channel),
            _ => {
                let there = match source.channels {
                    0 => "no channels".to_owned(),
                    n => format!("the channels 0 to {}", n - 1),
                };
                return Err(PyValueError::new_err(format!(
                    "channel_indices[{place}] is {item}, but audio_data has {there} (shape ({}, {}): frames, channels)",
                    source.frames, source.channels
                )));
            }
        }
    }
    Ok(channels)
}

/// Converts channels of a chunk of frames into the buffer.
fn convert(py: Python<'_>, source: &Source, channels: &[usize], first: usize, frames: usize, out: &mut [u8]) {
    if channels.len() * frames < RELEASE_SAMPLES {
        source.convert(channels, first, frames, out);
    } else {
        py.detach(|| source.convert(channels, first, frames, out));
    }
}

/// A block of bytes on its way straight to an open file of the operating system.
#[cfg(unix)]
struct DirectBlock {
    /// Number among the files that are written together, and in `file_objects`.
    index: usize,
    place: usize,
    descriptor: std::os::fd::RawFd,
    start: usize,
    done: usize,
}

/// Writes blocks of `len` bytes, one after the other, without the interpreter.
#[cfg(unix)]
fn write_blocks(py: Python<'_>, buffer: &OutputBuffer, len: usize, blocks: &mut [DirectBlock]) -> Result<(), Failure> {
    use std::io::{Error, ErrorKind, Write};
    use std::os::fd::FromRawFd;

    let all = |blocks: &mut [DirectBlock]| {
        for block in blocks {
            // SAFETY: the descriptor is that of an open file, which stays open here because the `File` is never dropped.
            let mut file = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(block.descriptor) });
            while block.done < len {
                match file.write(buffer.part(block.start + block.done, len - block.done)) {
                    Ok(0) => return Err((block.place, Error::from(ErrorKind::WriteZero))),
                    Ok(n) => {
                        block.done += n;
                        if block.done < len {
                            // A signal may have cut it short: its handler runs before the rest, which may have to wait.
                            return Err((block.place, Error::from(ErrorKind::Interrupted)));
                        }
                    }
                    Err(error) => return Err((block.place, error)),
                }
            }
        }
        Ok(())
    };
    loop {
        let Err((place, error)) = py.detach(|| all(blocks)) else {
            return Ok(());
        };
        if error.kind() == ErrorKind::Interrupted {
            check_signals(py)?;
            continue;
        }
        // Python chooses the class by the number: BlockingIOError, BrokenPipeError ...
        let cause = match error.raw_os_error() {
            Some(number) => match py.import("os").and_then(|os| os.call_method1("strerror", (number,))) {
                Ok(text) => PyOSError::new_err((number, text.unbind())),
                Err(cause) => cause,
            },
            None => PyOSError::new_err(error.to_string()),
        };
        return Err(Failure { place: Some(place), cause });
    }
}

/// Gives each file its block of `len` bytes, in the order of the files.
fn write_chunk<'py>(buffer: &Bound<'py, OutputBuffer>, targets: &mut [Target<'py>], len: usize) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let py = buffer.py();
        let mut blocks: Vec<DirectBlock> = Vec::new();
        // Neighbours that can go straight to the operating system are collected and written together.
        let flush = |blocks: &mut Vec<DirectBlock>, targets: &mut [Target<'py>]| {
            if blocks.is_empty() {
                return Ok(());
            }
            let result = write_blocks(py, buffer.get(), len, blocks);
            for block in blocks.drain(..) {
                targets[block.index].accepted += block.done;
            }
            result
        };
        for index in 0..targets.len() {
            let place = targets[index].place;
            match targets[index].descriptor(len) {
                Ok(Some(descriptor)) => blocks.push(DirectBlock { index, place, descriptor, start: index * len, done: 0 }),
                Ok(None) => {
                    flush(&mut blocks, targets)?;
                    targets[index].write(buffer, index * len, len).map_err(|cause| Failure { place: Some(place), cause })?;
                }
                Err(cause) => {
                    flush(&mut blocks, targets)?;
                    return Err(Failure { place: Some(place), cause });
                }
            }
        }
        flush(&mut blocks, targets)
    }
    #[cfg(not(unix))]
    {
        for (index, target) in targets.iter_mut().enumerate() {
            let place = Some(target.place);
            target.write(buffer, index * len, len).map_err(|cause| Failure { place, cause })?;
        }
        Ok(())
    }
}

/// Runs the handlers of signals that came.
fn check_signals(py: Python<'_>) -> Result<(), Failure> {
    py.check_signals().map_err(|cause| Failure { place: None, cause })
}

/// The exception of a failure: `audio_writer.WriteError` with what each file has, or the cause itself with that attribute if no
/// file failed (`KeyboardInterrupt`, a signal handler).
fn exception(py: Python<'_>, failure: Failure, channels: &[usize], targets: &[Target<'_>]) -> PyErr {
    let Failure { place, cause } = failure;
    let frames: Vec<usize> = targets.iter().map(|target| target.accepted / BYTES).collect();
    let list: Vec<String> = frames.iter().map(usize::to_string).collect();
    let told = format!("frames of this call in each file: {}", list.join(", "));
    let build = || -> PyResult<PyErr> {
        let value = cause.value(py);
        let Some(place) = place.filter(|_| cause.is_instance_of::<PyException>(py)) else {
            value.setattr(intern!(py, "frames_written"), frames)?;
            value.call_method1(intern!(py, "add_note"), (told,))?;
            return Ok(cause.clone_ref(py));
        };
        let number: Option<i32> = value.getattr_opt(intern!(py, "errno"))?.and_then(|number| number.extract().ok());
        let text = match (number, value.getattr_opt(intern!(py, "strerror"))?) {
            (Some(_), Some(text)) if !text.is_none() => text.str()?.to_string(),
            _ => format!("{}: {}", value.get_type().name()?, value.str()?),
        };
        let text = format!("{text}; file_objects[{place}] (channel {}) failed; {told}", channels[place]);
        let number = number.map_or_else(|| errno(py, "EIO"), Ok)?;
        let class = py.import(intern!(py, "audio_writer"))?.getattr(intern!(py, "WriteError"))?;
        let error = PyErr::from_value(class.call1((number, text, PyList::new(py, frames)?, place))?);
        error.set_cause(py, Some(cause.clone_ref(py)));
        Ok(error)
    };
    build().unwrap_or_else(|error| error)
}

fn write(
    audio_data: &Bound<'_, PyAny>,
    channel_indices: &Bound<'_, PyAny>,
    file_objects: &Bound<'_, PyAny>,
    integers: bool,
) -> PyResult<usize> {
    let py = audio_data.py();
    let source = Source::new(audio_data, integers)?;
    let channels = channels(channel_indices, &source)?;
    let files = items(file_objects, "file_objects", "files")?;
    if files.len() != channels.len() {
        return Err(PyValueError::new_err(format!(
            "there must be a file for each channel: found {} channel_indices and {} file_objects",
            channels.len(),
            files.len()
        )));
    }
    let mut targets =
        files.iter().enumerate().map(|(place, file)| Target::new(file, place, source.frames)).collect::<PyResult<Vec<_>>>()?;
    if source.frames == 0 || channels.is_empty() {
        return Ok(source.frames);
    }
    // A file that is there twice gets the whole block of one channel before that of the next.
    let mut objects: Vec<_> = files.iter().map(|file| file.as_ptr()).collect();
    objects.sort_unstable();
    let together = if objects.windows(2).any(|pair| pair[0] == pair[1]) { 1 } else { channels.len() };
    let bytes_per_frame = together * BYTES;
    let chunk = source.frames.min((CHUNK_BYTES / bytes_per_frame).max(1).next_multiple_of(TILE));
    let buffer = OutputBuffer::take(py, chunk * bytes_per_frame)?;
    let chunks = (0..source.frames).step_by(chunk).map(|first| (first, chunk.min(source.frames - first)));
    let mut parts = channels.chunks(together).zip(targets.chunks_mut(together));
    let result = parts.try_for_each(|(channels, targets)| {
        chunks.clone().try_for_each(|(first, frames)| {
            let bytes = frames * channels.len() * BYTES;
            buffer.get().fill(bytes, |out| convert(py, &source, channels, first, frames, out));
            write_chunk(&buffer, targets, frames * BYTES)?;
            check_signals(py)
        })
    });
    OutputBuffer::give_back(buffer);
    result.map_err(|failure| exception(py, failure, &channels, &targets))?;
    Ok(source.frames)
}

/// Writes channels of an array to one binary file each, as 24-bit samples.
///
/// A sample times 2^23 is rounded to the nearest integer, halves to even, and limited to -8388608 to 8388607; NaN becomes 0. This is
/// what takes hold, too. Each sample is written as 3 bytes, the lowest first.
///
/// Parameters
/// ----------
/// audio_data : ndarray of float32 or float64, shape (frames, channels)
///     Full scale is 1. Any strides, byte order and alignment; it is only read. Frames come first, as sounddevice delivers
///     them: of `AudioSamples`, pass `audio.to_numpy().T`.
/// channel_indices : sequence of int
///     Channels to write, 0 to channels - 1. Negative numbers are refused.
/// file_objects : sequence of files, one for each channel index
///     Binary files and any object with `write` get the samples alone: no header is written. `wave.Wave_write` objects with 1
///     channel and a sample width of 3 get a header, which is true when they are closed. A file that is there twice gets the
///     block of one channel after that of the other.
///
/// Returns
/// -------
/// int
///     Number of frames that each file got.
///
/// Raises
/// ------
/// TypeError
///     For another dtype, a text file, an object without `write`.
/// ValueError
///     For another shape, a channel that does not exist, lists of different lengths, a closed file, a `wave` file of another format.
/// WriteError
///     If a file fails: an `OSError` that says how many frames of this call each file has.
///
/// Notes
/// -----
/// Everything but `WriteError` is raised before the first byte. Files are written in their order; of a long array, each gets a
/// part of the frames in turn. When the call returns, the file objects have all bytes. A file that `open` has buffered may hold the
/// last of them, as many as its buffer has (4096 or more), until it is flushed or closed. Long blocks go past its buffer, after what
/// it held.
///
/// The interpreter is free for other threads while 16384 samples or more are converted, and while they are written to files of
/// the operating system.
#[pyfunction]
pub fn write_multichannel_24bit(
    audio_data: &Bound<'_, PyAny>,
    channel_indices: &Bound<'_, PyAny>,
    file_objects: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    write(audio_data, channel_indices, file_objects, false)
}

/// Writes channels of 24-bit numbers in int32 to one binary file each.
///
/// Like `write_multichannel_24bit`, but for an array of int32 that holds 24-bit numbers: -8388608 to 8388607 are written as they
/// are, and numbers beyond are written as the nearest of these. This is not int32 at its own full scale: such samples are `audio_data >>
/// 8`.
#[pyfunction]
pub fn write_multichannel_24bit_int32(
    audio_data: &Bound<'_, PyAny>,
    channel_indices: &Bound<'_, PyAny>,
    file_objects: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    write(audio_data, channel_indices, file_objects, true)
}

/// Does the conversion of `write_multichannel_24bit` alone, for benchmarks: the channels' bytes, one channel after the other, are
/// written to the beginning of `out`.
#[pyfunction]
pub fn convert_multichannel_24bit(
    audio_data: &Bound<'_, PyAny>,
    channel_indices: &Bound<'_, PyAny>,
    out: &Bound<'_, PyByteArray>,
) -> PyResult<usize> {
    let source = Source::new(audio_data, false)?;
    let channels = channels(channel_indices, &source)?;
    let needed = source.frames.saturating_mul(channels.len() * BYTES);
    let found = out.len();
    if found < needed {
        return Err(PyValueError::new_err(format!("out must have at least {needed} bytes, found {found}")));
    }
    // SAFETY: the interpreter is held while the bytes change, and no Python code runs.
    let bytes = unsafe { out.as_bytes_mut() };
    source.convert(&channels, 0, source.frames, &mut bytes[..needed]);
    Ok(source.frames)
}

/// The instruction set of the conversion: 'avx2', 'neon' or 'portable'.
#[pyfunction]
pub fn writer_backend() -> &'static str {
    match InstructionSet::best() {
        InstructionSet::Avx2 => "avx2",
        // Plain Rust, which the compiler makes NEON instructions of: every 64-bit ARM processor has them.
        InstructionSet::Portable if cfg!(target_arch = "aarch64") => "neon",
        InstructionSet::Portable => "portable",
    }
}
