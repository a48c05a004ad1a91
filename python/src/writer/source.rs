//! The samples of a NumPy array, wherever they lie in memory, as bytes of 24-bit files.

use super::transpose::{Columns, GROUP, TILE, transpose};
use isotherm::audio::{I24, Sample, WavFormat};
use isotherm::record::pcm::{Converter, WordFormat};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// Bytes of a sample in a file.
pub const BYTES: usize = 3;

/// The lowest and the highest 24-bit number.
const LOWEST: i32 = -(1 << 23);
const HIGHEST: i32 = (1 << 23) - 1;

/// Type of an array's samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A float of 32 bits; full scale is 1.
    Float32,
    /// A float of 64 bits; full scale is 1.
    Float64,
    /// A 24-bit number in an integer of 32 bits; beyond its range the lowest or the highest such number is meant.
    Int32,
}

/// Frames x channels of an array. The array must live, and keep its memory, as long as this is used.
pub struct Source {
    /// The first frame's sample of the first channel.
    data: *const u8,
    pub frames: usize,
    pub channels: usize,
    /// Distance in bytes from one frame, and from one channel, to the next.
    frame_stride: isize,
    channel_stride: isize,
    kind: Kind,
    /// True if the bytes of a sample are in the other order than the processor's.
    swapped: bool,
}

// SAFETY: a source only reads, from any thread. A program that changes an array on another thread while it is converted gets the
// old or the new value of each sample, as in NumPy itself.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    /// The samples of `audio_data`, an array of shape (frames, channels).
    ///
    /// # Errors
    /// `TypeError` if it is not an array of such samples, integers if `integers` is true and else floats; `ValueError` for
    /// another number of dimensions.
    pub fn new(audio_data: &Bound<'_, PyAny>, integers: bool) -> PyResult<Self> {
        let Ok(array) = audio_data.cast::<PyUntypedArray>() else {
            let found = audio_data.get_type().name()?;
            let hint = if audio_data.hasattr("to_numpy")? && audio_data.hasattr("sample_rate")? {
                "; the writer takes frames first: audio.to_numpy().T, or audio.to_numpy()[:, numpy.newaxis] of one channel"
            } else {
                ""
            };
            return Err(PyTypeError::new_err(format!(
                "audio_data must be a NumPy array of shape (frames, channels), found {found}{hint}"
            )));
        };
        // A masked array, whose samples below the mask are not meant.
        let is_plain = audio_data.get_type().is(audio_data.py().get_type::<PyUntypedArray>());
        if !is_plain && audio_data.hasattr(intern!(audio_data.py(), "mask"))? {
            return Err(PyTypeError::new_err(
                "audio_data must be a NumPy array without a mask, found a masked array; .filled(0) makes one",
            ));
        }
        let dtype = array.dtype();
        let kind = match (dtype.kind(), dtype.itemsize(), integers) {
            (b'f', 4, false) => Kind::Float32,
            (b'f', 8, false) => Kind::Float64,
            (b'i', 4, true) => Kind::Int32,
            (_, _, false) => {
                let hint = if (dtype.kind(), dtype.itemsize()) == (b'i', 4) {
                    "; write_multichannel_24bit_int32 takes 24-bit numbers in int32"
                } else {
                    ""
                };
                return Err(PyTypeError::new_err(format!(
                    "audio_data must hold float32 or float64 (full scale is 1), found {dtype}{hint}"
                )));
            }
            (_, _, true) => {
                return Err(PyTypeError::new_err(format!(
                    "audio_data must hold int32 (24-bit numbers, {LOWEST} to {HIGHEST}), found {dtype}"
                )));
            }
        };
        let (&[frames, channels], &[frame_stride, channel_stride]) = (array.shape(), array.strides()) else {
            let shape = audio_data.getattr("shape")?;
            let hint = if array.ndim() == 1 { "; one channel is array[:, numpy.newaxis]" } else { "" };
            return Err(PyValueError::new_err(format!(
                "audio_data must have 2 dimensions, (frames, channels), found the shape {shape}{hint}"
            )));
        };
        // SAFETY: the array is alive, and NumPy's structure of it does not change while the interpreter is held.
        let data = unsafe { (*array.as_array_ptr()).fields.data }.cast_const().cast();
        let swapped = dtype.is_native_byteorder() == Some(false);
        Ok(Self { data, frames, channels, frame_stride, channel_stride, kind, swapped })
    }

    /// Converts these channels of `frames` frames from frame `first` on, one channel after the other.
    ///
    /// # Panics
    /// If there is no such frame or channel, or `out` has another length than the samples' bytes.
    pub fn convert(&self, channels: &[usize], first: usize, frames: usize, out: &mut [u8]) {
        assert!(first + frames <= self.frames && channels.iter().all(|c| *c < self.channels), "samples within the array");
        assert_eq!(out.len(), channels.len() * frames * BYTES, "bytes of all samples");
        if frames == 0 {
            return;
        }
        let word_format = if self.kind == Kind::Float32 { WordFormat::Float } else { WordFormat::Int24 };
        let converter = Converter::new(word_format, WavFormat::Int24);
        if self.has_columns() {
            for (channel, out) in channels.iter().zip(out.chunks_exact_mut(frames * BYTES)) {
                // SAFETY: frame and channel are within the array, where this channel's samples lie one after the other, aligned;
                // any 4 bytes are a word.
                let words = unsafe { std::slice::from_raw_parts(self.at(first, *channel).cast::<u32>(), frames) };
                converter.convert(words, out);
            }
            return;
        }
        let mut columns: Columns = [[0; TILE]; GROUP];
        for tile in (0..frames).step_by(TILE) {
            let n = TILE.min(frames - tile);
            let mut k = 0;
            while k < channels.len() {
                let count = self.read(&channels[k..], first + tile, n, &mut columns);
                for column in &mut columns[..count] {
                    let column = &mut column[..n];
                    if self.kind == Kind::Int32 {
                        for word in column.iter_mut() {
                            *word = word.cast_signed().clamp(LOWEST, HIGHEST).cast_unsigned();
                        }
                    }
                    converter.convert(column, &mut out[(k * frames + tile) * BYTES..][..n * BYTES]);
                    k += 1;
                }
            }
        }
    }

    /// Returns true if the samples are 32-bit floats that lie one after the other in each channel, so that they can be
    /// converted where they are.
    fn has_columns(&self) -> bool {
        self.kind == Kind::Float32
            && self.frame_stride == 4
            && self.channel_stride % 4 == 0
            && self.data.cast::<u32>().is_aligned()
            && !self.swapped
    }

    /// Address of a sample.
    ///
    /// # Safety
    /// The array must have this frame and this channel.
    unsafe fn at(&self, frame: usize, channel: usize) -> *const u8 {
        // SAFETY: the sample is within the array, so the distance does not overflow.
        unsafe { self.data.offset(frame.cast_signed() * self.frame_stride + channel.cast_signed() * self.channel_stride) }
    }

    /// Reads the first of these channels, or [`GROUP`] if so many lie side by side, as words of the converter; returns their
    /// number.
    fn read(&self, channels: &[usize], first: usize, frames: usize, columns: &mut Columns) -> usize {
        let channel = channels[0];
        // SAFETY: `convert` has checked frames and channels.
        let from = unsafe { self.at(first, channel) };
        let side_by_side = self.kind != Kind::Float64
            && self.channel_stride == 4
            && !self.swapped
            && channels.len() >= GROUP
            && channels.iter().zip(channel..).take(GROUP).all(|(a, b)| *a == b);
        if side_by_side {
            // SAFETY: each frame has these channels, side by side, in 4 bytes each.
            unsafe { transpose(from, self.frame_stride, frames, columns) };
            return GROUP;
        }
        let addresses = (0..frames).map(|frame| {
            // SAFETY: the frame is within the array.
            unsafe { from.offset(frame.cast_signed() * self.frame_stride) }
        });
        if self.kind == Kind::Float64 {
            for (word, address) in columns[0].iter_mut().zip(addresses) {
                // SAFETY: the sample has 8 bytes.
                let bits = unsafe { address.cast::<u64>().read_unaligned() };
                // Rounded once, from 64 bits: by way of 32 bits some samples would be rounded twice.
                let value = f64::from_bits(if self.swapped { bits.swap_bytes() } else { bits });
                *word = I24::from_f64(value).inner().cast_unsigned();
            }
        } else {
            for (word, address) in columns[0].iter_mut().zip(addresses) {
                // SAFETY: the sample has 4 bytes.
                let bits = unsafe { address.cast::<u32>().read_unaligned() };
                *word = if self.swapped { bits.swap_bytes() } else { bits };
            }
        }
        1
    }
}
