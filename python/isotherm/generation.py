"""Test signals. All have one channel and float64 samples; ``amplitude`` 1 is full scale, durations are in seconds.

The waves are the ideal ones at each frame: square and saw alias, as in NumPy and SciPy. For measures, ``band_limited`` gives
sums of harmonics without aliasing. ``guitar``, ``drums`` and ``speech`` are the pieces that ``compare`` uses by default.
"""

from __future__ import annotations

import math
import operator
from typing import Any, Literal, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _native
from .audio import AudioSamples, checked_frames, checked_number, checked_rate

__all__ = [
    "band_limited", "chirp", "cosine_wave", "drums", "guitar", "impulse", "pink_noise", "sawtooth_wave", "silence", "sine_wave",
    "speech", "square_wave", "triangle_wave", "white_noise",
]  # fmt: skip

#: The sample rate in Hz if none is given.
DEFAULT_RATE = 44_100


def _number(name: str, value: float, low: float = -math.inf) -> float:
    """A finite number of at least ``low``."""
    number = checked_number(name, value)
    if not math.isfinite(number) or number < low:
        limit = "" if low == -math.inf else f" of {low:g} or more"
        raise ValueError(f"{name}: expected a finite number{limit}, found {value!r}")
    return number


def _audio(samples: npt.NDArray[Any], sample_rate: int) -> AudioSamples:
    return AudioSamples._wrap(samples, sample_rate)


def _periods(frequency: float, duration_secs: float, sample_rate: SupportsIndex) -> tuple[npt.NDArray[np.float64], int]:
    """The time in periods of a frequency, at each frame; and the checked sample rate."""
    rate = checked_rate(sample_rate)
    time = np.arange(checked_frames(duration_secs, rate)) / rate
    return _number("frequency", frequency, 0.0) * time, rate


def sine_wave(
    frequency: float, duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0
) -> AudioSamples:
    """A sine wave that begins at 0 and rises; ``frequency`` in Hz."""
    periods, rate = _periods(frequency, duration_secs, sample_rate)
    return _audio(_number("amplitude", amplitude) * np.sin(2.0 * np.pi * periods), rate)


def cosine_wave(
    frequency: float, duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0
) -> AudioSamples:
    """A cosine wave: a sine that begins at ``amplitude``."""
    periods, rate = _periods(frequency, duration_secs, sample_rate)
    return _audio(_number("amplitude", amplitude) * np.cos(2.0 * np.pi * periods), rate)


def square_wave(
    frequency: float, duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0
) -> AudioSamples:
    """A square wave, ``amplitude`` in the first half of a period, as ``scipy.signal.square``; it aliases."""
    periods, rate = _periods(frequency, duration_secs, sample_rate)
    return _audio(np.where(periods % 1.0 < 0.5, 1.0, -1.0) * _number("amplitude", amplitude), rate)


def sawtooth_wave(
    frequency: float, duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0
) -> AudioSamples:
    """A wave that rises from -``amplitude`` to ``amplitude``, as ``scipy.signal.sawtooth``; it aliases."""
    periods, rate = _periods(frequency, duration_secs, sample_rate)
    return _audio((2.0 * (periods % 1.0) - 1.0) * _number("amplitude", amplitude), rate)


def triangle_wave(
    frequency: float, duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0
) -> AudioSamples:
    """A triangle wave that begins at 0 and rises; it aliases (see ``band_limited``)."""
    periods, rate = _periods(frequency, duration_secs, sample_rate)
    return _audio((1.0 - 4.0 * np.abs((periods + 0.25) % 1.0 - 0.5)) * _number("amplitude", amplitude), rate)


def chirp(
    f0: float,
    f1: float,
    duration_secs: float,
    sample_rate: SupportsIndex = DEFAULT_RATE,
    amplitude: float = 1.0,
    method: Literal["linear", "exponential"] = "linear",
) -> AudioSamples:
    """A sine whose frequency goes from ``f0`` to ``f1`` Hz: in equal steps, or in equal ratios ('exponential')."""
    rate = checked_rate(sample_rate)
    f0, f1, height = _number("f0", f0, 0.0), _number("f1", f1, 0.0), _number("amplitude", amplitude)
    frames = checked_frames(duration_secs, rate)
    if method == "exponential":
        samples = _native.generated("sweep", rate, frames=frames, hz=f0, to_hz=f1, amplitude=abs(height))
        return _audio(samples[0].astype(np.float64) * math.copysign(1.0, height), rate)
    if method != "linear":
        raise ValueError(f"expected 'linear' or 'exponential', found {method!r}")
    time = np.arange(frames) / rate
    slope = (f1 - f0) / (frames / rate) if frames else 0.0
    return _audio(height * np.sin(2.0 * np.pi * (f0 * time + 0.5 * slope * time * time)), rate)


def silence(duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE) -> AudioSamples:
    """Zeros."""
    rate = checked_rate(sample_rate)
    return _audio(np.zeros(checked_frames(duration_secs, rate)), rate)


def impulse(
    duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0, position_secs: float = 0.0
) -> AudioSamples:
    """One sample of ``amplitude`` at ``position_secs``, zeros elsewhere."""
    audio = silence(duration_secs, sample_rate)
    at = checked_frames(position_secs, audio.sample_rate)
    if at >= len(audio):
        raise ValueError(f"position_secs: expected a time within {duration_secs} s, found {position_secs}")
    audio[at] = _number("amplitude", amplitude)
    return audio


def white_noise(
    duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, amplitude: float = 1.0, seed: int | None = None
) -> AudioSamples:
    """Independent samples, uniform from -``amplitude`` to below ``amplitude``; the same ``seed`` gives the same samples."""
    rate = checked_rate(sample_rate)
    height = _number("amplitude", amplitude, 0.0)
    noise = np.random.default_rng(None if seed is None else _seed(seed)).random(checked_frames(duration_secs, rate))
    return _audio((2.0 * noise - 1.0) * height, rate)


def pink_noise(
    duration_secs: float, sample_rate: SupportsIndex = DEFAULT_RATE, rms: float = 0.1, seed: int | None = None
) -> AudioSamples:
    """Noise of -3 dB per octave from 20 Hz on, with the RMS ``rms`` on average; the same ``seed`` gives the same samples."""
    rate = checked_rate(sample_rate)
    chosen = _seed(seed) if seed is not None else int(np.random.default_rng().integers(2**63))
    samples = _native.generated(
        "pink", rate, frames=checked_frames(duration_secs, rate), amplitude=_number("rms", rms), seed=chosen
    )
    return _audio(samples[0].astype(np.float64), rate)


def band_limited(
    shape: Literal["sine", "square", "saw", "triangle"],
    frequency: float,
    duration_secs: float,
    sample_rate: SupportsIndex = DEFAULT_RATE,
    amplitude: float = 1.0,
) -> AudioSamples:
    """A wave without aliasing: the sum of its harmonics below half the sample rate. Square and saw ring, up to 18 % above
    ``amplitude``."""
    if shape not in ("sine", "square", "saw", "triangle"):
        raise ValueError(f"expected 'sine', 'square', 'saw' or 'triangle', found {shape!r}")
    rate = checked_rate(sample_rate)
    frames = checked_frames(duration_secs, rate)
    samples = _native.generated(
        shape, rate, frames=frames, hz=_number("frequency", frequency), amplitude=_number("amplitude", amplitude)
    )
    return _audio(samples[0].astype(np.float64), rate)


def _seed(seed: int) -> int:
    """A seed of random numbers."""
    number = _whole("seed", seed)
    if not 0 <= number < 2**64:
        raise ValueError(f"seed: expected 0 to 2^64 - 1, found {number}")
    return number


def _whole(name: str, value: object) -> int:
    """A whole number; ``TypeError`` for what is none."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name}: expected a whole number, found {value!r}")
    return operator.index(value)


def _piece(name: str, sample_rate: SupportsIndex, channels: int, seed: int) -> AudioSamples:
    rate = checked_rate(sample_rate)
    if not 1 <= _whole("channels", channels) <= 2:
        raise ValueError(f"expected 1 or 2 channels, found {channels}")
    samples = _native.generated(name, rate, channels=channels, seed=_seed(seed))
    return AudioSamples.new_multi(samples, rate, copy=False)


def guitar(sample_rate: SupportsIndex = DEFAULT_RATE, channels: int = 1, seed: int = 0) -> AudioSamples:
    """Eight seconds of a plucked guitar, float32."""
    return _piece("guitar", sample_rate, channels, seed)


def drums(sample_rate: SupportsIndex = DEFAULT_RATE, channels: int = 1, seed: int = 0) -> AudioSamples:
    """Eight seconds of drums in the tempo of ``guitar``, float32."""
    return _piece("drums", sample_rate, channels, seed)


def speech(sample_rate: SupportsIndex = DEFAULT_RATE, seed: int = 0) -> AudioSamples:
    """Eight seconds of a voice without words, float32."""
    return _piece("speech", sample_rate, 1, seed)
