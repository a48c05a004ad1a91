"""The one way from audio and arrays to the native functions and back."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ._native import SampleBuffer, max_channels

#: A sound: `AudioSamples`, or an array beside which a sample rate is given.
Sound: TypeAlias = "SampleBuffer | NDArray[Any]"

#: The number that is full scale in an array of integers; unsigned bytes have their zero at 128.
_FULL_SCALE = {"u1": 128.0, "i2": 32768.0, "i4": 2147483648.0}
_DTYPES = "float32, float64, int16, int32 or uint8"
#: Most channels that effects and measures take.
MAX_CHANNELS: int = max_channels()
#: Highest sample rate of a sound in Hz, which is kept in 32 bits.
MOST_RATE = 4_294_967_295
#: Longest block in frames that is timed, as on the command line.
MOST_BLOCK = 1 << 20


class Planar(NamedTuple):
    """A sound as native functions take it, and what is needed to give a result in the form of the input."""

    #: float32, C-contiguous, (channels, frames).
    samples: NDArray[np.float32]
    #: In Hz; NaN if the input is an array without a rate.
    sample_rate: float
    #: Class of the input if it is audio.
    audio_class: type[SampleBuffer] | None
    #: True if the result has one dimension.
    is_flat: bool
    #: True if the result is float64.
    is_double: bool
    #: True if the result is (frames, channels).
    frames_first: bool

    def back(self, samples: NDArray[np.float32]) -> Any:
        """A result, (channels, frames), in the input's form: its class, dimensions, and dtype if that is a float."""
        result: NDArray[Any] = samples[0] if self.is_flat else samples.T if self.frames_first else samples
        if self.is_double:
            result = result.astype(np.float64)
        if self.audio_class is None:
            return result
        return cast(Any, self.audio_class)._wrap(result, int(self.sample_rate))


def found(value: object) -> str:
    """The type of a value for messages."""
    return type(value).__name__


def plain(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The array, if it is no subclass that gives its numbers another meaning, as a mask does; TypeError otherwise."""
    if isinstance(array, (np.ma.MaskedArray, np.matrix)):
        raise TypeError(f"{name}: found {found(array)}; expected a plain numpy.ndarray, as numpy.asarray gives it")
    return array


def check_rate(sample_rate: object) -> float:
    """A sample rate in Hz as a number.

    Raises TypeError for another type, ValueError for one that is not finite or below 1 Hz.
    """
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, (int, float, np.integer, np.floating)):
        raise TypeError(f"sample_rate: found {found(sample_rate)}; expected a number in Hz")
    rate = float(sample_rate)
    if not 1.0 <= rate <= MOST_RATE:
        raise ValueError(f"sample_rate: found {sample_rate} Hz; expected 1 to {MOST_RATE} Hz")
    return rate


def count(value: object, name: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`; TypeError or ValueError that names what was found."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: found {found(value)}; expected a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name}: found {value}; expected {least} to {most}")
    return int(value)


def whole_rate(sample_rate: float) -> int:
    """A sample rate as the whole number of Hz that audio has; ValueError for a fraction."""
    if sample_rate != int(sample_rate):
        raise ValueError(f"sample_rate: found {sample_rate} Hz; expected a whole number of Hz")
    return int(sample_rate)


def planar(
    sound: Sound,
    sample_rate: float | None = None,
    *,
    frames_first: bool = False,
    name: str = "audio",
    rate_needed: bool = True,
) -> Planar:
    """Turns audio, or an array with its sample rate, into what native functions take.

    An array is (frames,) or (channels, frames); with `frames_first` (frames, channels), as soundfile.read gives it. Which of the
    two is never guessed. Floats are samples where 1 is full scale, integers have their range as full scale.

    Raises TypeError for another type or dtype, ValueError for another shape or rate; both name what was found.
    """
    audio_class: type[SampleBuffer] | None = None
    if isinstance(sound, SampleBuffer):
        audio_class = type(sound)
        array: NDArray[Any] = sound.to_numpy()
        own = sound.sample_rate
        if sample_rate is not None and check_rate(sample_rate) != own:
            raise ValueError(f"{name}: its sample rate is {own} Hz, found sample_rate={sample_rate}; expected the same, or none")
        if frames_first:
            raise TypeError(f"{name}: frames_first is for arrays; audio knows its layout")
        rate = float(own)
    else:
        if not isinstance(sound, np.ndarray):
            raise TypeError(f"{name}: found {found(sound)}; expected AudioSamples, or a NumPy array and its sample rate")
        array = plain(sound, name)
        if sample_rate is None:
            if rate_needed:
                raise TypeError(f"{name}: an array has no sample rate; expected sample_rate=..., or AudioSamples")
            rate = float("nan")
        else:
            rate = check_rate(sample_rate)
    is_flat = array.ndim == 1
    if is_flat and frames_first:
        raise ValueError(f"{name}: found shape {array.shape} with frames_first; expected (frames, channels)")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name}: found shape {array.shape}; expected (frames,) or (channels, frames)")
    rows = array[np.newaxis, :] if is_flat else array.T if frames_first else array
    if rows.shape[0] > MAX_CHANNELS:
        hint = "; an array of (frames, channels), as soundfile.read gives it, needs frames_first=True" if not frames_first else ""
        raise ValueError(f"{name}: found shape {array.shape}, {rows.shape[0]} channels; expected 1 to {MAX_CHANNELS}{hint}")
    if rows.shape[0] == 0:
        raise ValueError(f"{name}: found shape {array.shape}, 0 channels; expected 1 to {MAX_CHANNELS}")
    kind = array.dtype.kind + str(array.dtype.itemsize)
    if kind == "f4" or kind == "f8":
        # Aligned, too: a field of a packed record is not.
        samples = np.require(rows, np.float32, ["C", "A"])
    elif kind in _FULL_SCALE:
        scale = _FULL_SCALE[kind]
        shifted = rows.astype(np.float64) - (scale if kind == "u1" else 0.0)
        samples = np.ascontiguousarray(shifted / scale, dtype=np.float32)
    else:
        raise TypeError(f"{name}: found dtype {array.dtype}; expected {_DTYPES}")
    return Planar(samples, rate, audio_class, is_flat, kind == "f8", frames_first)


def pair(a: Sound, b: Sound, sample_rate: float | None, frames_first: bool, rate_needed: bool) -> tuple[Planar, Planar, int]:
    """Two sounds of one sample rate, and this rate; ValueError with both rates if they differ."""
    # An array beside audio has the audio's rate.
    if sample_rate is None:
        for one in (a, b):
            if isinstance(one, SampleBuffer):
                sample_rate = one.sample_rate
                break
    rates = [one.sample_rate for one in (a, b) if isinstance(one, SampleBuffer)]
    if len(rates) == 2 and rates[0] != rates[1]:
        raise ValueError(f"found sample rates of {rates[0]} Hz and {rates[1]} Hz; expected one rate")
    left = planar(a, sample_rate, frames_first=frames_first and isinstance(a, np.ndarray), name="a", rate_needed=rate_needed)
    right = planar(b, sample_rate, frames_first=frames_first and isinstance(b, np.ndarray), name="b", rate_needed=rate_needed)
    # A measure that does not depend on the rate takes any.
    rate = whole_rate(left.sample_rate) if left.sample_rate == left.sample_rate else 48_000
    return left, right, rate
