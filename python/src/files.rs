//! WAV files, other sample rates and the core's generators, for arrays of (channels, frames).

use std::io::{Cursor, ErrorKind};
use std::path::PathBuf;

use isotherm::audio::wav::{Encoding, NonFinitePolicy, Reader, WavFormat, Writer};
use isotherm::audio::{AudioError, Resampler, Resampling, Sample, WavError, generate};
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::work::{self, SignalWatch};

/// Frames between two looks at Python's signals.
const BLOCK_FRAMES: usize = 16_384;
/// Products of samples and taps between two looks at the wish to end: a few milliseconds.
const BLOCK_PRODUCTS: usize = 1 << 22;
/// Bytes of sound from which a file gets room for 64-bit sizes: 4 GiB, less room for any header.
const LONG_BYTES: u64 = (1 << 32) - (1 << 16);

/// An `OSError` for what the operating system refused, else a `ValueError`.
fn wav_error(error: WavError) -> PyErr {
    match error {
        WavError::Io { path, action, source } => match source.raw_os_error() {
            Some(code) => {
                let reason = source.to_string();
                let reason = reason.strip_suffix(&format!(" (os error {code})")).unwrap_or(&reason);
                PyOSError::new_err((code, format!("cannot {action}: {reason}"), path.into_os_string()))
            }
            // A path that no system call takes, as with a NUL in it.
            None if source.kind() == ErrorKind::InvalidInput => PyValueError::new_err(format!("cannot {action}: {source}")),
            None => PyOSError::new_err(format!("{}: cannot {action}: {source}", path.display())),
        },
        other => PyValueError::new_err(other.to_string()),
    }
}

/// An empty vector with room for `count` elements; a `MemoryError` if there is none, where Rust's own functions would end the
/// process.
fn with_room<T>(count: usize) -> PyResult<Vec<T>> {
    let mut made = Vec::new();
    made.try_reserve_exact(count).map_err(|error| PyMemoryError::new_err(format!("{count} samples: {error}")))?;
    Ok(made)
}

/// A copy of the samples of an array, which other threads may change meanwhile.
fn copied<T: Element + Copy>(array: &Bound<'_, PyArrayDyn<T>>) -> PyResult<Vec<T>> {
    if !array.is_c_contiguous() || !array.is_aligned() {
        return Err(PyTypeError::new_err("expected an aligned and C-contiguous array"));
    }
    let mut samples = with_room(array.len())?;
    // SAFETY: the interpreter stays attached while the slice lives.
    samples.extend_from_slice(unsafe { array.as_slice()? });
    Ok(samples)
}

/// A `ValueError` with the text of an error of the core.
fn audio_error(error: AudioError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// An array of (channels, frames), without another copy of it in memory.
fn planar<'py, T: Element>(py: Python<'py>, channels: usize, samples: Vec<T>) -> PyResult<Bound<'py, PyAny>> {
    let frames = samples.len() / channels.max(1);
    Ok(numpy::PyArray1::from_vec(py, samples).reshape([channels, frames])?.into_any())
}

/// All frames of a file, planar.
fn all_frames<S: Sample>(reader: &mut Reader) -> PyResult<Vec<S>> {
    let channels = reader.channels();
    let mut watch = SignalWatch::new();
    let mut sound: Vec<Vec<S>> = vec![Vec::new(); channels];
    loop {
        let before = sound[0].len();
        for channel in &mut sound {
            channel.try_reserve(BLOCK_FRAMES).map_err(|error| PyMemoryError::new_err(error.to_string()))?;
            channel.resize(before + BLOCK_FRAMES, S::ZERO);
        }
        let mut block: Vec<&mut [S]> = sound.iter_mut().map(|channel| &mut channel[before..]).collect();
        let read = reader.read_block(&mut block).map_err(wav_error)?;
        sound.iter_mut().for_each(|channel| channel.truncate(before + read));
        if read < BLOCK_FRAMES {
            if channels == 1 {
                return Ok(sound.swap_remove(0));
            }
            let mut all = with_room(channels * sound[0].len())?;
            sound.iter().for_each(|channel| all.extend_from_slice(channel));
            return Ok(all);
        }
        watch.look()?;
    }
}

/// Reads a WAV file in its own type: the array of (channels, frames), and what the file is.
fn read<'py>(
    py: Python<'py>,
    open: impl FnOnce() -> Result<Reader, WavError> + Send,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>)> {
    let mut reader = py.detach(|| open().map(|reader| reader.with_non_finite(NonFinitePolicy::Keep))).map_err(wav_error)?;
    let channels = reader.channels();
    let samples = match reader.encoding() {
        Encoding::Unsigned8 => {
            // 16 bits hold the 8 bits at their top.
            let samples = py.detach(|| all_frames::<i16>(&mut reader))?;
            planar(py, channels, samples.into_iter().map(|sample| ((sample >> 8) + 128) as u8).collect())?
        }
        Encoding::Int16 | Encoding::ALaw | Encoding::MuLaw => {
            let samples = py.detach(|| all_frames::<i16>(&mut reader))?;
            planar(py, channels, samples)?
        }
        Encoding::Int24 | Encoding::Int32 => {
            let samples = py.detach(|| all_frames::<i32>(&mut reader))?;
            planar(py, channels, samples)?
        }
        Encoding::Float32 => {
            let samples = py.detach(|| all_frames::<f32>(&mut reader))?;
            planar(py, channels, samples)?
        }
        Encoding::Float64 => {
            let samples = py.detach(|| all_frames::<f64>(&mut reader))?;
            planar(py, channels, samples)?
        }
    };
    let info = PyDict::new(py);
    info.set_item("sample_rate", reader.sample_rate())?;
    info.set_item("channels", channels)?;
    info.set_item("encoding", reader.encoding().to_string())?;
    info.set_item("notes", reader.notes().to_vec())?;
    info.set_item("unfinished", reader.unfinished())?;
    Ok((samples, info))
}

/// Reads the WAV file at `path`.
///
/// # Errors
/// `OSError` from the operating system, `ValueError` for what is no WAV file with sound, `KeyboardInterrupt`.
#[pyfunction]
pub fn read_wav(py: Python<'_>, path: PathBuf) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyDict>)> {
    read(py, move || Reader::open(path))
}

/// Reads a WAV file from its bytes; `name` stands for its path in messages.
///
/// # Errors
/// Errors are those of [`read_wav`].
#[pyfunction]
pub fn read_wav_bytes(py: Python<'_>, bytes: Vec<u8>, name: String) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyDict>)> {
    read(py, move || Reader::stream(Cursor::new(bytes), name))
}

/// Writes planar samples block by block.
fn write_all<S: Sample>(mut writer: Writer, samples: &[S], frames: usize) -> PyResult<(u64, u64)> {
    let mut watch = SignalWatch::new();
    for from in (0..frames).step_by(BLOCK_FRAMES) {
        let to = (from + BLOCK_FRAMES).min(frames);
        let block: Vec<&[S]> = samples.chunks_exact(frames).map(|channel| &channel[from..to]).collect();
        writer.write_block(&block).map_err(wav_error)?;
        watch.look()?;
    }
    let written = writer.finish().map_err(wav_error)?;
    Ok((written.clipped, written.replaced))
}

/// Writes an array of (channels, frames) of int16, int32, float32 or float64 as a WAV file, completely or not at all, as `subtype`:
/// `i16`, `i24`, `i32` or `f32`. Returns the counts of samples that were limited to full scale, and of NaN and infinities, which
/// become 0.
///
/// # Errors
/// `OSError` from the operating system, `ValueError` for other subtypes and for sounds that no WAV file can have, `TypeError` for
/// other arrays, `KeyboardInterrupt`.
#[pyfunction]
pub fn write_wav(
    py: Python<'_>,
    path: PathBuf,
    samples: &Bound<'_, PyUntypedArray>,
    sample_rate: u32,
    subtype: &str,
) -> PyResult<(u64, u64)> {
    let format = match subtype {
        "i16" => WavFormat::Int16,
        "i24" => WavFormat::Int24,
        "i32" => WavFormat::Int32,
        "f32" => WavFormat::Float32,
        other => {
            return Err(PyValueError::new_err(format!("expected a subtype of 'i16', 'i24', 'i32' or 'f32', found '{other}'")));
        }
    };
    let &[channels, frames] = samples.shape() else {
        return Err(PyTypeError::new_err("expected an array of (channels, frames)"));
    };
    macro_rules! of_type {
        ($($type:ty)*) => {$(
            if let Ok(samples) = samples.cast::<PyArrayDyn<$type>>() {
                let samples = copied(samples)?;
                return py.detach(move || {
                    let long = (channels * format.bytes()) as u64 * frames as u64 > LONG_BYTES;
                    let create = if long { Writer::create_long } else { Writer::create };
                    let writer = create(path, sample_rate, channels, format).map_err(wav_error)?;
                    write_all(writer, &samples, frames)
                });
            }
        )*};
    }
    of_type!(i16 i32 f32 f64);
    Err(PyTypeError::new_err(format!("expected samples of int16, int32, float32 or float64, found {}", samples.dtype())))
}

/// An array of (channels, frames) at another sample rate.
///
/// # Errors
/// `ValueError` for a rate of 0, `MemoryError`, `KeyboardInterrupt`.
#[pyfunction]
pub fn resample<'py>(
    py: Python<'py>,
    sound: &Bound<'py, PyArrayDyn<f64>>,
    from: u32,
    to: u32,
    high: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let &[channels, frames] = sound.shape() else { return Err(PyTypeError::new_err("expected an array of (channels, frames)")) };
    let sound = copied(sound)?;
    let resampled = work::run(py, None, move |progress| {
        let quality = if high { Resampling::High } else { Resampling::Medium };
        let resampler = Resampler::new(from, to, quality).map_err(audio_error)?;
        let length = resampler.frames(frames);
        let mut out: Vec<f64> = with_room(length.saturating_mul(channels))?;
        out.resize(length * channels, 0.0);
        let products_of_frame = 256 * (from as usize).div_ceil(to as usize);
        let block_frames = (BLOCK_PRODUCTS / products_of_frame).max(1);
        for (sound, out) in sound.chunks_exact(frames.max(1)).zip(out.chunks_exact_mut(length.max(1))) {
            for (index, block) in out.chunks_mut(block_frames).enumerate() {
                if !progress.goes_on() {
                    return Ok(Vec::new());
                }
                resampler.read(sound, index * block_frames, block);
            }
        }
        Ok::<_, PyErr>(out)
    })??;
    planar(py, channels, resampled)
}

/// One of the core's generators as an array of (channels, frames): `sine`, `square`, `saw`, `triangle` (`hz`, `amplitude`), `pink`
/// (`amplitude` is its RMS), `sweep` (`hz` to `to_hz`), `guitar`, `drums` or `speech` (their own length and level).
///
/// # Errors
/// `ValueError` for other names and for parameters out of their range.
#[pyfunction]
#[pyo3(signature = (name, sample_rate, *, frames=0, hz=0.0, to_hz=0.0, amplitude=0.0, channels=1, seed=0))]
#[expect(clippy::too_many_arguments, reason = "keywords of one function for all generators")]
pub fn generated<'py>(
    py: Python<'py>,
    name: &str,
    sample_rate: u32,
    frames: usize,
    hz: f64,
    to_hz: f64,
    amplitude: f64,
    channels: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    // The generators take at most 16 bytes for a frame, and would end the process if they did not get them.
    drop(with_room::<[f64; 2]>(frames)?);
    let wanted = name.to_owned();
    let made = work::run(py, None, move |_| match wanted.as_str() {
        "sine" => Some(generate::sine(sample_rate, hz, amplitude, frames)),
        "square" => Some(generate::square(sample_rate, hz, amplitude, frames)),
        "saw" => Some(generate::saw(sample_rate, hz, amplitude, frames)),
        "triangle" => Some(generate::triangle(sample_rate, hz, amplitude, frames)),
        "pink" => Some(generate::pink(sample_rate, amplitude, frames, seed)),
        "sweep" => Some(generate::sweep(sample_rate, hz, to_hz, amplitude, frames)),
        "guitar" => Some(generate::guitar(sample_rate, channels, seed)),
        "drums" => Some(generate::drums(sample_rate, channels, seed)),
        "speech" => Some(generate::speech(sample_rate, seed)),
        _ => None,
    })?;
    let made = made.ok_or_else(|| PyValueError::new_err(format!("no generator of the name '{name}'")))?;
    let audio = made.map_err(audio_error)?;
    planar(py, audio.channels(), audio.as_planar().to_vec())
}
