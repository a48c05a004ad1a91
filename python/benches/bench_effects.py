"""Effects on arrays against what users have otherwise: pedalboard, NumPy with SciPy's filter, and Numba.

The last table has the cost of a call: the time of a block in a stream without the core's own time for it.
"""

from __future__ import annotations

import numba
import numpy as np
import pedalboard
import pytest
import scipy.signal

import isotherm as aus

RATE = 48_000
TABLE = "Effects against other programs (below 1, Isotherm is faster)"
CALLS = "Cost of a call: a block in a stream, against the core's own time for the block"
#: The saturator's curve for tanh(gain x + bias), and a one-pole low-pass: the "fair fast Python" of the saturator.
GAIN = 10 ** (24 / 20)
BIAS = 0.1
POLE = float(np.exp(-2 * np.pi * 8_000 / RATE))


@pytest.fixture(params=[256, 48_000, 1_000_000], ids=["256", "1 s", "1e6"])
def sound(request):
    return np.random.default_rng(1).uniform(-0.4, 0.4, request.param).astype(np.float32)


def numpy_curve(x):
    driven = np.tanh(np.float32(GAIN) * x + np.float32(BIAS))
    return scipy.signal.lfilter([np.float32(1 - POLE)], [np.float32(1), np.float32(-POLE)], driven)


@numba.njit(fastmath=True)
def numba_curve(x):
    out = np.empty_like(x)
    gain, bias, pole, state = np.float32(GAIN), np.float32(BIAS), np.float32(POLE), np.float32(0)
    for i in range(x.size):
        state = (np.float32(1) - pole) * np.tanh(gain * x[i] + bias) + pole * state
        out[i] = state
    return out


CURVE = aus.Saturator(drive=24, bias=BIAS, oversampling=1, dc_blocker=False)
CASES = {
    "saturator 1x": (
        CURVE,
        {
            "NumPy tanh + lfilter": numpy_curve,
            "Numba tanh + one-pole": numba_curve,
            "pedalboard Distortion (tanh, 1x)": lambda x, plugin=pedalboard.Distortion(24): plugin(x, RATE),
        },
    ),
    "saturator 8x": (
        aus.Saturator(drive=24, oversampling=8),
        {"pedalboard Distortion (tanh, 1x)": lambda x, plugin=pedalboard.Distortion(24): plugin(x, RATE)},
    ),
    "bitcrusher": (
        aus.Bitcrusher(bits=8),
        {"pedalboard Bitcrush": lambda x, plugin=pedalboard.Bitcrush(8): plugin(x, RATE)},
    ),
}


@pytest.mark.parametrize(("name", "rival"), [(name, rival) for name, (_, rivals) in CASES.items() for rival in rivals])
def test_whole_sound(compare, sound, name, rival):
    effect, rivals = CASES[name]
    rivals[rival](sound)
    compare(TABLE, f"{name}, {sound.size} frames", lambda: effect(sound, RATE), rival, lambda: rivals[rival](sound))


@pytest.mark.parametrize("block", [64, 256, 1024])
@pytest.mark.parametrize("name", ["saturator 8x", "bitcrusher"])
def test_call_in_a_stream(request, benchmark, name, block):
    """The core's time comes from ``isotherm.bench`` in the same run; both are medians."""
    from conftest import ROWS, Row

    effect = CASES[name][0]
    noise = np.random.default_rng(1).uniform(-0.4, 0.4, block).astype(np.float32)
    state = effect.start(RATE, 1)
    benchmark.group = CALLS
    benchmark(state.process, noise)
    (row,) = aus.bench(effect, blocks=block, seconds=1, progress=False)
    call = benchmark.stats.stats.median
    core = row["ns_per_sample"] * block * 1e-9
    request.config.stash.setdefault(ROWS, []).append(Row(CALLS, f"{name}, block of {block}", call, "the core", core, call / core))
