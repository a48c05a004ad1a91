"""Audio with its sample rate: a NumPy array of (frames,) or (channels, frames), and a rate in Hz.

The layout is never guessed. One channel is an array of (frames,), more are (channels, frames); ``frames_first=True`` takes
(frames, channels), which is what ``soundfile.read`` gives.

Views and copies: the constructors copy, unless ``copy=False``. ``to_numpy()``, slices and channels are views, as in NumPy: they
share their memory with the audio, keep it alive, and are read-only if it is. All other methods that return audio return a copy.
"""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _html, _native
from ._native import SampleBuffer

__all__ = ["AudioSamples", "Fade", "Quality", "ResamplingQuality", "Window"]

#: The types of samples by their short names.
TYPES: dict[str, np.dtype[Any]] = {
    "u8": np.dtype(np.uint8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in TYPES.items()}
_TYPES_TEXT = "uint8, int16, int32, float32 or float64"
#: Full scale: the number that stands for 1. Samples of 8 bits are unsigned, and 128 is silence.
_FULL_SCALE = {"u8": 2.0**7, "i16": 2.0**15, "i32": 2.0**31}
_U8_SILENCE = 128.0
#: The most channels; more are refused, because they are frames then (see ``frames_first``). The native class has it, too.
MAX_CHANNELS = 1024
#: Frames that ``resample`` interpolates at a time.
_PART_FRAMES = 2**16
#: The highest sample rate in Hz: what 32 bits hold, as in a WAV file.
MAX_RATE = 2**32 - 1
#: Division: the functions whose second operand must not be zero.
_DIVISIONS = frozenset((np.divide, np.floor_divide, np.remainder, np.fmod, np.divmod))

#: Functions whose results are no channels of frames, also when they have as many rows and columns.
_OTHER_AXES = frozenset(
    (
        np.transpose,
        np.swapaxes,
        np.moveaxis,
        np.rollaxis,
        np.rot90,
        np.dot,
        np.inner,
        np.outer,
        np.kron,
        np.tensordot,
        np.corrcoef,
    )
    + (np.cov, np.convolve, np.correlate, np.einsum, np.triu, np.tril, np.resize, np.reshape)
)
_OTHER_MODULES = frozenset(("numpy.fft", "numpy.linalg"))

Fade = Literal["linear", "raised-cosine", "equal-power"]
Window = Literal["rectangle", "hann", "hamming", "blackman", "blackman-harris"]
Normalization = Literal["minmax", "zscore", "mean"]

#: Cosine terms of the windows, as in the core: F. J. Harris, "On the Use of Windows for Harmonic Analysis with the Discrete
#: Fourier Transform", Proc. IEEE 66 (1978).
_WINDOW_TERMS: dict[str, tuple[float, ...]] = {
    "rectangle": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "blackman-harris": (0.35875, 0.48829, 0.14128, 0.01168),
}


class ResamplingQuality(enum.Enum):
    """How the samples between two samples are found."""

    fast = "fast"
    """A straight line, without a filter: frequencies above half the lower rate are folded. For control signals and previews."""
    medium = "medium"
    """A windowed sinc: exact to -80 dB up to 0.83 of half the lower rate; what is above half the lower rate is below -80 dB."""
    high = "high"
    """A longer one: exact to -120 dB up to 0.93 of half the lower rate (20.5 kHz at 44.1 kHz), and -120 dB above half of it."""


Quality = ResamplingQuality | Literal["fast", "medium", "high"]


def checked_rate(sample_rate: object) -> int:
    """The sample rate in Hz as an int: a whole number from 1 to 2^32 - 1."""
    if isinstance(sample_rate, np.floating):
        sample_rate = float(sample_rate)
    if isinstance(sample_rate, float) and sample_rate.is_integer():
        sample_rate = int(sample_rate)
    if isinstance(sample_rate, (bool, np.bool_)) or not isinstance(sample_rate, SupportsIndex):
        kind = ValueError if isinstance(sample_rate, float) else TypeError
        raise kind(f"expected a sample rate in whole Hz, found {sample_rate!r}")
    rate = operator.index(sample_rate)
    if not 1 <= rate <= MAX_RATE:
        raise ValueError(f"expected a sample rate of 1 to {MAX_RATE} Hz, found {rate} Hz")
    return rate


def checked_number(name: str, value: object) -> float:
    """A number as a float; ``TypeError`` for what is none, also for text."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, found {type(value).__name__}")
    return float(value)


def checked_frames(duration_secs: float, sample_rate: int) -> int:
    """The frames of a duration in seconds, 0 or more, rounded to the nearest."""
    frames = checked_number("duration in seconds", duration_secs) * sample_rate
    if not (0.0 <= frames < 2.0**62):
        raise ValueError(f"expected a duration of 0 seconds or more, found {duration_secs!r}")
    return round(frames)


def _checked_samples(data: object) -> npt.NDArray[Any]:
    """``data`` itself if it is an array of samples, in any byte order."""
    if isinstance(data, SampleBuffer):
        raise TypeError("expected a numpy.ndarray, found audio, which has its sample rate already: copy() or resample() it")
    if not isinstance(data, np.ndarray) or isinstance(data, (np.ma.MaskedArray, np.matrix)):
        found = type(data).__name__
        raise TypeError(f"expected a numpy.ndarray, found {found}: numpy.asarray(data, dtype=numpy.float32) makes one")
    if data.dtype.newbyteorder("=") not in _NAMES:
        raise TypeError(f"expected samples of {_TYPES_TEXT}, found {data.dtype}: convert with .astype(numpy.float32)")
    return data.view(np.ndarray)


def _taken(array: npt.NDArray[Any], copy: bool) -> npt.NDArray[Any]:
    """The samples in native byte order: copied, or the same memory."""
    if copy:
        return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    if not array.dtype.isnative:
        raise ValueError(
            f"expected samples in native byte order to share their memory, found {array.dtype.str}: copy=True converts"
        )
    return array


def _checked_channels(channels: int, shape: tuple[int, ...], frames_first: bool) -> None:
    """Raises ``ValueError`` for a number of channels that audio cannot have."""
    if not 1 <= channels <= MAX_CHANNELS:
        layout = "(frames, channels)" if frames_first else "(channels, frames)"
        hint = ""
        if channels > MAX_CHANNELS and not frames_first:
            hint = "; for (frames, channels), as soundfile.read gives it, frames_first=True"
        raise ValueError(f"expected an array of {layout} with 1 to {MAX_CHANNELS} channels, found {shape}{hint}")


def _unwrap(value: Any, found: list[AudioSamples]) -> Any:
    """``value`` with arrays in place of audio, also inside of lists, tuples and dicts; the audio is added to ``found``."""
    if isinstance(value, AudioSamples):
        if found and found[0].sample_rate != value.sample_rate:
            raise ValueError(f"other rate: {found[0].sample_rate} Hz and {value.sample_rate} Hz")
        found.append(value)
        return value._data
    if type(value) in (list, tuple):
        return type(value)(_unwrap(item, found) for item in value)
    if type(value) is dict:
        return {key: _unwrap(item, found) for key, item in value.items()}
    return value


def _restore(cls: type[AudioSamples], data: npt.NDArray[Any], sample_rate: int) -> AudioSamples:
    """Audio from its pickle."""
    return cls._wrap(data, sample_rate)


class AudioSamples(SampleBuffer):
    """Audio of one or more channels with its sample rate.

    ``AudioSamples(array, sample_rate)`` takes (frames,) or (channels, frames); ``new_mono`` and ``new_multi`` just one of both.
    The types of samples are uint8, int16, int32, float32 and float64, and they are kept. ``len`` is the number of frames.

    Operators take a number; an array of (frames,), for every channel; of (channels, frames); of (channels, 1), one number for
    each channel; or audio of the same shape and rate. Nothing else is broadcast. The numbers are taken as they are (1 is full
    scale for floats, 32768 for int16), and the result has NumPy's type for them. A zero in a divisor raises
    ``ZeroDivisionError``, before anything is changed. ``==`` is a bool: rate, type, shape and all samples are the same; ``<``,
    ``<=``, ``>`` and ``>=`` give an array of bools.

    NumPy's functions take audio. A result of the audio's shape, of a type that audio has, is audio; any other is an array or a
    number, as is that of functions that move axes. ``numpy.concatenate`` joins in time unless an axis is given.

    ``audio[a:b]`` are frames, as a view; ``audio[channel, a:b]`` those of a channel. Iteration is by channel.
    """

    __slots__ = ()
    __array_priority__ = 1000.0
    # Audio can change, as arrays can.
    __hash__ = None  # type: ignore[assignment]

    def __new__(
        cls, data: npt.NDArray[Any], sample_rate: SupportsIndex, *, frames_first: bool = False, copy: bool = True
    ) -> Self:
        if isinstance(data, np.ndarray) and data.ndim == 1:
            return cls.new_mono(data, sample_rate, copy=copy)
        return cls.new_multi(data, sample_rate, frames_first=frames_first, copy=copy)

    @classmethod
    def new_mono(cls, data: npt.NDArray[Any], sample_rate: SupportsIndex, *, copy: bool = True) -> Self:
        """Audio of one channel from an array of (frames,), or of (1, frames). It copies, unless ``copy=False``."""
        rate = checked_rate(sample_rate)
        array = _checked_samples(data)
        if array.ndim == 2 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != 1:
            hint = ": for more channels, new_multi (with frames_first=True for soundfile's layout)" if array.ndim == 2 else ""
            raise ValueError(f"expected an array of (frames,), found {array.shape}{hint}")
        return cls._wrap(_taken(array, copy), rate)

    @classmethod
    def new_multi(
        cls, data: npt.NDArray[Any], sample_rate: SupportsIndex, *, frames_first: bool = False, copy: bool = True
    ) -> Self:
        """Audio from an array of (channels, frames).

        With ``frames_first=True`` from (frames, channels), as soundfile.read gives it. It copies, unless ``copy=False``. One
        channel becomes an array of (frames,).
        """
        rate = checked_rate(sample_rate)
        array = _checked_samples(data)
        if array.ndim != 2:
            layout = "(frames, channels)" if frames_first else "(channels, frames)"
            hint = ": for one channel, new_mono" if array.ndim == 1 else ""
            raise ValueError(f"expected an array of {layout}, found {array.shape}{hint}")
        planar = array.T if frames_first else array
        _checked_channels(planar.shape[0], array.shape, frames_first)
        planar = _taken(planar, copy)
        return cls._wrap(planar[0] if planar.shape[0] == 1 else planar, rate)

    @classmethod
    def from_channels(cls, channels: Iterable[Self]) -> Self:
        """Audio with all channels of some audio, one after another; all of the same rate and length."""
        parts = list(channels)
        if not parts:
            raise ValueError("expected at least 1 channel, found none")
        found: list[AudioSamples] = []
        arrays = [np.atleast_2d(array) for array in _unwrap(parts, found)]
        if len(found) != len(parts):
            raise TypeError("expected audio, found something else among the channels")
        for part in found:
            if len(part) != len(found[0]):
                raise ValueError(f"expected channels of {len(found[0])} frames, found one of {len(part)}")
        return cls.new_multi(np.concatenate(arrays), found[0].sample_rate)

    # What it is.

    def __len__(self) -> int:
        return int(self._data.shape[-1])

    @property
    def frames(self) -> int:
        """The number of frames: of the samples of each channel."""
        return int(self._data.shape[-1])

    def samples_per_channel(self) -> int:
        """The number of frames."""
        return int(self._data.shape[-1])

    @property
    def num_channels(self) -> int:
        """The number of channels."""
        return 1 if self._data.ndim == 1 else int(self._data.shape[0])

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.num_channels

    def is_mono(self) -> bool:
        """True for one channel."""
        return self._data.ndim == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames,) for one channel, else (channels, frames)."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes: 1 for one channel, else 2."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of samples of all channels."""
        return self._data.size

    @property
    def dtype(self) -> str:
        """The type of samples by its short name: 'u8', 'i16', 'i32', 'f32' or 'f64'."""
        return _NAMES[self._data.dtype]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of samples as NumPy has it."""
        return self._data.dtype

    @property
    def duration_seconds(self) -> float:
        """The duration in seconds."""
        return len(self) / self.sample_rate

    def __repr__(self) -> str:
        channels = "1 channel" if self.is_mono() else f"{self.num_channels} channels"
        name, frames, rate = type(self).__name__, len(self), self.sample_rate
        return f"{name}({channels} x {frames} frames, {self.dtype}, {rate} Hz, {self.duration_seconds:.3f} s)"

    def _repr_html_(self) -> str:
        """A player and a picture of the waveform, for notebooks."""
        return _html.player(self)

    # Copies and exchange with others.

    def copy(self) -> Self:
        """Audio with samples of its own, which can be written."""
        return self._wrap(self._data.copy(order="C"), self.sample_rate)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._data, self.sample_rate)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.to_numpy(), dtype=dtype, copy=copy)  # type: ignore[call-overload,no-any-return,unused-ignore]

    def __dlpack__(self, **options: Any) -> Any:
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._data.__dlpack_device__()

    # NumPy's protocols.

    def _operand(self, other: object) -> Any:
        """What is no float, int, audio or ``numpy.ndarray`` as an operand, for the native operators."""
        if isinstance(other, (np.number, np.bool_, int, float, complex)):
            return other
        if isinstance(other, (str, bytes, bytearray, list, tuple, np.ma.MaskedArray, np.matrix)):
            # Python would join bytes with anything that has memory.
            raise TypeError(f"expected a number, a numpy.ndarray or audio, found {type(other).__name__}")
        return other.view(np.ndarray) if isinstance(other, np.ndarray) else NotImplemented

    def _like(self, result: Any) -> Any:
        """Audio for an array of the audio's shape and of a type that audio has; everything else as it is."""
        if type(result) is np.ndarray and result.shape == self._data.shape and result.dtype in _NAMES:
            return self._wrap(result, self.sample_rate)
        return result

    def _ufunc(self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any] | None) -> Any:
        """The less usual calls of NumPy's functions of numbers: with options, such as ``out``, and ``reduce`` and the like."""
        outputs = options.get("out", ()) if options else ()
        found: list[AudioSamples] = []
        arrays: list[Any] = list(_unwrap(inputs, found))
        keywords: dict[str, Any] = _unwrap(options or {}, found)
        first = found[0]
        if method == "__call__" and ufunc.signature is None:
            for index, value in enumerate(inputs):
                if value is not first:
                    arrays[index] = first._checked(value)
                    if arrays[index] is NotImplemented:
                        return NotImplemented
            if ufunc in _DIVISIONS and "where" not in keywords:
                SampleBuffer._check_divisor(arrays[1])
        result = getattr(ufunc, method)(*arrays, **keywords)
        if type(result) is not tuple:
            return outputs[0] if outputs else first._like(result)
        given = outputs or (None,) * len(result)
        return tuple(first._like(item) if out is None else out for item, out in zip(result, given, strict=True))

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        found: list[AudioSamples] = []
        arrays, options = _unwrap(tuple(args), found), _unwrap(kwargs, found)
        first = found[0] if found else self
        if func is np.concatenate:
            return first._concatenate(arrays, options)
        result = func(*arrays, **options)
        out = kwargs.get("out")
        if isinstance(out, AudioSamples):
            return out
        if func in _OTHER_AXES or func.__module__ in _OTHER_MODULES:
            return result
        if type(result) in (list, tuple):
            return type(result)(first._like(item) for item in result)
        return first._like(result)

    def _concatenate(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """``numpy.concatenate``: in time, unless an axis is given."""
        if len(args) < 2 and "axis" not in options:
            parts = args[0] if args else options.get("arrays", ())
            for part in parts:
                if np.ndim(part) != self.ndim or np.shape(part)[:-1] != self.shape[:-1]:
                    expected = "(frames,)" if self.is_mono() else f"({self.num_channels}, frames)"
                    raise ValueError(f"expected parts of {expected}, as the first audio, found one of {np.shape(part)}")
            options = {**options, "axis": -1}
        result = np.concatenate(*args, **options)
        is_audio = type(result) is np.ndarray and result.dtype in _NAMES and "out" not in options
        if is_audio and (result.ndim == 1 and self.is_mono() or result.ndim == 2 and 2 <= result.shape[0] <= MAX_CHANNELS):
            return self._wrap(result, self.sample_rate)
        return result

    # Comparison.

    def _same(self, other: object) -> bool | None:
        """True if ``other`` has the same samples; None if it has none."""
        if isinstance(other, AudioSamples):
            if self.sample_rate != other.sample_rate or self._data.dtype != other._data.dtype:
                return False
            other = other._data
        if isinstance(other, np.ndarray):
            return bool(np.array_equal(self._data, other))
        return None

    def __eq__(self, other: object) -> bool:
        same = self._same(other)
        return NotImplemented if same is None else same

    def __ne__(self, other: object) -> bool:
        same = self._same(other)
        return NotImplemented if same is None else not same

    def _compare(self, other: object, function: Callable[..., Any]) -> npt.NDArray[np.bool_]:
        operand = self._checked(other)
        return NotImplemented if operand is NotImplemented else function(self._data, operand)

    def __lt__(self, other: object) -> npt.NDArray[np.bool_]:
        return self._compare(other, np.less)

    def __le__(self, other: object) -> npt.NDArray[np.bool_]:
        return self._compare(other, np.less_equal)

    def __gt__(self, other: object) -> npt.NDArray[np.bool_]:
        return self._compare(other, np.greater)

    def __ge__(self, other: object) -> npt.NDArray[np.bool_]:
        return self._compare(other, np.greater_equal)

    # Frames and channels.

    def _index(self, key: Any) -> tuple[Any, bool]:
        """The index of the array for ``audio[key]``; and True if it gives audio, False if single samples."""
        if isinstance(key, tuple):
            return self._channel_index(key)
        if isinstance(key, np.ndarray) and key.dtype == np.bool_ and key.shape == self.shape and key.ndim == 2:
            return key, False
        frames = _frame_index(key)
        return (frames if self.is_mono() else (slice(None), frames)), not _is_index(key)

    def _channel_index(self, key: tuple[Any, ...]) -> tuple[Any, bool]:
        """The index for ``audio[channels, frames]``."""
        if len(key) != 2:
            raise IndexError(f"expected audio[frames] or audio[channels, frames], found {len(key)} indices")
        channels, frames = (slice(None) if part is Ellipsis else _frame_index(part) for part in key)
        single = _is_index(frames) or not (_is_index(channels) or isinstance(channels, slice) or isinstance(frames, slice))
        if not self.is_mono():
            return (channels, frames), not single
        # The array of one channel has no axis for it.
        if isinstance(channels, (int, np.integer)):
            if channels not in (0, -1):
                raise IndexError(f"channel {channels} is out of range: 1 channel")
            return frames, not single
        if len(np.arange(1)[channels]) != 1:
            raise IndexError(f"expected the only channel, 0, found {channels!r}")
        return frames, not single

    def __getitem__(self, key: Any) -> Any:
        index, audio = self._index(key)
        part = self._data[index]
        if not audio:
            return part
        if part.ndim == 2:
            _checked_channels(part.shape[0], part.shape, False)
            part = part[0] if part.shape[0] == 1 else part
        if part.ndim not in (1, 2):
            raise IndexError(f"expected an index of one axis, found one that gives an array of {part.shape}")
        return self._wrap(part, self.sample_rate)

    def __setitem__(self, key: Any, value: Any) -> None:
        index, audio = self._index(key)
        target = self._data[index]
        if isinstance(value, AudioSamples):
            if value.sample_rate != self.sample_rate:
                raise ValueError(f"other rate: {self.sample_rate} Hz and {value.sample_rate} Hz")
            value = value._data
        elif not isinstance(value, np.ndarray):
            operand = self._operand(value)
            if operand is NotImplemented:
                raise TypeError(f"expected a number, an array or audio, found {type(value).__name__}")
        shape = np.shape(value)
        allowed = [(), target.shape]
        if audio and target.ndim == 2:
            allowed += [target.shape[1:], (target.shape[0], 1)]
        elif audio:
            allowed += [(1, *target.shape), (1, 1)]
        if shape not in allowed:
            raise ValueError(f"expected an array of {target.shape}, or one that fits every channel, found {shape}")
        dtype = self._data.dtype
        if isinstance(value, float) and dtype.kind != "f":
            if not value.is_integer():
                raise TypeError(f"expected whole numbers for samples of {dtype}, found {value}: convert with as_f32()")
            value = int(value)
        if isinstance(value, (np.ndarray, np.generic, complex)):
            found = np.asarray(value).dtype
            if not np.can_cast(found, dtype, "same_kind"):
                raise TypeError(f"expected numbers that fit samples of {dtype}, found {found}: convert them first")
            if dtype.kind != "f" and not np.can_cast(found, dtype) and np.size(value):
                low, high = int(np.min(value)), int(np.max(value))
                limits = np.iinfo(dtype)
                if low < limits.min or high > limits.max:
                    raise OverflowError(f"expected numbers from {limits.min} to {limits.max}, found {low} to {high}")
        self._data[index] = value

    def __iter__(self) -> Iterator[Self]:
        return (self.channel(index) for index in range(self.num_channels))

    def __reversed__(self) -> Iterator[Self]:
        return (self.channel(index) for index in reversed(range(self.num_channels)))

    def __contains__(self, value: object) -> bool:
        operand = self._checked(value)
        return operand is not NotImplemented and bool(np.any(self._data == operand))

    def channel(self, index: int) -> Self:
        """Channel ``index``, counted from 0, as a view."""
        if not -self.num_channels <= index < self.num_channels:
            raise IndexError(f"channel {index} is out of range: {self.num_channels} channel(s)")
        return self._wrap(self._data if self.is_mono() else self._data[index], self.sample_rate)

    def to_mono(self) -> Self:
        """One channel: the mean of all."""
        if self.is_mono():
            return self.copy()
        return self._rounded(self._data.mean(axis=0, dtype=np.float64))

    def to_stereo(self) -> Self:
        """Two channels: the only channel twice, or both."""
        if self.num_channels > 2:
            raise ValueError(f"expected 1 or 2 channels, found {self.num_channels}: to_mono() first, or pick channels")
        return self.copy() if self.num_channels == 2 else self._wrap(np.stack((self._data, self._data)), self.sample_rate)

    def trim(self, start_secs: float, end_secs: float) -> Self:
        """The time from ``start_secs`` to ``end_secs`` in seconds; both are rounded to frames, and are within the audio."""
        start, end = checked_frames(start_secs, self.sample_rate), checked_frames(end_secs, self.sample_rate)
        if not start <= end <= len(self):
            raise ValueError(
                f"expected times from 0 to {self.duration_seconds} s in their order, found {start_secs} s to {end_secs} s"
            )
        return self._wrap(self._data[..., start:end].copy(), self.sample_rate)

    def pad(self, before_secs: float = 0.0, after_secs: float = 0.0) -> Self:
        """The audio with silence before and after it, in seconds."""
        before, after = checked_frames(before_secs, self.sample_rate), checked_frames(after_secs, self.sample_rate)
        silence = int(_U8_SILENCE) if self.dtype == "u8" else 0
        out = np.full((*self.shape[:-1], before + len(self) + after), silence, self._data.dtype)
        out[..., before : before + len(self)] = self._data
        return self._wrap(out, self.sample_rate)

    def reverse(self) -> Self:
        """The audio backwards."""
        return self._wrap(self._data[..., ::-1].copy(), self.sample_rate)

    def reverse_in_place(self) -> None:
        """Turns the audio backwards."""
        self._data[...] = self._data[..., ::-1].copy()

    # Types of samples.

    def _values(self) -> npt.NDArray[np.float64]:
        """The samples as float64 with 1 as full scale."""
        values = self._data.astype(np.float64)
        if self.dtype == "u8":
            values -= _U8_SILENCE
        if self.dtype in _FULL_SCALE:
            values /= _FULL_SCALE[self.dtype]
        return values

    def _converted(self, name: str) -> Self:
        """The samples as another type, with 1 as full scale: rounded to the nearest (halves to even) and limited; NaN is 0."""
        if name == self.dtype:
            return self.copy()
        values = self._values()
        if name in _FULL_SCALE:
            full = _FULL_SCALE[name]
            values *= full
            np.rint(values, out=values)
            np.clip(values, -full, full - 1.0, out=values)
            values[np.isnan(values)] = 0.0
            if name == "u8":
                values += _U8_SILENCE
        return self._wrap(values.astype(TYPES[name], copy=False), self.sample_rate)

    def _cast(self, name: str) -> Self:
        """The numbers as they are in another type: cut off towards zero and limited; NaN is 0."""
        if name not in _FULL_SCALE:
            return self._wrap(self._data.astype(TYPES[name]), self.sample_rate)
        return self._wrap(_limited(np.trunc(self._data.astype(np.float64)), TYPES[name]), self.sample_rate)

    def as_u8(self) -> Self:
        """Converted to uint8, by full scale; 128 is silence."""
        return self._converted("u8")

    def as_i16(self) -> Self:
        """Converted to int16, by full scale: 1.0 becomes 32767, -1.0 becomes -32768."""
        return self._converted("i16")

    def as_i32(self) -> Self:
        """Converted to int32, by full scale."""
        return self._converted("i32")

    def as_f32(self) -> Self:
        """Converted to float32, by full scale: integers end up from -1 to 1."""
        return self._converted("f32")

    def as_f64(self) -> Self:
        """Converted to float64, by full scale: integers end up from -1 to 1."""
        return self._converted("f64")

    def cast_as_u8(self) -> Self:
        """The same numbers as uint8: cut off towards zero and limited."""
        return self._cast("u8")

    def cast_as_i16(self) -> Self:
        """The same numbers as int16: cut off towards zero and limited, so 0.5 becomes 0."""
        return self._cast("i16")

    def cast_as_i32(self) -> Self:
        """The same numbers as int32: cut off towards zero and limited."""
        return self._cast("i32")

    def cast_as_f32(self) -> Self:
        """The same numbers as float32: 32767 stays 32767.0."""
        return self._cast("f32")

    def cast_as_f64(self) -> Self:
        """The same numbers as float64."""
        return self._cast("f64")

    def _rounded(self, values: npt.NDArray[np.float64]) -> Self:
        """Audio of the own type with these numbers; integers are rounded (halves to the even one) and limited, NaN is 0."""
        dtype = self._data.dtype
        out = values.astype(dtype) if dtype.kind == "f" else _limited(np.rint(values), dtype)
        return self._wrap(out, self.sample_rate)

    # Levels. All are of the numbers as they are, over all channels, and are 0 for empty audio; NaN among the samples gives NaN.

    def min(self) -> float:
        """The lowest sample."""
        return float(self._data.min()) if self.size else 0.0

    def max(self) -> float:
        """The highest sample."""
        return float(self._data.max()) if self.size else 0.0

    def peak(self) -> float:
        """The highest absolute sample; NaN if there is a NaN."""
        # Both are NaN if one is.
        return max(self.max(), -self.min())

    def mean(self) -> float:
        """The mean: the DC offset."""
        return float(self._data.mean(dtype=np.float64)) if self.size else 0.0

    def variance(self) -> float:
        """The variance (divided by the number of samples)."""
        return float(self._data.var(dtype=np.float64)) if self.size else 0.0

    def std_dev(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.variance())

    def rms(self) -> float:
        """The root mean square."""
        if not self.size:
            return 0.0
        values = self._data.astype(np.float64, copy=False)
        return math.sqrt(float(np.mean(np.square(values))))

    def zero_crossings(self) -> int:
        """Changes of the sign, of all channels together. Zeros have no sign of their own."""
        return sum(_sign_changes(channel) for channel in np.atleast_2d(self._data))

    def zero_crossing_rate(self) -> float:
        """Changes of the sign per second and channel; 0 for empty audio."""
        return self.zero_crossings() / self.num_channels / self.duration_seconds if len(self) else 0.0

    def rfft(self, n: int | None = None) -> npt.NDArray[np.complex128]:
        """The spectrum of each channel, (bins,) or (channels, bins): ``numpy.fft.rfft`` of ``n`` frames, or of all."""
        return np.fft.rfft(self._data.astype(np.float64, copy=False), n)

    # Changes in place. Integers are rounded and limited.

    def _store(self, values: npt.NDArray[Any]) -> None:
        """Writes numbers of the audio's shape into its memory."""
        dtype = self._data.dtype
        self._data[...] = values if dtype.kind == "f" else _limited(np.rint(values), dtype)

    def scale(self, factor: float) -> None:
        """Multiplies all samples by a factor, in place."""
        factor = checked_number("factor", factor)
        if not math.isfinite(factor):
            raise ValueError(f"factor: expected a finite number, found {factor}")
        if self._data.dtype.kind == "f":
            np.multiply(self._data, factor, out=self._data)
        else:
            self._store(self._data * factor)

    def gain_db(self, gain_db: float) -> None:
        """Changes the level by decibels, in place; minus infinity silences."""
        self.scale(_gain("gain_db", gain_db))

    def clip(self, low: float, high: float) -> None:
        """Limits all samples to ``low`` to ``high``, in place."""
        low, high = checked_number("low", low), checked_number("high", high)
        if not low <= high:
            raise ValueError(f"expected low <= high, found {low} and {high}")
        if self._data.dtype.kind == "f":
            np.clip(self._data, low, high, out=self._data)
        else:
            self._store(np.clip(self._data.astype(np.float64), low, high))

    def remove_dc_offset(self) -> None:
        """Subtracts from each channel its mean, in place."""
        if self.size:
            self._store(self._data - self._data.mean(axis=-1, keepdims=True, dtype=np.float64))

    def normalize(self, low: float = -1.0, high: float = 1.0, method: Normalization = "minmax") -> None:
        """Changes the level of all channels together, in place.

        - 'minmax': the lowest sample becomes ``low``, the highest ``high``.
        - 'mean': the mean becomes 0, and the highest sample is ``high - low`` above the lowest.
        - 'zscore': the mean becomes 0, the standard deviation 1; ``low`` and ``high`` do not count.

        Audio that has one value only cannot be stretched: it becomes ``low``, or 0. Empty audio stays as it is.
        """
        if method not in ("minmax", "zscore", "mean"):
            raise ValueError(f"expected 'minmax', 'zscore' or 'mean', found {method!r}")
        low, high = checked_number("low", low), checked_number("high", high)
        if not low <= high or not math.isfinite(high - low):
            raise ValueError(f"expected low <= high, found {low} and {high}")
        if not self.size:
            return
        lowest, mean = self.min(), self.mean()
        width = self.std_dev() if method == "zscore" else self.max() - lowest
        gain = (1.0 if method == "zscore" else high - low) / width if width else 0.0
        values = self._data.astype(np.float64)
        values -= lowest if method == "minmax" else mean
        values *= gain
        if method == "minmax":
            values += low
        self._store(values)

    def normalize_peak(self, target_db: float = 0.0) -> None:
        """Brings the peak to ``target_db`` dB of full scale, in place, with one gain for all channels."""
        self._normalize_level(target_db, np.max)

    def normalize_rms(self, target_db: float) -> None:
        """Brings the RMS to ``target_db`` dB of full scale, in place, with one gain for all; a full-scale sine has -3.01 dB."""
        self._normalize_level(target_db, lambda values: np.sqrt(np.mean(np.square(values))))

    def _normalize_level(self, target_db: float, level: Callable[[Any], Any]) -> None:
        values = np.abs(self._values())
        found = float(level(values)) if self.size else 0.0
        if not math.isfinite(found):
            raise ValueError("expected finite samples, found NaN or infinity")
        gain = _gain("target_db", target_db) / found if found else math.inf
        if not math.isfinite(gain):
            raise ValueError(f"expected a level above zero to normalize to {target_db} dB, found {found}")
        if self.dtype == "u8":
            self._store((self._data - _U8_SILENCE) * gain + _U8_SILENCE)
        else:
            self.scale(gain)

    def fade_in(self, duration_secs: float, curve: Fade = "raised-cosine") -> None:
        """Fades in from silence over the first seconds, in place."""
        frames = self._fade_frames(duration_secs)
        self._fade(slice(0, frames), _fade_gain(np.arange(frames) / max(frames, 1), curve))

    def fade_out(self, duration_secs: float, curve: Fade = "raised-cosine") -> None:
        """Fades out to silence over the last seconds, in place: the mirror of ``fade_in``."""
        frames = self._fade_frames(duration_secs)
        gain = _fade_gain(np.arange(frames)[::-1] / max(frames, 1), curve)
        self._fade(slice(len(self) - frames, len(self)), gain)

    def _fade_frames(self, duration_secs: float) -> int:
        frames = checked_frames(duration_secs, self.sample_rate)
        if frames > len(self):
            raise ValueError(f"expected a fade of at most {self.duration_seconds} s, found {duration_secs} s")
        return frames

    def _fade(self, frames: slice, gain: npt.NDArray[np.float64]) -> None:
        """Multiplies frames by a gain."""
        part = self[frames]
        part._store((part._data - _U8_SILENCE) * gain + _U8_SILENCE if self.dtype == "u8" else part._data * gain)

    def window(self, window: Window = "hann") -> None:
        """Multiplies each channel by a window over all frames, in place; periodic, as scipy's ``get_window``."""
        if window not in _WINDOW_TERMS:
            raise ValueError(f"expected one of {', '.join(_WINDOW_TERMS)}, found {window!r}")
        phase = 2.0 * np.pi * np.arange(len(self)) / max(len(self), 1)
        terms = enumerate(_WINDOW_TERMS[window])
        self._fade(slice(None), np.sum([(-1.0) ** k * term * np.cos(k * phase) for k, term in terms], axis=0))

    # Other rates.

    def resample(self, target_sample_rate: SupportsIndex, quality: Quality = ResamplingQuality.high) -> Self:
        """The audio at another sample rate, without a delay: as many frames as last as long, rounded up. The type is kept.

        ``quality``: see ``ResamplingQuality``. Beyond its ends, audio counts as silent.
        """
        target = checked_rate(target_sample_rate)
        try:
            quality = ResamplingQuality(quality)
        except ValueError:
            raise ValueError(f"expected 'fast', 'medium' or 'high', found {quality!r}") from None
        if target == self.sample_rate or not len(self):
            return self._wrap(self._data.copy(), target)
        planar = np.atleast_2d(self._data.astype(np.float64, order="C"))
        if self.dtype == "u8":
            planar -= _U8_SILENCE
        if quality is ResamplingQuality.fast:
            out = _interpolated(planar, self.sample_rate, target)
        else:
            out = _native.resample(planar, self.sample_rate, target, quality is ResamplingQuality.high)
        if self.dtype == "u8":
            out += _U8_SILENCE
        resampled = self._rounded(out[0] if self.is_mono() else out)
        return self._wrap(resampled._data, target)


def _interpolated(planar: npt.NDArray[np.float64], sample_rate: int, target: int) -> npt.NDArray[np.float64]:
    """Resamples (channels, frames) along straight lines."""
    frames = -(-planar.shape[1] * target // sample_rate)
    out = np.empty((planar.shape[0], frames))
    given = np.arange(planar.shape[1], dtype=np.float64)
    # In parts, so that Ctrl-C need not wait for all.
    for start in range(0, frames, _PART_FRAMES):
        at = np.arange(start, min(start + _PART_FRAMES, frames)) * (sample_rate / target)
        for channel, to in zip(planar, out, strict=True):
            to[start : start + _PART_FRAMES] = np.interp(at, given, channel)
    return out


def _gain(name: str, level_db: float) -> float:
    """The factor for a number of decibels; 0 for minus infinity."""
    number = checked_number(name, level_db)
    # Beyond is no sound that float64 holds.
    if not number <= 6000.0:
        raise ValueError(f"{name}: expected at most 6000 dB, found {number}")
    return float(10.0 ** (number / 20.0))


def _is_index(key: object) -> bool:
    """True for a single index."""
    return isinstance(key, (int, np.integer)) and not isinstance(key, bool)


def _frame_index(key: Any) -> Any:
    """A checked index of one axis: an int, a slice, an array of ints or bools."""
    if isinstance(key, slice) or key is Ellipsis or _is_index(key):
        return slice(None) if key is Ellipsis else key
    if isinstance(key, list):
        key = np.asarray(key) if key else np.zeros(0, np.intp)
    if isinstance(key, np.ndarray) and key.ndim == 1 and key.dtype.kind in "biu":
        return key
    found = f"an array of {key.shape}" if isinstance(key, np.ndarray) else type(key).__name__
    raise IndexError(f"expected a frame, a slice, or an array of frames or bools, found {found}")


def _limited(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Whole numbers as a type of integers: limited to its range; NaN is 0."""
    limits = np.iinfo(dtype)
    return np.nan_to_num(np.clip(values, limits.min, limits.max), nan=0.0).astype(dtype)


def _sign_changes(channel: npt.NDArray[Any]) -> int:
    """Changes of the sign in an array of (frames,)."""
    signs = np.sign(channel[channel != 0])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def _fade_gain(position: npt.NDArray[np.float64], curve: Fade) -> npt.NDArray[np.float64]:
    """The gain of a fade-in at positions from 0 to 1."""
    if curve == "linear":
        return position
    if curve == "raised-cosine":
        return (1.0 - np.cos(np.pi * position)) / 2.0
    if curve == "equal-power":
        return np.sin(np.pi / 2.0 * position)
    raise ValueError(f"expected 'linear', 'raised-cosine' or 'equal-power', found {curve!r}")
