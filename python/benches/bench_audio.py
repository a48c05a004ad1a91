"""The arithmetic of audio against NumPy's on the same arrays."""

from __future__ import annotations

import numpy as np
import pytest

import isotherm as aus

RATE = 48_000
TABLE = "Audio against NumPy (a ratio of 1 is equal)"
TYPES = {"f32": np.float32, "f64": np.float64}


@pytest.fixture(params=[1_000, 1_000_000], ids=["1e3", "1e6"])
def frames(request) -> int:
    return request.param


@pytest.fixture(params=list(TYPES))
def sounds(request, frames):
    """Audio and the array whose memory it shares: the place of an operand in the memory would change the time."""
    array = np.random.default_rng(1).uniform(0.5, 1.0, frames).astype(TYPES[request.param])
    return f"{request.param}, {frames} frames", aus.AudioSamples.new_mono(array, RATE, copy=False), array


OPERATIONS = {
    "audio * array": lambda x, other: x * other,
    "audio + array": lambda x, other: x + other,
    "audio / array": lambda x, other: x / other,
    "audio * 0.5": lambda x, other: x * 0.5,
    "0.5 * audio": lambda x, other: 0.5 * x,
    "-audio": lambda x, other: -x,
    "abs(audio)": lambda x, other: abs(x),
    "np.tanh(audio)": lambda x, other: np.tanh(x),
    "np.sum(audio)": lambda x, other: np.sum(x),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_new_result(compare, sounds, name):
    case, audio, array = sounds
    other = np.ones_like(array)
    operation = OPERATIONS[name]
    compare(TABLE, f"{name}, {case}", lambda: operation(audio, other), "NumPy", lambda: operation(array, other))


def in_place(operator: str, operand):
    """A function that changes ``x`` in place, as a user writes it."""
    scope: dict = {}
    exec(f"def run(x, other):\n    x {operator} other\n", scope)
    return lambda x: scope["run"](x, operand)


@pytest.mark.parametrize("operator", ["+=", "*=", "/="])
@pytest.mark.parametrize("kind", ["array", "number"])
def test_in_place(compare, sounds, operator, kind):
    case, audio, array = sounds
    # Ones and zeros change no sample, so that the numbers stay ordinary however often the work runs.
    value = 0.0 if operator == "+=" else 1.0
    operand = np.full_like(array, value) if kind == "array" else value
    work = in_place(operator, operand)
    compare(TABLE, f"audio {operator} {kind}, {case}", lambda: work(audio), "NumPy", lambda: work(array))


def test_slice_in_place(compare, sounds):
    case, audio, array = sounds
    fade = np.ones(500, array.dtype)

    def work(x):
        x[-500:] *= fade

    compare(TABLE, f"audio[-500:] *= fade, {case}", lambda: work(audio), "NumPy", lambda: work(array))


def test_to_numpy(compare, sounds):
    case, audio, array = sounds
    compare(TABLE, f"audio.to_numpy(), {case}", audio.to_numpy, "array.view()", array.view)
