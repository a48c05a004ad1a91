"""Audio that the tests of `AudioSamples` share."""

import re
from typing import Any

import numpy as np
from isotherm import AudioSamples

RATE = 48_000
DTYPES = [np.uint8, np.int16, np.int32, np.float32, np.float64]


def ramp(*shape: int, dtype: Any = np.float32) -> Any:
    """Different samples above zero."""
    return (np.arange(1, np.prod(shape) + 1).reshape(shape) % 100 + 1).astype(dtype)


def mono(frames: int = 6, dtype: Any = np.float32) -> AudioSamples:
    return AudioSamples.new_mono(ramp(frames, dtype=dtype), RATE)


def stereo(frames: int = 6, dtype: Any = np.float32) -> AudioSamples:
    return AudioSamples.new_multi(ramp(2, frames, dtype=dtype), RATE)


def says(*parts: str) -> str:
    """A pattern for a message that has all parts in this order."""
    return ".*".join(re.escape(part) for part in parts)
