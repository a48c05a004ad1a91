"""10 000 random calls of audio, each beside the same call of NumPy on the bare array: 1000 examples of 10 calls."""

import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isotherm import AudioSamples

RATE = 48_000
DTYPES = ["u1", "i2", "i4", "f4", "f8"]
OTHERS = [*DTYPES, "i8", "u4", "i1", "?", "f2", "c8", ">f4", ">i2"]
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "//": operator.ifloordiv,
    "%": operator.imod,
    "**": operator.ipow,
}
DIVISIONS = ("/", "//", "%")
COMPARISONS: list[Callable[[Any, Any], Any]] = [operator.lt, operator.le, operator.gt, operator.ge]
#: Functions of one array, and those that make one number or an array of it.
FUNCTIONS: list[Callable[..., Any]] = [
    np.tanh,
    np.abs,
    np.square,
    np.negative,
    np.positive,
    np.floor,
    np.isnan,
    np.exp2,
    np.sign,
    np.conjugate,
]
REDUCTIONS: list[Callable[..., Any]] = [
    np.sum,
    np.mean,
    np.ptp,
    np.cumsum,
    np.sort,
    np.argsort,
    np.median,
    np.std,
    np.flip,
    np.diff,
]

numbers = st.sampled_from([0, 1, 2, -1, 3, 100, 0.0, -0.0, 0.5, -1.5, 1e30, math.inf, math.nan])
#: What arrays repeat: with zeros and without.
FLOATS = [
    [0.5],
    [0.0],
    [1.0, -2.5, 3.0],
    [0.25, 0.0, -1.0, 7.0],
    [math.nan, 1.0],
    [math.inf, -math.inf, 0.5, -0.0],
    [1e30, -1e-30],
    [2.0, 3.0],
]
SIGNED = [[1], [0], [1, -2, 3], [3, 0, -1], [100, -100, 7, 5, 2], [2, 1]]
UNSIGNED = [[1], [0], [1, 2, 3], [3, 0, 1], [100, 200, 7, 5, 2]]


def array_of(draw: st.DrawFn, shape: tuple[int, ...], dtype: str) -> Any:
    """An array with some zeros, small numbers, and for floats odd ones; contiguous or not."""
    kind = np.dtype(dtype).kind
    pool = draw(st.sampled_from(FLOATS if kind in "fc" else UNSIGNED if kind in "ub" else SIGNED))
    with np.errstate(all="ignore"):
        array = np.resize(np.array(pool, np.float64), shape).astype(dtype)
    if not shape:
        return array
    layout = draw(st.sampled_from(["C", "C", "F", "negative", "strided"]))
    if layout == "negative":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return np.asarray(array, order=layout)  # type: ignore[call-overload]


@st.composite
def sounds(draw: st.DrawFn) -> Any:
    """An array that audio can have."""
    channels, frames = draw(st.integers(1, 3)), draw(st.integers(0, 5))
    return array_of(draw, (frames,) if channels == 1 else (channels, frames), draw(st.sampled_from(DTYPES)))


def outcome(call: Callable[[], Any]) -> Any:
    """The result of a call, or its exception."""
    with np.errstate(all="ignore"):
        try:
            return call()
        except (ArithmeticError, IndexError, TypeError, ValueError, MemoryError) as error:
            return error


def like_numpy(found: Any, expected: Any, shape: tuple[int, ...]) -> None:
    """Checks that a result, or the kind of an exception, is that of NumPy; audio where it can be."""
    if isinstance(expected, Exception):
        assert isinstance(found, type(expected)) or isinstance(expected, type(found)), (found, expected)
        return
    assert not isinstance(found, Exception), (found, expected)
    if isinstance(found, AudioSamples):
        assert found.sample_rate == RATE
        found = found.to_numpy()
    elif isinstance(expected, np.ndarray):
        assert expected.shape != shape or expected.dtype.str[1:] not in DTYPES
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.array_equal(found, expected, equal_nan=expected.dtype.kind in "fc")


def fits(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """True for the shapes of operands that audio of a shape takes."""
    channels = shape[0] if len(shape) == 2 else 1
    return other in ((), shape[-1:], (channels, shape[-1]), (channels, 1))


def aligned(data: Any, other: Any) -> Any:
    """The operand as NumPy broadcasts it to the shape of one channel."""
    return other[0] if data.ndim == 1 and np.ndim(other) == 2 else other


@st.composite
def others(draw: st.DrawFn, data: Any) -> Any:
    """An operand: a number, an array of a right or of a wrong shape, audio."""
    kind = draw(st.sampled_from(["number", "number", "frames", "all", "gains", "any", "audio", "scalar"]))
    if kind == "number":
        return draw(numbers)
    dtype = draw(st.sampled_from(OTHERS))
    if kind == "scalar":
        return array_of(draw, (), dtype)[()]
    channels, frames = data.shape if data.ndim == 2 else (1, *data.shape)
    shape: Any = {"frames": (frames,), "all": (channels, frames), "gains": (channels, 1)}.get(kind)
    if kind == "any":
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    if kind == "audio":
        return AudioSamples(array_of(draw, data.shape, draw(st.sampled_from(DTYPES))), RATE)
    return array_of(draw, shape, dtype)


def keys(draw: st.DrawFn, frames: int) -> Any:
    """An index of frames, right or out of range."""
    ends = st.none() | st.integers(-7, 7)
    return draw(
        st.one_of(
            st.builds(slice, ends, ends, st.sampled_from([None, None, 1, 2, -1, -2])),
            st.integers(-7, 7),
            st.sampled_from([[], [0], [1, -1], [2, 0, 2], [5], [-6]]),
            st.sampled_from([1, 2, 3]).map(lambda step: np.arange(frames) % step == 0),
        )
    )


def arithmetic(draw: st.DrawFn, data: Any) -> None:
    symbol = draw(st.sampled_from(list(BINARY)))
    other = draw(others(data))
    array = other.to_numpy() if isinstance(other, AudioSamples) else other
    audio = AudioSamples(data, RATE)
    way = draw(st.sampled_from(["left", "left", "right", "in place"]))
    before = array.copy() if isinstance(array, np.ndarray) else array
    if way == "in place":
        target, base = audio, data.copy()
        found = outcome(lambda: IN_PLACE[symbol](target, other))
        expected = outcome(lambda: IN_PLACE[symbol](base, aligned(base, array)))
    else:
        swap = way == "right"
        found = outcome(lambda: BINARY[symbol](other, audio) if swap else BINARY[symbol](audio, other))
        expected = outcome(
            lambda: BINARY[symbol](aligned(data, array), data) if swap else BINARY[symbol](data, aligned(data, array))
        )
    if symbol in ("//", "%") and np.iscomplexobj(array):
        # Neither has it; which of two reasons is told does not matter.
        assert isinstance(found, (TypeError, ZeroDivisionError, ValueError))
        return
    divisor = data if way == "right" else array
    if isinstance(array, np.ndarray) and not fits(data.shape, array.shape):
        expected = ValueError("shape")
    elif way == "right" and symbol in DIVISIONS and not isinstance(other, (np.ndarray, np.generic, AudioSamples)):
        expected = TypeError("not implemented")
    elif symbol in DIVISIONS and np.size(divisor) and not np.all(divisor):
        expected = ZeroDivisionError("zero")
    elif (
        way == "left"
        and isinstance(expected, np.ndarray)
        and expected.dtype.str not in [np.dtype(dtype).str for dtype in DTYPES]
    ):
        expected = TypeError("type")
    if way == "right" and isinstance(expected, TypeError) and isinstance(other, (int, float)) and isinstance(found, TypeError):
        return
    if (
        way == "right"
        and isinstance(other, (int, float))
        and isinstance(expected, np.ndarray)
        and expected.dtype.str[1:] not in DTYPES
    ):
        expected = TypeError("type")
    like_numpy(found, expected, data.shape)
    if way == "in place" and not isinstance(found, Exception):
        assert found is audio
    elif not (way == "in place" and symbol == "**"):
        # NumPy notices negative powers of integers in the middle of its work.
        assert np.array_equal(audio.to_numpy(), data, equal_nan=data.dtype.kind == "f")
    assert np.array_equal(array, before, equal_nan=np.asarray(before).dtype.kind in "fc")


def functions(draw: st.DrawFn, data: Any) -> None:
    audio = AudioSamples(data, RATE)
    if draw(st.booleans()):
        function = draw(st.sampled_from(FUNCTIONS))
        like_numpy(outcome(lambda: function(audio)), outcome(lambda: function(data)), data.shape)
        return
    function, axis = draw(st.sampled_from(REDUCTIONS)), draw(st.sampled_from([None, 0, -1, 1, 2]))
    options = {} if axis is None else {"axis": axis}
    like_numpy(outcome(lambda: function(audio, **options)), outcome(lambda: function(data, **options)), data.shape)


def comparisons(draw: st.DrawFn, data: Any) -> None:
    other, compare = draw(others(data)), draw(st.sampled_from(COMPARISONS))
    array = other.to_numpy() if isinstance(other, AudioSamples) else other
    expected = outcome(lambda: compare(data, aligned(data, array)))
    if isinstance(array, np.ndarray) and not fits(data.shape, array.shape):
        expected = ValueError("shape")
    like_numpy(outcome(lambda: compare(AudioSamples(data, RATE), other)), expected, data.shape)


def reading(draw: st.DrawFn, data: Any) -> None:
    key = keys(draw, data.shape[-1])
    index = np.array(key, int) if isinstance(key, list) else key
    found, expected = (
        outcome(lambda: AudioSamples(data, RATE)[key]),
        outcome(lambda: data[..., index] if data.ndim == 2 else data[index]),
    )
    if isinstance(found, AudioSamples):
        assert not isinstance(key, int)
        found = found.to_numpy()
    like_numpy(found, expected, ())


def writing(draw: st.DrawFn, data: Any) -> None:
    key = keys(draw, data.shape[-1])
    index = np.array(key, int) if isinstance(key, list) else key
    where = (..., index) if data.ndim == 2 else index
    audio, target = AudioSamples(data, RATE), data.copy()
    shape = np.shape(outcome(lambda: data[where])) if not isinstance(outcome(lambda: data[where]), Exception) else ()
    value = draw(st.one_of(st.integers(0, 3), st.sampled_from([(), shape, shape[-1:]])))
    if isinstance(value, tuple):
        value = array_of(draw, value, data.dtype.str[1:])
    like_numpy(outcome(lambda: audio.__setitem__(key, value)), outcome(lambda: target.__setitem__(where, value)), data.shape)
    assert np.array_equal(audio.to_numpy(), target, equal_nan=data.dtype.kind == "f")


def joining(draw: st.DrawFn, data: Any) -> None:
    other = array_of(draw, (*data.shape[:-1], draw(st.integers(0, 3))), draw(st.sampled_from(DTYPES)))
    parts = [AudioSamples(data, RATE), AudioSamples(other, RATE)]
    found = np.concatenate(parts)
    assert isinstance(found, AudioSamples)
    like_numpy(found, np.concatenate([data, other], axis=-1), found.shape)


def levels(draw: st.DrawFn, data: Any) -> None:
    audio, values = AudioSamples(data, RATE), data.astype(np.float64)
    pairs = [(audio.min(), np.min), (audio.max(), np.max), (audio.peak(), lambda x: np.abs(x).max()), (audio.mean(), np.mean)]
    pairs += [(audio.variance(), np.var), (audio.rms(), lambda x: np.sqrt(np.mean(np.square(x))))]
    for found, function in pairs:
        expected = outcome(lambda f=function: f(values)) if values.size else 0.0  # type: ignore[misc]
        assert np.isclose(found, expected, rtol=1e-12, equal_nan=True)


def copying(draw: st.DrawFn, data: Any) -> None:
    audio = AudioSamples(data, RATE)
    back = pickle.loads(pickle.dumps(audio, draw(st.integers(2, 5))))
    for made in (
        back,
        audio.copy(),
        AudioSamples.from_channels(list(audio)),
        audio.reverse().reverse(),
        audio.trim(0.0, audio.duration_seconds),
    ):
        assert made.sample_rate == RATE and made.dtype == audio.dtype
        assert np.array_equal(made.to_numpy(), data, equal_nan=data.dtype.kind == "f")
    for name in ("u8", "i16", "i32", "f32", "f64"):
        converted = getattr(audio, f"as_{name}")()
        assert converted.dtype == name and converted.shape == audio.shape
        if (
            np.isfinite(data.astype(np.float64)).all()
            and data.dtype.kind != "f"
            and converted.numpy_dtype.itemsize > data.dtype.itemsize
        ):
            assert np.array_equal(getattr(converted, f"as_{audio.dtype}")().to_numpy(), data)


CALLS = [arithmetic, arithmetic, arithmetic, functions, comparisons, reading, writing, joining, levels, copying]


@given(data=st.data())
@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
def test_random_calls_give_what_numpy_gives(data: st.DataObject) -> None:
    for _ in range(10):
        call = data.draw(st.sampled_from(CALLS))
        array = data.draw(sounds())
        with np.errstate(all="ignore"):
            call(data.draw, array)
