"""The laws of `AudioSamples`: layout, copies, operators, NumPy's functions, indices, exchange with others, bad input."""

import base64
import copy
import gc
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from isotherm import AudioSamples, ResamplingQuality, generation, io

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


# Layout and types.


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_type_of_samples_is_kept_under_its_short_name(dtype: Any) -> None:
    for audio in (mono(dtype=dtype), stereo(dtype=dtype)):
        assert audio.numpy_dtype == dtype
        kind = {"u": "u", "i": "i", "f": "f"}[np.dtype(dtype).kind]
        assert audio.dtype == f"{kind}{8 * np.dtype(dtype).itemsize}"
        assert audio.to_numpy().dtype == dtype


def test_rows_are_channels_unless_frames_come_first() -> None:
    data = ramp(2, 2)
    planar = AudioSamples.new_multi(data, RATE)
    interleaved = AudioSamples.new_multi(data, RATE, frames_first=True)
    assert np.array_equal(planar.to_numpy(), data)
    assert np.array_equal(interleaved.to_numpy(), data.T)
    assert interleaved.shape == (2, 2)
    five = AudioSamples.new_multi(ramp(7, 5), RATE, frames_first=True)
    assert (five.num_channels, five.channels, len(five), five.frames, five.samples_per_channel()) == (5, 5, 7, 7, 7)
    assert five.shape == (5, 7) and five.ndim == 2 and five.size == 35 and not five.is_mono()


def test_one_channel_is_an_array_of_frames() -> None:
    for audio in (
        AudioSamples.new_mono(ramp(5), RATE),
        AudioSamples.new_mono(ramp(1, 5), RATE),
        AudioSamples.new_multi(ramp(1, 5), RATE),
        AudioSamples.new_multi(ramp(5, 1), RATE, frames_first=True),
        AudioSamples(ramp(5), RATE),
        AudioSamples(ramp(1, 5), RATE),
    ):
        assert audio.is_mono() and audio.shape == (5,) and audio.num_channels == 1
        assert np.array_equal(audio.to_numpy(), ramp(5))


def test_frames_by_channels_are_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=says("(48000, 2)", "frames_first=True")):
        AudioSamples.new_multi(ramp(48_000, 2), RATE)
    with pytest.raises(ValueError, match=says("(48000, 2)", "new_multi", "frames_first=True")):
        AudioSamples.new_mono(ramp(48_000, 2), RATE)
    with pytest.raises(ValueError, match=says("(6,)", "new_mono")):
        AudioSamples.new_multi(ramp(6), RATE)
    for shape in [(), (2, 3, 4), (0, 5)]:
        with pytest.raises(ValueError, match=re.escape(str(shape))):
            AudioSamples.new_multi(np.zeros(shape, np.float32), RATE)
        with pytest.raises(ValueError, match=re.escape(str(shape))):
            AudioSamples(np.zeros(shape, np.float32), RATE)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint16, np.int64, np.float16, np.longdouble, np.complex64, bool, object, "U1", "M8[s]"]
)
def test_other_types_of_samples_are_refused_by_name(dtype: Any) -> None:
    data = np.zeros(4, dtype)
    for make in (AudioSamples, AudioSamples.new_mono):
        for shared in (True, False):
            with pytest.raises(TypeError, match=says("float32 or float64", str(data.dtype))):
                make(data, RATE, copy=shared)


@pytest.mark.parametrize("data", [[0.0, 1.0], (0.0,), "audio", b"audio", None, 1.0, bytearray(8), memoryview(bytes(8))])
def test_what_is_no_array_is_a_type_error(data: Any) -> None:
    for make in (AudioSamples, AudioSamples.new_mono, AudioSamples.new_multi):
        with pytest.raises(TypeError, match="expected a numpy.ndarray"):
            make(data, RATE)


def test_masked_arrays_and_audio_itself_are_refused() -> None:
    for data in (np.ma.masked_array(np.zeros(3, np.float32), [True, False, False]), mono(), np.ones((2, 2)).view(np.matrix)):
        with pytest.raises(TypeError):
            AudioSamples.new_multi(data, RATE)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [1, 44_100, 2**32 - 1, np.int64(8000), 48_000.0, np.float32(44_100)])
def test_whole_rates_in_hz_are_taken(rate: Any) -> None:
    assert AudioSamples(ramp(3), rate).sample_rate == int(rate)


@pytest.mark.parametrize(
    "rate,error",
    [
        (0, ValueError),
        (-1, ValueError),
        (2**32, ValueError),
        (44_100.5, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (True, TypeError),
        ("48000", TypeError),
        (None, TypeError),
        (1j, TypeError),
    ],
)
def test_other_rates_are_refused_with_what_was_found(rate: Any, error: type[Exception]) -> None:
    for make in (AudioSamples, AudioSamples.new_mono):
        with pytest.raises(error, match=re.escape(str(rate))):
            make(ramp(3), rate)


def test_the_native_base_checks_for_itself() -> None:
    class Bare(AudioSamples):
        pass

    good = ramp(3)
    assert type(Bare._wrap(good, RATE)) is Bare
    wrong: list[Any] = [
        [1.0],
        None,
        np.zeros((1, 3), np.float32),
        np.zeros((2, 2, 2), np.float32),
        np.zeros((0, 3), np.float32),
    ]
    wrong += [np.zeros(3, ">f4"), np.zeros(3, np.int64), np.zeros((1025, 1), np.float32), good.view(np.memmap)]
    for data in wrong:
        with pytest.raises((TypeError, ValueError)):
            Bare._wrap(data, RATE)
    for rate in (0, -1, 2**32, "1", None):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            Bare._wrap(good, rate)  # type: ignore[arg-type]


# Copies, views and life times.


def test_constructors_copy_unless_asked_to_share() -> None:
    for data, make in [(ramp(6), AudioSamples.new_mono), (ramp(2, 3), AudioSamples.new_multi), (ramp(6), AudioSamples)]:
        copied, shared = make(data, RATE), make(data, RATE, copy=False)
        data[...] = 7.0
        assert not np.array_equal(copied.to_numpy(), data) and not np.shares_memory(copied.to_numpy(), data)
        assert np.array_equal(shared.to_numpy(), data) and np.shares_memory(shared.to_numpy(), data)
        shared *= 2.0
        assert (data == 14.0).all()


def test_strided_transposed_and_negative_arrays_are_shared_and_copied_right() -> None:
    base = ramp(8, 12)
    for data in (base[::2, ::3], base.T, base[::-1, ::-1], np.asfortranarray(base)):
        for keep in (True, False):
            audio = AudioSamples.new_multi(data, RATE, copy=keep)
            assert np.array_equal(audio.to_numpy(), data)
            assert np.shares_memory(audio.to_numpy(), data) is not keep
            assert np.array_equal((audio * 2.0).to_numpy(), data * 2.0)


def test_to_numpy_is_a_view_that_cannot_reshape_the_audio() -> None:
    audio = stereo()
    view = audio.to_numpy()
    assert np.shares_memory(view, audio.to_numpy()) and view.flags.writeable
    view.shape = (3, 4)
    assert audio.shape == (2, 6)
    view[...] = 1.0
    assert (audio.to_numpy() == 1.0).all()


def test_arrays_outlive_audio_and_audio_outlives_arrays() -> None:
    data = ramp(100_000)
    alive = weakref.ref(audio := AudioSamples.new_mono(data, RATE, copy=False))
    expected = data.copy()
    del data
    gc.collect()
    assert np.array_equal(audio.to_numpy(), expected)
    view, part, channel, buffer, array = audio.to_numpy(), audio[10:20], audio.channel(0), memoryview(audio), np.asarray(audio)
    del audio
    gc.collect()
    assert alive() is None
    assert np.array_equal(view, expected) and np.array_equal(array, expected) and np.array_equal(np.asarray(buffer), expected)
    assert np.array_equal(part.to_numpy(), expected[10:20]) and np.array_equal(channel.to_numpy(), expected)


def test_read_only_memory_stays_read_only_and_is_not_changed() -> None:
    data = ramp(2, 6)
    data.flags.writeable = False
    shared = AudioSamples.new_multi(data, RATE, copy=False)
    before = data.copy()
    assert not shared.to_numpy().flags.writeable and not shared[1:3].to_numpy().flags.writeable
    assert memoryview(shared).readonly
    changes: list[Callable[[AudioSamples], object]] = [
        lambda a: a.__iadd__(1.0),
        lambda a: a.__itruediv__(2.0),
        lambda a: a.__setitem__(slice(None), 0.0),
        lambda a: a.scale(2.0),
        lambda a: a.clip(0.0, 1.0),
        lambda a: a.normalize(),
        lambda a: a.reverse_in_place(),
        lambda a: a.fade_in(1 / RATE),
        lambda a: a.remove_dc_offset(),
        lambda a: np.negative(a, out=a),
    ]
    for change in changes:
        with pytest.raises(ValueError, match="read-only"):
            change(shared)
    assert np.array_equal(data, before)
    own = AudioSamples.new_multi(data, RATE)
    own += 1.0
    shared.copy()[0] = 5.0
    assert np.array_equal(data, before)


def test_other_byte_orders_are_converted_by_a_copy_and_refused_without() -> None:
    for dtype in ("f4", "f8", "i2", "i4"):
        foreign = ramp(2, 5).astype(np.dtype(dtype).newbyteorder("S"))
        audio = AudioSamples.new_multi(foreign, RATE)
        assert audio.to_numpy().dtype.isnative and np.array_equal(audio.to_numpy(), foreign)
        with pytest.raises(ValueError, match=says("native byte order", "copy=True")):
            AudioSamples.new_multi(foreign, RATE, copy=False)
        same_kind = foreign.astype("f8").astype(">f8")
        assert np.array_equal((audio.as_f64() * same_kind).to_numpy(), audio.as_f64().to_numpy() * same_kind)


def test_memory_mapped_and_unaligned_arrays_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "samples"
    ramp(2, 8).tofile(path)
    mapped = np.memmap(path, np.float32, "r+", shape=(2, 8))
    audio = AudioSamples.new_multi(mapped, RATE, copy=False)
    assert type(audio.to_numpy()) is np.ndarray
    audio *= 2.0
    mapped.flush()
    assert np.array_equal(np.fromfile(path, np.float32).reshape(2, 8), ramp(2, 8) * 2.0)
    record = np.zeros(9, np.dtype([("a", "u1"), ("b", "f4")]))
    record["b"] = ramp(9)
    assert not record["b"].flags.aligned
    odd = AudioSamples.new_mono(record["b"], RATE, copy=False)
    assert np.array_equal((1.0 + odd * 2.0).to_numpy(), 1.0 + ramp(9) * 2.0)
    odd[3] = 0.0
    with pytest.raises(ZeroDivisionError, match="frame 3"):
        mono(9) / odd


def test_only_views_are_views() -> None:
    audio = stereo(12)
    views = [audio[2:5], audio[:, 1:3], audio[1, 2:4], audio.channel(1), audio[::-1], audio[...], *audio]
    copies = [
        audio.copy(),
        audio + 0.0,
        -audio,
        audio.reverse(),
        audio.trim(0.0, 4 / RATE),
        audio.as_f32(),
        audio.to_stereo(),
        audio.to_mono(),
        audio.pad(0.0, 0.0),
        audio.resample(RATE),
        audio.resample(24_000),
        np.copy(audio),
        copy.copy(audio),
        copy.deepcopy(audio),
        pickle.loads(pickle.dumps(audio)),
        audio[[1, 2]],
        audio[np.arange(12) > 3],
        AudioSamples.from_channels(list(audio)),
        audio.cast_as_f32(),
    ]
    for view in views:
        assert isinstance(view, AudioSamples) and np.shares_memory(view.to_numpy(), audio.to_numpy())
    for made in copies:
        assert isinstance(made, AudioSamples) and not np.shares_memory(made.to_numpy(), audio.to_numpy())
        assert made.to_numpy().flags.writeable


# Operators.

OPERATORS = ["+", "-", "*", "/", "//", "%", "**"]


def apply(left: Any, operator: str, right: Any) -> Any:
    return eval("a" + operator + "b", {"a": left, "b": right})


def operands(shape: tuple[int, ...], dtype: Any) -> list[Any]:
    """All operands that audio of this shape takes, as arrays and numbers."""
    frames = shape[-1]
    found: list[Any] = [2, 3.0, dtype(2), np.array(2, dtype), ramp(frames, dtype=dtype), ramp(*shape, dtype=dtype)]
    if len(shape) == 2:
        found += [ramp(shape[0], 1, dtype=dtype), ramp(frames, shape[0], dtype=dtype).T, ramp(2 * frames, dtype=dtype)[::2]]
    return found


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6,), (2, 6), (3, 3)])
def test_operators_are_numpys_on_both_sides(operator: str, dtype: Any, shape: tuple[int, ...]) -> None:
    data = (ramp(*shape) % 5 + 1).astype(dtype)
    audio = AudioSamples(data, RATE)
    for other in operands(shape, dtype):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, reflected = apply(data, operator, other), apply(other, operator, data)
            found = apply(audio, operator, other)
            assert isinstance(found, AudioSamples) and found.sample_rate == RATE
            assert found.to_numpy().dtype == expected.dtype and np.array_equal(found.to_numpy(), expected, equal_nan=True)
            if operator in ("/", "//", "%") and isinstance(other, (int, float)) and not isinstance(other, np.generic):
                with pytest.raises(TypeError, match="not implemented"):
                    apply(other, operator, audio)
                continue
            from_left = apply(other, operator, audio)
        assert isinstance(from_left, AudioSamples) and from_left.sample_rate == RATE
        assert from_left.to_numpy().dtype == reflected.dtype and np.array_equal(from_left.to_numpy(), reflected, equal_nan=True)


@pytest.mark.parametrize("operator", OPERATORS)
def test_audio_with_audio_is_sample_by_sample(operator: str) -> None:
    for a, b in [(mono(), mono() + 1.0), (stereo(), stereo() + 1.0)]:
        found = apply(a, operator, b)
        assert np.array_equal(found.to_numpy(), apply(a.to_numpy(), operator, b.to_numpy())) and found.sample_rate == RATE


def test_one_channel_of_audio_takes_one_row_of_an_array() -> None:
    audio = mono()
    assert np.array_equal((audio * ramp(1, 6)).to_numpy(), audio.to_numpy() * ramp(6))
    assert np.array_equal((audio * np.full((1, 1), 3.0, np.float32)).to_numpy(), audio.to_numpy() * 3.0)
    audio *= ramp(1, 6)
    assert audio.shape == (6,)


@pytest.mark.parametrize("operator", OPERATORS)
def test_in_place_keeps_the_object_and_its_memory(operator: str) -> None:
    for audio in (mono(), stereo(), AudioSamples.new_multi(ramp(6, 2), RATE, frames_first=True, copy=False)):
        expected = audio.to_numpy().copy()
        for other in (2.0, ramp(6), AudioSamples(audio.to_numpy(), RATE)):
            before, memory = audio, audio.to_numpy().__array_interface__["data"]
            number = other.to_numpy() if isinstance(other, AudioSamples) else other
            namespace = {"a": audio, "b": other, "x": expected, "y": number}
            with np.errstate(all="ignore"):
                exec(f"a {operator}= b\nx {operator}= y", namespace)
            assert namespace["a"] is before and audio.to_numpy().__array_interface__["data"] == memory
            assert np.array_equal(audio.to_numpy(), namespace["x"], equal_nan=True)


def test_in_place_operators_allocate_nothing_as_large_as_audio() -> None:
    audio, gain = AudioSamples.new_multi(np.ones((2, 100_000), np.float32), RATE), np.ones(100_000, np.float32)
    other = audio.copy()
    tracemalloc.start()
    try:
        for _ in range(3):
            audio += 1.0
            audio *= gain
            audio /= gain
            audio -= other
            audio **= 2.0
            audio[-1000:] *= gain[-1000:]
            audio.scale(0.5)
            audio.clip(-1.0, 1.0)
            audio.to_numpy()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of objects, and of NumPy's buffers; the audio has 800 000 bytes, its frames of one channel 400 000.
    assert peak < 20_000


def test_in_place_follows_numpys_casting() -> None:
    audio = mono(dtype=np.int16)
    before = audio.copy()
    for change in ("a /= 2", "a *= 0.5", "a += np.ones(6, np.float32)"):
        with pytest.raises(TypeError):
            exec(change, {"a": audio, "np": np})
    assert audio == before
    audio += np.ones(6, np.int64)
    assert audio.dtype == "i16" and audio[0] == before[0] + 1


def test_a_result_that_audio_cannot_have_is_a_type_error_with_advice() -> None:
    for other in (np.ones(6, np.int64), np.ones(6, np.complex64), 1j, np.ones(6, np.longdouble)):
        audio = mono(dtype=np.int16 if np.asarray(other).dtype == np.int64 else np.float32)
        with pytest.raises(TypeError, match=says("expected samples of", "found", ".astype(numpy.float32)")):
            audio * other


@pytest.mark.parametrize("shape", [(2,), (5,), (7,), (1, 6), (6, 2), (3, 6), (2, 5), (2, 2), (2, 6, 1), (1, 1)])
def test_nothing_else_is_broadcast(shape: tuple[int, ...]) -> None:
    audio, array = stereo(), np.ones(shape, np.float32)
    before = audio.copy()
    for operator in OPERATORS:
        with pytest.raises(ValueError, match=says("2 x 6", str(shape))):
            apply(audio, operator, array)
        with pytest.raises(ValueError, match=says("2 x 6", str(shape))):
            apply(array, operator, audio)
        with pytest.raises(ValueError, match=says("2 x 6", str(shape))):
            exec(f"a {operator}= b", {"a": audio, "b": array})
    assert audio == before


def test_wrong_shapes_get_advice() -> None:
    with pytest.raises(ValueError, match=says("x[:, None]")):
        stereo() * np.ones(2, np.float32)
    with pytest.raises(ValueError, match=says("transpose")):
        stereo() * np.ones((6, 2), np.float32)
    with pytest.raises(ValueError, match=says("2 x 6", "1 x 6")):
        stereo() + mono()
    with pytest.raises(ValueError, match=says("1 x 6", "1 x 7")):
        mono() + mono(7)


def test_audio_of_another_rate_is_refused_with_both_rates() -> None:
    a, b = mono(), AudioSamples(ramp(6), 44_100)
    attempts: list[Callable[[], object]] = [
        lambda: a + b,
        lambda: a.__imul__(b),
        lambda: np.add(a, b),
        lambda: np.concatenate([a, b]),
        lambda: np.where([True] * 6, a, b),
        lambda: a < b,
        lambda: a.__setitem__(slice(None), b),
        lambda: AudioSamples.from_channels([a, b]),
        lambda: np.add(1.0, a, out=b),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match=says("48000 Hz and 44100 Hz")):
            attempt()
    assert a != b and a == mono()


@pytest.mark.parametrize("other", ["text", b"bytes", [1.0] * 6, (1.0,) * 6, None, {}, object()])
def test_operands_without_numbers_are_type_errors(other: Any) -> None:
    audio = mono()
    for operator in OPERATORS:
        with pytest.raises(TypeError):
            apply(audio, operator, other)
        # The remainder of a text is its formatting.
        if not (operator == "%" and isinstance(other, (str, bytes))):
            with pytest.raises(TypeError):
                apply(other, operator, audio)
        with pytest.raises(TypeError):
            exec(f"a {operator}= b", {"a": audio, "b": other})
    with pytest.raises(TypeError):
        np.add(audio, other)
    assert audio == mono()


def test_arrays_of_objects_and_texts_are_type_errors() -> None:
    audio = mono()
    for array in (np.array([1.0] * 6, object), np.array(["a"] * 6), np.zeros(6, "M8[s]"), np.zeros(6, [("a", "f4")])):
        with pytest.raises(TypeError):
            audio + array
        with pytest.raises(TypeError):
            array + audio
        with pytest.raises(TypeError):
            audio += array
    assert audio == mono()


def test_masked_arrays_and_matrices_are_no_operands() -> None:
    for other in (np.ma.masked_array(ramp(6), [False] * 6), ramp(1, 6).view(np.matrix)):
        with pytest.raises(TypeError, match=f"found {type(other).__name__}"):
            mono() + other
        with pytest.raises(TypeError):
            other + mono()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("operator", ["/", "//", "%"])
def test_division_by_zero_says_where_before_anything_changes(operator: str, dtype: Any) -> None:
    audio = stereo(300, dtype)
    before = audio.copy()
    frames, rows, gains = ramp(300, dtype=dtype), ramp(2, 300, dtype=dtype), ramp(2, 1, dtype=dtype)
    frames[[171, 200]], rows[1, 257], gains[1] = 0, 0, 0
    divisors: list[tuple[Any, str]] = [
        (0, "the scalar"),
        (dtype(0), "the scalar"),
        (np.array(0, dtype), "the scalar"),
        (frames, "frame 171"),
        (rows, "channel 1, frame 257"),
        (np.asfortranarray(rows), "channel 1, frame 257"),
        (gains, "channel 1"),
        (AudioSamples(rows, RATE), "channel 1, frame 257"),
        (rows.astype(np.int64), "channel 1, frame 257"),
        (frames.astype(np.float64)[::-1][::-1], "frame 171"),
        (frames.astype(">f8"), "frame 171"),
        (frames.astype(bool), "frame 171"),
    ]
    for divisor, place in divisors:
        with pytest.raises(ZeroDivisionError, match=f"division by zero at.*{place}$"):
            apply(audio, operator, divisor)
        with pytest.raises(ZeroDivisionError, match=f"{place}$"):
            exec(f"a {operator}= b", {"a": audio, "b": divisor})
        with pytest.raises(ZeroDivisionError, match=f"{place}$"):
            np.divide(audio, divisor)
    assert audio == before


def test_zeros_are_found_at_every_frame() -> None:
    for frames in (1, 127, 128, 129, 300):
        for at in range(frames):
            divisor = np.ones(frames, np.float32)
            divisor[at] = -0.0
            with pytest.raises(ZeroDivisionError, match=f"frame {at}$"):
                AudioSamples(ramp(frames), RATE) / divisor


def test_nan_and_small_numbers_are_no_zeros() -> None:
    divisor = np.array([np.nan, np.inf, 1e-45, -1e-45, 1.0, 2.0], np.float32)
    with np.errstate(all="ignore"):
        assert np.array_equal((mono() / divisor).to_numpy(), ramp(6) / divisor, equal_nan=True)
        assert np.isnan((mono() / float("nan")).to_numpy()).all()


def test_a_number_divided_by_audio_is_not_implemented_but_an_array_is() -> None:
    for attempt in ("1.0 / a", "1 // a", "2.0 % a"):
        with pytest.raises(TypeError, match=says("not implemented", "numpy.divide")):
            eval(attempt, {"a": mono()})
    assert np.array_equal((ramp(6) / mono()).to_numpy(), np.ones(6))
    assert np.array_equal(np.divide(1.0, mono()).to_numpy(), 1.0 / ramp(6))
    silent = mono()
    silent[4] = 0.0
    with pytest.raises(ZeroDivisionError, match="frame 4"):
        ramp(6) / silent
    out = np.zeros(6, np.float32)
    assert np.divide(ramp(6), silent, out=out, where=silent.to_numpy() != 0.0)[4] == 0.0


def test_signs_and_powers() -> None:
    audio = stereo() - 5.0
    assert np.array_equal((-audio).to_numpy(), -audio.to_numpy()) and np.array_equal((+audio).to_numpy(), audio.to_numpy())
    assert np.array_equal(abs(audio).to_numpy(), np.abs(audio.to_numpy())) and not np.shares_memory(
        (+audio).to_numpy(), audio.to_numpy()
    )
    assert np.array_equal((2.0**audio).to_numpy(), 2.0 ** audio.to_numpy())
    with pytest.raises(TypeError, match="modulus"):
        pow(audio, 2, 3)
    with pytest.raises(ValueError):
        mono(dtype=np.int16) ** -1


# Comparison.


def test_equality_is_a_bool_of_rate_type_shape_and_samples() -> None:
    audio = stereo()
    assert (audio == audio.copy()) is True and (audio != audio.copy()) is False
    other_sample = audio.copy()
    other_sample[3] = 0.0
    for other in (other_sample, audio.as_f64(), audio[:5], audio[0], AudioSamples(audio.to_numpy(), 44_100), None, "text", 1.0):
        assert (audio == other) is False and (audio != other) is True
    assert (audio == audio.to_numpy()) is True and (audio != audio.to_numpy()) is False
    nan = audio.copy()
    nan[0] = float("nan")
    assert nan != nan.copy()
    with pytest.raises(TypeError):
        hash(audio)


def test_order_is_element_wise() -> None:
    audio = stereo()
    for found, expected in [
        (audio < 5, ramp(2, 6) < 5),
        (audio <= ramp(6), ramp(2, 6) <= ramp(6)),
        (audio > audio, np.zeros((2, 6), bool)),
        (audio >= 5.0, ramp(2, 6) >= 5.0),
        (5 < audio, ramp(2, 6) > 5),
        (ramp(6) >= audio, ramp(6) >= ramp(2, 6)),
    ]:
        assert type(found) is np.ndarray and found.dtype == bool and np.array_equal(found, expected)
    with pytest.raises(TypeError):
        _ = audio < "text"
    with pytest.raises(ValueError, match=says("2 x 6", "(2,)")):
        _ = audio < np.ones(2)


# NumPy's functions.


def test_functions_give_audio_where_the_result_is_audio() -> None:
    for audio in (mono(), stereo()):
        data = audio.to_numpy()
        for function in (
            np.tanh,
            np.abs,
            np.sqrt,
            np.cumsum if audio.is_mono() else np.exp,
            np.copy,
            np.zeros_like,
            np.square,
            np.flip,
        ):
            found = function(audio)  # type: ignore[operator]
            assert isinstance(found, AudioSamples) and found.sample_rate == RATE
            assert np.array_equal(found.to_numpy(), function(data))  # type: ignore[operator]
        for made, expected in [
            (np.clip(audio, 2.0, 4.0), np.clip(data, 2.0, 4.0)),
            (np.maximum(audio, 3.0), np.maximum(data, 3.0)),
            (np.roll(audio, 1, axis=-1), np.roll(data, 1, axis=-1)),
            (np.where(data > 3, audio, 0.0), np.where(data > 3, data, 0.0)),
            (np.add.accumulate(audio, axis=-1), np.add.accumulate(data, axis=-1)),
            (np.float64(2.0) * audio, 2.0 * data),
        ]:
            assert isinstance(made, AudioSamples) and np.array_equal(made.to_numpy(), expected)


def test_functions_give_arrays_and_numbers_where_the_result_is_no_audio() -> None:
    audio = stereo()
    data = audio.to_numpy()
    for found, expected in [
        (np.sum(audio), data.sum()),
        (np.mean(audio, axis=0), data.mean(axis=0)),
        (np.max(audio, axis=-1), data.max(axis=-1)),
        (np.isnan(audio), np.isnan(data)),
        (np.argsort(audio, axis=-1), np.argsort(data, axis=-1)),
        (np.fft.rfft(audio), np.fft.rfft(data)),
        (np.add.reduce(audio), np.add.reduce(data)),
        (np.shape(audio), data.shape),
        (np.percentile(audio, 50), np.percentile(data, 50)),
        (np.dot(audio, data.T), np.dot(data, data.T)),
        (np.int64(3) * audio.cast_as_i16(), 3 * data.astype(np.int64)),
    ]:
        assert not isinstance(found, AudioSamples)
        assert np.array_equal(found, expected)
    parts = np.frexp(audio)
    assert isinstance(parts[0], AudioSamples) and isinstance(np.modf(audio), tuple)


def test_functions_that_move_axes_give_arrays() -> None:
    square = AudioSamples(ramp(3, 3), RATE)
    for moved in (
        np.transpose(square),
        np.swapaxes(square, 0, 1),
        np.moveaxis(square, 0, 1),
        np.rot90(square),
        np.dot(square, square.to_numpy()),
        np.cov(square),
        np.corrcoef(square),
        np.linalg.pinv(square),
        np.fft.fftshift(square),
    ):
        assert type(moved) is np.ndarray and moved.shape == (3, 3)


def test_matrices_mix_channels() -> None:
    swap = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    mixed = swap @ stereo()  # type: ignore[operator]
    assert isinstance(mixed, AudioSamples) and np.array_equal(mixed.to_numpy(), ramp(2, 6)[::-1])


def test_functions_write_where_they_are_told() -> None:
    audio, array = stereo(), np.zeros((2, 6), np.float32)
    assert np.tanh(audio, out=audio) is audio and np.allclose(audio.to_numpy(), np.tanh(ramp(2, 6)))
    assert np.multiply(audio, 0.0, out=array) is array and not array.any()
    assert np.multiply(array, 1.0, out=audio) is audio and not audio.to_numpy().any()
    array += stereo()
    assert type(array) is np.ndarray and np.array_equal(array, ramp(2, 6))
    assert np.clip(stereo(), 0.0, 1.0, out=audio) is audio and (audio.to_numpy() == 1.0).all()
    np.copyto(audio, stereo())
    np.add.at(audio, (0, [1, 1]), 1.0)
    assert audio[0, 1] == ramp(2, 6)[0, 1] + 2.0
    whole, part = audio.copy(), audio.copy()
    outputs = np.modf(audio + 0.5, out=(part, whole))
    assert outputs[0] is part and outputs[1] is whole and (part.to_numpy() == 0.5).all()
    masked = np.add(audio, 100.0, where=np.arange(6) < 2, out=audio.copy())
    assert isinstance(masked, AudioSamples) and np.array_equal(masked[2:].to_numpy(), audio[2:].to_numpy())


def test_concatenate_joins_in_time_unless_an_axis_is_given() -> None:
    for a, b in [(mono(3), mono(4)), (stereo(3), stereo(4))]:
        joined = np.concatenate([a, b])
        assert isinstance(joined, AudioSamples) and joined.sample_rate == RATE and len(joined) == 7
        assert np.array_equal(joined.to_numpy(), np.concatenate([a.to_numpy(), b.to_numpy()], axis=-1))
        assert np.concatenate((a, b.to_numpy())) == joined and np.concatenate([a.to_numpy(), b]) == joined
        assert np.concatenate([a, b], axis=-1) == joined and np.concatenate([a[:0], a]) == a
    stacked = np.concatenate([stereo(3), stereo(3)], axis=0)
    assert isinstance(stacked, AudioSamples) and stacked.shape == (4, 3)
    assert type(np.concatenate([stereo(3), stereo(4)], axis=None)) is np.ndarray
    assert type(np.concatenate([mono(3), mono(3)], dtype=np.float16)) is np.ndarray
    with pytest.raises(ValueError, match=says("(2, frames)", "(4,)")):
        np.concatenate([stereo(3), mono(4)])
    with pytest.raises(ValueError, match=says("(2, frames)", "(3, 4)")):
        np.concatenate([stereo(3), np.ones((3, 4), np.float32)])


def test_more_functions_than_these_do_not_break_on_audio() -> None:
    audio = stereo()
    assert np.array_equal(audio, audio.to_numpy()) and np.allclose(audio, audio.to_numpy())
    np.testing.assert_allclose(audio, audio.copy())
    assert np.shares_memory(audio, audio.to_numpy()) and np.result_type(audio, np.float64) == np.float64
    assert np.stack([mono(), mono()]).shape == (2, 6) and np.pad(mono(), 2).shape == (10,)
    assert np.interp(1.5, np.arange(6), mono()) == 3.5 and len(np.split(mono(), 2)) == 2


# Frames and channels.


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(2, 5),
        slice(-3, None),
        slice(None, None, -1),
        slice(None, None, 2),
        slice(4, 2),
        slice(100, 200),
        slice(-1000, 3),
        [0, -1],
        [],
        np.array([5, 0, 0]),
        np.arange(6) > 2,
        ...,
    ],
)
def test_slices_lists_and_masks_of_frames_are_audio(key: Any) -> None:
    for audio in (mono(), stereo()):
        part = audio[key]
        index = np.array(key, int) if isinstance(key, list) else key
        expected = audio.to_numpy()[..., index] if key is not ... else audio.to_numpy()
        assert isinstance(part, AudioSamples) and part.sample_rate == RATE and np.array_equal(part.to_numpy(), expected)
        assert len(part) == expected.shape[-1]


def test_single_frames_are_numbers_of_each_channel() -> None:
    assert mono()[2] == 4.0 and mono()[-1] == 7.0 and isinstance(mono()[0], np.float32)
    assert type(stereo()[-1]) is np.ndarray and np.array_equal(stereo()[-1], ramp(2, 6)[:, -1])
    for index in (6, -7, 10**30):
        for audio in (mono(), stereo()):
            with pytest.raises(IndexError):
                audio[index]


def test_channels_come_first_in_a_pair_of_indices() -> None:
    audio, data = AudioSamples(ramp(3, 6), RATE), ramp(3, 6)
    for key in [
        (0, slice(1, 3)),
        (slice(None), slice(2)),
        (slice(1, None), slice(None, None, 2)),
        ([2, 0], slice(None)),
        (-1, [0, 3]),
        (..., slice(1)),
        (np.array([True, False, True]), slice(None)),
    ]:
        part = audio[key]
        assert isinstance(part, AudioSamples) and np.array_equal(
            part.to_numpy(), data[tuple(slice(None) if k is ... else k for k in key)]
        )
    assert audio[0:1, :].is_mono() and audio[[1], 1:3].shape == (2,)
    assert audio[1, 2] == data[1, 2] and type(audio[:, 1]) is np.ndarray and type(audio[[0, 1], [2, 3]]) is np.ndarray
    assert mono()[0, 1:3] == mono()[1:3] == mono()[:, 1:3] and mono()[-1, 2] == mono()[2]
    for wrong in [(3, slice(None)), (slice(5, 9), slice(None)), (0, 0, 0), (0,), ("a", 0), (0, None)]:
        with pytest.raises((IndexError, ValueError)):
            audio[wrong]
    for wrong in [(1, slice(None)), (slice(1, None), slice(None)), ([0, 0], slice(None))]:
        with pytest.raises(IndexError):
            mono()[wrong]


@pytest.mark.parametrize("key", [None, True, "a", 1.5, np.zeros((2, 2), int), np.array(["a"]), object(), (slice(None),) * 3])
def test_other_keys_are_index_errors(key: Any) -> None:
    for audio in (mono(), stereo()):
        before = audio.copy()
        with pytest.raises(IndexError):
            audio[key]
        with pytest.raises(IndexError):
            audio[key] = 0.0
        assert audio == before


def test_assignment_writes_frames_channels_and_masks() -> None:
    audio, data = stereo(), ramp(2, 6)
    steps: list[tuple[Any, Any, Any]] = [
        (slice(1, 3), (..., slice(1, 3)), 0.5),
        (slice(-2, None), (..., slice(-2, None)), ramp(2)),
        (slice(2), (..., slice(2)), ramp(2, 2)),
        (slice(0, 3), (..., slice(0, 3)), ramp(2, 1)),
        (0, (..., 0), ramp(2)),
        (-1, (..., -1), 9),
        ((0, slice(None)), (0,), ramp(6)),
        ([1, 4], (..., [1, 4]), 3.0),
        (np.arange(6) == 2, (..., np.arange(6) == 2), -1.0),
        ((1, 2), (1, 2), 8.0),
        (..., ..., np.float64(0.25)),
    ]
    for key, index, value in steps:
        audio[key] = value
        data[index] = value
        assert np.array_equal(audio.to_numpy(), data)
    audio[audio > 0.2] = 1.0
    assert (audio.to_numpy() == 1.0).all()
    audio[0:3] = stereo(3)
    assert np.array_equal(audio[:3].to_numpy(), ramp(2, 3))
    audio[3:] = audio[:3]
    audio[1:] = audio[:-1]
    assert np.array_equal(audio.to_numpy()[:, 1:4], ramp(2, 3))


def test_contents_are_samples() -> None:
    assert 3.0 in mono() and 99.0 not in mono() and np.float32(3.0) in stereo() and "text" not in [mono()]
    assert [channel[0] for channel in reversed(stereo())] == [8.0, 2.0]
    with pytest.raises(TypeError):
        _ = "text" in mono()


def test_a_fade_of_the_last_frames_is_one_line() -> None:
    audio, fade = stereo(), np.linspace(1.0, 0.0, 3, dtype=np.float32)
    expected = ramp(2, 6)
    expected[:, -3:] *= fade
    audio[-3:] *= fade
    assert np.array_equal(audio.to_numpy(), expected)


@pytest.mark.parametrize(
    "value,error",
    [
        (np.ones(5), ValueError),
        (np.ones((2, 5)), ValueError),
        (np.ones((1, 3)), ValueError),
        (np.ones(2), ValueError),
        ([1.0] * 3, TypeError),
        ("text", TypeError),
        (None, TypeError),
        (1j, TypeError),
        (np.ones(3, complex), TypeError),
        (np.array(["a"] * 3), TypeError),
    ],
)
def test_wrong_values_are_not_assigned(value: Any, error: type[Exception]) -> None:
    audio = stereo()
    with pytest.raises(error):
        audio[1:4] = value
    assert audio == stereo()


def test_a_single_number_is_no_array_of_frames() -> None:
    for audio, key in [(mono(), slice(0, 3)), (stereo(), 2), (stereo(), (1, slice(0, 3)))]:
        before = audio.copy()
        with pytest.raises(ValueError, match=re.escape("(1,)")):
            audio[key] = np.ones(1, np.float32)
        assert audio == before
    audio = mono()
    audio[0:3] = ramp(1, 3) + 5.0
    audio[3:] = np.zeros((1, 1), np.float32)
    assert audio.to_numpy().tolist() == [7.0, 8.0, 9.0, 0.0, 0.0, 0.0]


def test_integers_are_not_cut_off_in_assignments() -> None:
    audio = mono(dtype=np.int16)
    for value, error in [
        (0.5, TypeError),
        (np.ones(6, np.float32), TypeError),
        (40_000, OverflowError),
        (float("nan"), TypeError),
    ]:
        with pytest.raises(error):
            audio[:] = value
    for value in (np.full(6, 99_999, np.int32), np.int64(-40_000), np.full(6, -32_769)):
        with pytest.raises(OverflowError, match="-32768 to 32767"):
            audio[:] = value
    audio[0] = 3.0
    audio[1] = np.int64(4)
    assert audio == mono(dtype=np.int16) + np.array([1, 1, 0, 0, 0, 0], np.int16)


def test_iteration_and_channels_are_views_by_channel() -> None:
    audio = AudioSamples(ramp(3, 4), RATE)
    channels = list(audio)
    assert len(channels) == 3 and all(channel.is_mono() and channel.sample_rate == RATE for channel in channels)
    channels[1] *= 0.0
    assert not audio.to_numpy()[1].any() and audio.channel(-1) == channels[2]
    assert AudioSamples.from_channels(channels) == audio and AudioSamples.from_channels([audio[:2, :], channels[2]]) == audio
    assert [len(channel) for channel in mono()] == [6]
    for index in (3, -4):
        with pytest.raises(IndexError, match="3 channel"):
            audio.channel(index)
    for wrong, error in [([], ValueError), ([mono(3), mono(4)], ValueError), ([mono(), ramp(6)], TypeError)]:
        with pytest.raises(error):
            AudioSamples.from_channels(wrong)  # type: ignore[arg-type]


# Exchange with others.


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_the_same_audio(protocol: int) -> None:
    for audio in (
        mono(),
        stereo(dtype=np.int16),
        stereo()[::-2],
        mono(0),
        AudioSamples(ramp(4, 2), 8000, frames_first=True, copy=False),
    ):
        back = pickle.loads(pickle.dumps(audio, protocol))
        assert type(back) is AudioSamples and back == audio and back.to_numpy().flags.writeable


class Named(AudioSamples):
    """A class of a user."""


def test_derived_classes_stay_what_they_are() -> None:
    audio = Named(ramp(2, 6), RATE)
    for made in (
        audio * 2.0,
        audio[1:],
        -audio,
        np.tanh(audio),
        audio.copy(),
        pickle.loads(pickle.dumps(audio)),
        audio.resample(24_000),
        audio.as_i16(),
        2.0 * audio,
        np.concatenate([audio, audio]),
        next(iter(audio)),
        audio.to_mono(),
        copy.deepcopy(audio),
    ):
        assert type(made) is Named


def test_copies_are_independent() -> None:
    audio = stereo()
    for made in (copy.copy(audio), copy.deepcopy(audio), audio.copy(), copy.deepcopy([audio])[0]):
        made *= 0.0
    assert audio == stereo()


def test_the_buffer_protocol_shares_memory_with_shape_and_type() -> None:
    for dtype, code in zip(DTYPES, "Bhifd", strict=True):
        audio = stereo(dtype=dtype)
        view = memoryview(audio)
        assert view.shape == (2, 6) and view.format == code and not view.readonly and view.nbytes == audio.to_numpy().nbytes
        view[1, 2] = 9 if dtype in (np.uint8, np.int16, np.int32) else 9.0
        assert audio[1, 2] == 9
        assert bytes(audio) == audio.to_numpy().tobytes()  # type: ignore[call-overload]
        assert np.shares_memory(np.asarray(memoryview(audio)), audio.to_numpy())
    assert memoryview(stereo()[:, ::2]).strides == (24, 8)


def test_np_asarray_shares_and_np_array_copies() -> None:
    audio = stereo()
    assert np.shares_memory(np.asarray(audio), audio.to_numpy()) and np.asarray(audio).dtype == np.float32
    assert not np.shares_memory(np.array(audio), audio.to_numpy())
    assert np.asarray(audio, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(audio.__array__(), audio.to_numpy()) and not np.shares_memory(
        audio.__array__(copy=True), audio.to_numpy()
    )
    assert audio.__array__(np.float64).dtype == np.float64
    with pytest.raises(ValueError):
        audio.__array__(np.float64, copy=False)


def test_dlpack_shares_memory() -> None:
    audio = stereo()
    array = np.from_dlpack(audio)  # type: ignore[arg-type]
    assert np.array_equal(array, audio.to_numpy()) and np.shares_memory(array, audio.to_numpy())
    assert audio.__dlpack_device__() == (1, 0)
    del audio
    gc.collect()
    assert np.array_equal(array, ramp(2, 6))


def test_scipy_and_soundfile_take_audio(tmp_path: Path) -> None:
    from scipy.signal import lfilter

    audio = stereo(64)
    assert np.allclose(lfilter([0.5], [1.0], audio), audio.to_numpy() * 0.5)
    soundfile.write(tmp_path / "a.wav", np.asarray(audio).T / 200.0, audio.sample_rate, subtype="FLOAT")
    data, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.allclose(AudioSamples.new_multi(data, rate, frames_first=True).to_numpy(), audio.to_numpy() / 200.0)


def test_repr_tells_channels_frames_type_rate_and_duration() -> None:
    assert repr(mono()) == "AudioSamples(1 channel x 6 frames, f32, 48000 Hz, 0.000 s)"
    assert (
        repr(AudioSamples(np.zeros((2, 24_000), np.int16), RATE))
        == "AudioSamples(2 channels x 24000 frames, i16, 48000 Hz, 0.500 s)"
    )


def test_notebooks_get_a_player_of_the_sound_and_a_picture(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    audio = AudioSamples.new_multi(np.stack([np.linspace(-1, 1, 5000), np.zeros(5000)]).astype(np.float32), RATE)
    page = audio._repr_html_()
    found = re.search(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert found is not None
    path = tmp_path / "player.wav"
    path.write_bytes(base64.b64decode(found[1]))
    data, rate = soundfile.read(path)
    assert rate == RATE and np.allclose(data.T, audio.to_numpy(), atol=1e-4)
    svg = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert [item.tag.split("}")[1] for item in svg] == ["line", "polygon", "line", "polygon"]
    assert "2 channels x 5000 frames" in page
    strange = np.array([np.nan, np.inf, -np.inf, 1e30], np.float32)
    assert "no player" in AudioSamples(ramp(9), 2**31)._repr_html_()
    for odd in (
        mono(0),
        mono(1),
        AudioSamples(strange, 1),
        AudioSamples(np.full(9, 255, np.uint8), 8000),
        AudioSamples(np.zeros((20, 3)), RATE),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            page = odd._repr_html_()
        assert "nan" not in page.split("<svg")[-1].lower() or "<svg" not in page
        ElementTree.fromstring(page.replace("<audio controls", "<audio").replace("<br>", "<br/>"))
    assert "<audio" not in AudioSamples(np.zeros(61 * 8000, np.int16), 8000)._repr_html_()


# Levels, conversion and changes.


def test_levels_of_samples_with_nan_are_nan() -> None:
    audio = mono()
    audio[3] = float("nan")
    for level in (audio.peak(), audio.min(), audio.max(), audio.mean(), audio.rms(), audio.std_dev(), audio.variance()):
        assert np.isnan(level)


def test_levels_of_integers_do_not_overflow() -> None:
    for dtype in (np.int16, np.int32):
        low = float(np.iinfo(dtype).min)
        audio = AudioSamples(np.full(1000, low, dtype), RATE)
        assert (audio.peak(), audio.rms(), audio.mean(), audio.min(), audio.variance()) == (-low, -low, low, low, 0.0)


def test_levels_of_long_float32_are_summed_in_double() -> None:
    assert abs(AudioSamples(np.full(10_000_000, 0.1, np.float32), RATE).mean() - float(np.float32(0.1))) < 1e-12


def test_zero_crossings_ignore_zeros_and_count_all_channels() -> None:
    audio = AudioSamples(np.array([1.0, 0.0, 0.0, -1.0, 0.0, -1.0, 2.0]), 7)
    assert audio.zero_crossings() == 2 and audio.zero_crossing_rate() == 2.0
    assert AudioSamples(np.stack([audio.to_numpy()] * 2), 7).zero_crossings() == 4
    assert AudioSamples(np.stack([audio.to_numpy()] * 2), 7).zero_crossing_rate() == 2.0


def test_conversion_goes_by_full_scale_rounds_and_limits() -> None:
    values = np.array([-2.0, -1.0, -0.5, 0.0, 0.25, 0.99999, 1.0, 7.0, np.nan, np.inf, -np.inf])
    audio = AudioSamples(values, RATE)
    assert audio.as_i16().to_numpy().tolist() == [-32768, -32768, -16384, 0, 8192, 32767, 32767, 32767, 0, 32767, -32768]
    assert audio.as_i32().to_numpy().tolist()[:5] == [-(2**31), -(2**31), -(2**30), 0, 2**29]
    assert audio.as_u8().to_numpy().tolist() == [0, 0, 64, 128, 160, 255, 255, 255, 128, 255, 0]
    assert AudioSamples(np.array([0.5, 1.5, 2.5, -0.5]) / 32768, RATE).as_i16().to_numpy().tolist() == [0, 2, 2, 0]


def test_conversion_to_wider_types_and_back_is_exact() -> None:
    codes = np.arange(-32768, 32768, dtype=np.int16)
    audio = AudioSamples(codes, RATE)
    for wider in (audio.as_i32(), audio.as_f32(), audio.as_f64(), audio.as_i32().as_f64()):
        assert wider.as_i16() == audio
    assert audio.as_f32().to_numpy()[0] == -1.0 and audio.as_i32().to_numpy()[-1] == 32767 << 16
    eight = AudioSamples(np.arange(256, dtype=np.uint8), RATE)
    for wider in (eight.as_i16(), eight.as_i32(), eight.as_f32(), eight.as_f64()):
        assert wider.as_u8() == eight
    assert eight.as_f32().to_numpy()[[0, 128]].tolist() == [-1.0, 0.0]
    assert audio.as_i16() == audio and not np.shares_memory(audio.as_i16().to_numpy(), audio.to_numpy())


def test_casts_keep_the_numbers() -> None:
    audio = AudioSamples(np.array([-1.7, 0.5, 300.9, 1e30, np.nan, -np.inf]), RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert audio.cast_as_i16().to_numpy().tolist() == [-1, 0, 300, 32767, 0, -32768]
        assert audio.cast_as_u8().to_numpy().tolist() == [0, 0, 255, 255, 0, 0]
        assert audio.cast_as_i32().to_numpy().tolist()[3] == 2**31 - 1
    assert AudioSamples(np.array([32767], np.int16), RATE).cast_as_f32().to_numpy().tolist() == [32767.0]
    assert audio.cast_as_f32().dtype == "f32" and audio.cast_as_f64().dtype == "f64"


def test_changes_of_integers_round_and_limit() -> None:
    audio = AudioSamples(np.array([30_000, -30_000, 3, 5], np.int16), RATE)
    audio.scale(1.5)
    assert audio.to_numpy().tolist() == [32767, -32768, 4, 8]
    audio.clip(-100.0, 6.4)
    assert audio.to_numpy().tolist() == [6, -100, 4, 6]


def test_normalizing() -> None:
    audio = AudioSamples(np.array([[1.0, 2.0], [3.0, 5.0]]), RATE)
    audio.normalize(-1.0, 1.0)
    assert audio.to_numpy().tolist() == [[-1.0, -0.5], [0.0, 1.0]]
    audio.normalize(0.0, 2.0, "mean")
    assert abs(audio.mean()) < 1e-12 and abs(audio.max() - audio.min() - 2.0) < 1e-12
    audio.normalize_peak(-6.0)
    assert abs(20 * np.log10(audio.peak()) + 6.0) < 1e-9
    audio.normalize_rms(-20.0)
    assert abs(20 * np.log10(audio.rms()) + 20.0) < 1e-9
    flat = AudioSamples(np.full(4, 3.0), RATE)
    flat.normalize(0.5, 1.0)
    assert (flat.to_numpy() == 0.5).all()
    with pytest.raises(ValueError, match="above zero"):
        AudioSamples(np.zeros(4), RATE).normalize_peak()
    with pytest.raises(ValueError, match="finite"):
        AudioSamples(np.array([np.nan, 1.0]), RATE).normalize_peak()
    with pytest.raises(ValueError, match="minmax"):
        flat.normalize(0.0, 1.0, "loud")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        flat.normalize(1.0, 0.0)


def test_fades_and_windows_are_those_of_the_core() -> None:
    ones = AudioSamples(np.ones((2, 8)), 8)
    linear, cosine, power, both = ones.copy(), ones.copy(), ones.copy(), ones.copy()
    linear.fade_in(0.5, "linear")
    assert linear.to_numpy()[1].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    cosine.fade_out(0.5)
    assert np.allclose(cosine.to_numpy()[0], [1, 1, 1, 1, *((1 - np.cos(np.pi * np.array([0.75, 0.5, 0.25, 0.0]))) / 2)])
    power.fade_in(1.0, "equal-power")
    assert np.allclose(power.to_numpy()[0], np.sin(np.pi / 2 * np.arange(8) / 8))
    both.fade_in(0.0)
    both.fade_out(0.0)
    assert both == ones
    with pytest.raises(ValueError, match=says("1.0 s", "1.5 s")):
        ones.fade_in(1.5)
    with pytest.raises(ValueError, match="linear"):
        ones.fade_in(0.5, "steep")  # type: ignore[arg-type]
    from scipy.signal import get_window

    for name, other in [
        ("hann", "hann"),
        ("hamming", "hamming"),
        ("blackman", "blackman"),
        ("blackman-harris", "blackmanharris"),
        ("rectangle", "boxcar"),
    ]:
        audio = AudioSamples(np.ones(64), RATE)
        audio.window(name)  # type: ignore[arg-type]
        assert np.allclose(audio.to_numpy(), get_window(other, 64), atol=1e-9)
    with pytest.raises(ValueError, match="hann"):
        ones.window("square")  # type: ignore[arg-type]


def test_eight_bits_fade_to_their_silence() -> None:
    audio = AudioSamples(np.full(4, 228, np.uint8), 4)
    audio.fade_in(1.0, "linear")
    assert audio.to_numpy().tolist() == [128, 153, 178, 203]
    assert AudioSamples(np.full(2, 228, np.uint8), 4).pad(0.25, 0.25).to_numpy().tolist() == [128, 228, 228, 128]


def test_mono_is_the_mean_and_stereo_is_twice() -> None:
    audio = stereo()
    assert np.array_equal(audio.to_mono().to_numpy(), ramp(2, 6).mean(axis=0))
    assert np.array_equal(mono().to_stereo().to_numpy(), np.stack([ramp(6)] * 2))
    loud = AudioSamples(np.array([[32767, -32768], [32767, -32767]], np.int16), RATE)
    assert loud.to_mono().to_numpy().tolist() == [32767, -32768]
    with pytest.raises(ValueError, match="found 3"):
        AudioSamples(ramp(3, 2), RATE).to_stereo()


def test_times_are_within_the_audio() -> None:
    audio = AudioSamples(ramp(10), 10)
    assert audio.trim(0.2, 0.5) == audio[2:5] and audio.trim(0.0, 1.0) == audio and len(audio.trim(0.5, 0.5)) == 0
    for start, end in [(-0.1, 0.5), (0.0, 1.1), (0.5, 0.2), (float("nan"), 1.0), (0.0, float("inf"))]:
        with pytest.raises(ValueError):
            audio.trim(start, end)
    assert audio.pad(0.2, 0.1) == np.concatenate([np.zeros(2, np.float32), audio, np.zeros(1, np.float32)])
    assert audio.gain_db(float("-inf")) is None and not audio.to_numpy().any()


# Other rates.


@pytest.mark.parametrize("quality", list(ResamplingQuality))
@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 44_100), (48_000, 8_000), (8_000, 96_000), (44_100, 44_101)])
def test_resampled_tones_have_no_delay_and_the_right_length(quality: ResamplingQuality, rates: tuple[int, int]) -> None:
    source, target = rates
    tone = generation.sine_wave(440.0, 0.5, source)
    expected = generation.sine_wave(440.0, 0.5, target)
    found = tone.resample(target, quality)
    assert found.sample_rate == target and len(found) == -(-len(tone) * target // source)
    inner = slice(target // 20, -target // 20)
    error = np.abs(found.to_numpy()[: len(expected)] - expected.to_numpy()[: len(found)])[inner].max()
    bound = {"fast": 2 * (np.pi * 440 / source) ** 2, "medium": 1e-4, "high": 1e-6}[quality.value]
    assert error < bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_resampling_keeps_type_and_channels(dtype: Any) -> None:
    tone = generation.sine_wave(200.0, 0.2, 8_000, 0.9)
    audio = AudioSamples.from_channels([tone, tone.reverse()])
    audio = {"u1": audio.as_u8, "i2": audio.as_i16, "i4": audio.as_i32, "f4": audio.as_f32, "f8": audio.as_f64}[
        np.dtype(dtype).str[1:]
    ]()
    for quality in ResamplingQuality:
        found = audio.resample(16_000, quality)
        assert found.numpy_dtype == dtype and found.shape == (2, 3200)
        inner = found.as_f64().to_numpy()[0, 800:2400]
        assert np.allclose(inner, generation.sine_wave(200.0, 0.2, 16_000, 0.9).to_numpy()[800:2400], atol=0.03)


@pytest.mark.parametrize("quality", list(ResamplingQuality))
def test_resampling_reads_any_layout_of_memory(quality: ResamplingQuality) -> None:
    data = np.random.default_rng(5).uniform(-1.0, 1.0, (64, 3))
    expected = AudioSamples.new_multi(data, RATE, frames_first=True).resample(32_000, quality)
    record = np.zeros((64, 3), np.dtype([("a", "u1"), ("b", "f8")]))
    record["b"] = data
    for layout in (data, record["b"], np.asfortranarray(data)):
        found = AudioSamples.new_multi(layout, RATE, frames_first=True, copy=False).resample(32_000, quality)
        assert found == expected


def test_resampling_names_qualities_and_rates() -> None:
    assert mono().resample(24_000, "medium") == mono().resample(24_000, ResamplingQuality.medium)
    assert mono().resample(RATE) == mono() and mono(0).resample(96_000, "high").sample_rate == 96_000
    assert len(mono(1).resample(2**32 - 1, "medium")) == -(-(2**32 - 1) // RATE)
    with pytest.raises(ValueError, match=says("fast", "best")):
        mono().resample(24_000, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 Hz"):
        mono().resample(0)


# Empty audio.


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_audio_works_everywhere(dtype: Any) -> None:
    for shape in [(0,), (2, 0)]:
        audio = AudioSamples(np.zeros(shape, dtype), RATE)
        assert len(audio) == 0 and audio.duration_seconds == 0.0 and not audio.size
        for made in (
            audio + 1,
            audio * audio,
            audio / audio,
            -audio,
            audio[:],
            audio[5:],
            audio.copy(),
            np.abs(audio),
            audio.reverse(),
            audio.trim(0.0, 0.0),
            audio.resample(44_100),
            audio.resample(44_100, "fast"),
            audio.as_f64(),
            audio.as_i16(),
            audio.cast_as_i16(),
            audio.to_mono(),
            audio.to_stereo(),
            np.concatenate([audio, audio]),
            pickle.loads(pickle.dumps(audio)),
            audio.pad(),
            copy.deepcopy(audio),
        ):
            assert isinstance(made, AudioSamples) and len(made) == 0
        levels = (
            audio.peak(),
            audio.rms(),
            audio.mean(),
            audio.min(),
            audio.max(),
            audio.std_dev(),
            audio.variance(),
            audio.zero_crossing_rate(),
        )
        assert levels == (0.0,) * 8 and audio.zero_crossings() == 0
        for change in (
            lambda a: a.scale(2.0),
            lambda a: a.clip(0, 1),
            lambda a: a.remove_dc_offset(),
            lambda a: a.normalize(),
            lambda a: a.reverse_in_place(),
            lambda a: a.fade_in(0.0),
            lambda a: a.fade_out(0.0),
            lambda a: a.window(),
            lambda a: a.gain_db(-6.0),
        ):
            change(audio)
        audio += 1
        audio[:] = 0
        assert (
            memoryview(audio).shape == shape
            and audio == audio.copy()
            and "0 frames" in repr(audio)
            and "0 frames" in audio._repr_html_()
        )
        assert np.sum(audio) == 0 and audio.pad(1 / RATE, 1 / RATE).frames == 2
        with pytest.raises(IndexError):
            audio[0]


# Threads, processes, interpreters, memory.


def child(audio: AudioSamples, connection: Any) -> None:
    audio *= 2.0
    connection.send(audio)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_audio_goes_through_a_fork_and_back() -> None:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    audio = stereo()
    with warnings.catch_warnings():
        # Python warns of threads of other libraries.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=child, args=(audio, there))
        process.start()
    assert here.recv() == stereo() * 2.0
    process.join()
    assert process.exitcode == 0 and audio == stereo()


def test_threads_share_audio() -> None:
    audio, wrong = AudioSamples(np.ones(20_000), RATE), []

    def work() -> None:
        for _ in range(50):
            made = (audio * 2.0 + audio)[100:200].resample(24_000, "medium")
            if not np.array_equal(audio.to_numpy(), np.ones(20_000)) or len(made) != 50:
                wrong.append(made)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sub_interpreters_are_refused_without_a_crash() -> None:
    # NumPy warns of sub-interpreters, too.
    program = """
import isotherm
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = "try:\\n    import isotherm._native\\nexcept ImportError as error:\\n    print('refused', error, flush=True)"
one = interpreters.create()
interpreters.run_string(one, code)
"""
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert "refused" in run.stdout


def test_huge_shapes_are_refused_and_huge_views_are_taken() -> None:
    # One sample that stands for 2^40 frames.
    endless = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (2**40,), (0,))
    audio = AudioSamples.new_mono(endless, RATE, copy=False)
    assert len(audio) == 2**40 and len(audio[5:]) == 2**40 - 5 and audio.duration_seconds > 2e7
    wide = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (2**30, 2), (0, 4))
    with pytest.raises(ValueError, match="1073741824"):
        AudioSamples.new_multi(wide, RATE, copy=False)
    with pytest.raises((MemoryError, ValueError)):
        mono().pad(1e12)
    with pytest.raises((MemoryError, ValueError, OverflowError)):
        generation.silence(1e300)
    for generate in (
        lambda: generation.pink_noise(1e12),
        lambda: generation.band_limited("saw", 100.0, 1e12),
        lambda: generation.chirp(100.0, 1000.0, 1e12, method="exponential"),
        lambda: generation.sine_wave(100.0, 1e12),
        lambda: AudioSamples(np.zeros(2**20), 1).resample(2**32 - 1),
    ):
        with pytest.raises(MemoryError):
            generate()


# Generators.


def test_text_and_arrays_are_no_numbers() -> None:
    audio = stereo()
    attempts: list[Callable[[Any], object]] = [
        audio.scale,
        audio.gain_db,
        audio.normalize_peak,
        audio.fade_in,
        audio.pad,
        lambda x: audio.clip(x, 1.0),
        lambda x: audio.normalize(0.0, x),
        lambda x: audio.trim(x, 1.0),
        lambda x: generation.sine_wave(x, 1.0),
        lambda x: generation.sine_wave(440.0, x),
        lambda x: generation.sine_wave(440.0, 0.1, 8_000, x),
        lambda x: generation.band_limited("saw", x, 0.1),
        lambda x: generation.pink_noise(0.1, 8_000, x),
    ]
    for attempt in attempts:
        for wrong in ("1.0", None, np.ones(1), [1.0], True):
            with pytest.raises(TypeError, match="expected a number, found"):
                attempt(wrong)
    assert audio == stereo()


def test_gains_are_finite() -> None:
    audio = stereo()
    for change in (audio.scale, audio.gain_db):
        for wrong in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match=str(wrong)):
                change(wrong)
    with pytest.raises(ValueError, match="6000 dB"):
        audio.gain_db(1e9)
    assert audio == stereo()


@pytest.mark.parametrize("seed", [1.5, "a", -1, 2**64, True, [1]])
def test_other_seeds_are_refused_by_what_was_found(seed: Any) -> None:
    for generate in (generation.white_noise, generation.pink_noise):
        with pytest.raises((TypeError, ValueError), match="seed: expected"):
            generate(0.1, seed=seed)
    with pytest.raises((TypeError, ValueError), match="seed: expected"):
        generation.speech(8_000, seed=seed)


def test_generators_are_seeded_and_checked() -> None:
    for noise in (generation.white_noise, generation.pink_noise):
        assert noise(0.01, seed=3) == noise(0.01, seed=3) != noise(0.01, seed=4)
        assert noise(0.01) != noise(0.01)
    for name in ("sine_wave", "cosine_wave", "square_wave", "sawtooth_wave", "triangle_wave"):
        wave = getattr(generation, name)(100.0, 0.1, 8_000, 0.5)
        assert wave.dtype == "f64" and len(wave) == 800 and abs(wave.peak() - 0.5) < 0.02
        for wrong in [
            (-1.0, 0.1, 8_000),
            (100.0, -0.1, 8_000),
            (100.0, 0.1, 0),
            (float("nan"), 0.1, 8_000),
            (100.0, float("inf"), 8_000),
        ]:
            with pytest.raises(ValueError):
                getattr(generation, name)(*wrong)
    assert len(generation.silence(0.0)) == 0 and generation.impulse(0.1, 100, 0.5, 0.05)[5] == 0.5
    with pytest.raises(ValueError):
        generation.impulse(0.1, 100, 0.5, 0.2)
    with pytest.raises(ValueError):
        generation.pink_noise(0.1, seed=-1)


def test_band_limited_waves_have_nothing_but_their_harmonics() -> None:
    # 1 s at whole Hz: each harmonic is in one bin.
    for shape in ("sine", "square", "saw", "triangle"):
        audio = generation.band_limited(shape, 1_500.0, 1.0, 24_000)
        spectrum = np.abs(audio.rfft())
        spectrum[::1500] = 0.0
        assert spectrum.max() < 1e-3
    with pytest.raises(ValueError, match="12000"):
        generation.band_limited("saw", 13_000.0, 1.0, 24_000)
    with pytest.raises(ValueError, match="triangle"):
        generation.band_limited("noise", 100.0, 1.0)  # type: ignore[arg-type]


def test_pieces_of_music_are_those_of_the_core() -> None:
    for piece in (generation.guitar(8_000, 2), generation.drums(8_000, 2)):
        assert piece.shape == (2, 64_000) and piece.dtype == "f32" and abs(20 * np.log10(piece.peak()) + 3.0) < 0.01
    assert generation.speech(8_000).is_mono()
    with pytest.raises(ValueError, match="found 3"):
        generation.guitar(8_000, 3)
    with pytest.raises(ValueError):
        generation.drums(4_000)


def test_an_exponential_chirp_is_the_cores_sweep() -> None:
    sweep = generation.chirp(100.0, 3_000.0, 0.5, 8_000, 0.5, "exponential")
    assert len(sweep) == 4_000 and sweep[0] == 0.0
    with pytest.raises(ValueError):
        generation.chirp(0.0, 3_000.0, 0.5, 8_000, 0.5, "exponential")
    assert generation.chirp(100.0, 200.0, 0.0) == AudioSamples(np.zeros(0), 44_100)


# Files.


@pytest.mark.parametrize(
    "subtype,dtype",
    [
        ("PCM_U8", "u8"),
        ("PCM_16", "i16"),
        ("PCM_24", "i32"),
        ("PCM_32", "i32"),
        ("FLOAT", "f32"),
        ("DOUBLE", "f64"),
        ("ALAW", "i16"),
        ("ULAW", "i16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_files_are_read_in_their_own_type_as_soundfile_reads_them(
    tmp_path: Path, subtype: str, dtype: str, channels: int
) -> None:
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, (40_000, channels))
    soundfile.write(path, noise, RATE, subtype=subtype)
    expected = soundfile.read(path, dtype="float64", always_2d=True)[0].T
    audio, info = io.read_with_info(path)
    assert audio.dtype == dtype and np.array_equal(np.atleast_2d(audio.as_f64().to_numpy()), expected)
    assert (info.sample_rate, info.channels, info.frames, info.num_samples) == (RATE, channels, 40_000, 40_000 * channels)
    assert abs(info.duration - 40_000 / RATE) < 1e-12 and not info.unfinished and info.notes == () and info.encoding
    with open(path, "rb") as file:
        assert io.read(file) == audio == io.read(str(path))


@pytest.mark.parametrize("subtype,name", [("i16", "PCM_16"), ("i24", "PCM_24"), ("i32", "PCM_32"), ("f32", "FLOAT")])
def test_files_are_written_in_the_asked_type(tmp_path: Path, subtype: Any, name: str) -> None:
    path = tmp_path / "a.wav"
    audio = AudioSamples(np.random.default_rng(2).uniform(-0.9, 0.9, (2, 50_000)), 44_100)
    io.save(path, audio, subtype=subtype)
    info = soundfile.info(path)
    assert (info.subtype, info.frames, info.channels, info.samplerate) == (name, 50_000, 2, 44_100)
    bits = {"i16": 15, "i24": 23, "i32": 31, "f32": 24}[subtype]
    assert np.abs(soundfile.read(path)[0].T - audio.to_numpy()).max() <= 2.0**-bits


def test_saved_files_come_back_exactly(tmp_path: Path) -> None:
    import io as memory

    for dtype in (np.int16, np.int32, np.float32):
        for shape in [(1,), (7,), (2, 20_000), (5, 3)]:
            data = np.random.default_rng(3).integers(-30_000, 30_000, shape).astype(dtype)
            if dtype is np.float32:
                data /= 30_000
            audio, file = AudioSamples(data, 22_050), memory.BytesIO()
            io.save(tmp_path / "a.wav", audio)
            io.save(file, audio)
            assert file.getvalue() == (tmp_path / "a.wav").read_bytes()
            file.seek(0)
            assert io.read(tmp_path / "a.wav") == audio == io.read(file)
    eight = AudioSamples(np.arange(256, dtype=np.uint8), RATE)
    io.save(tmp_path / "a.wav", eight)
    assert io.read(tmp_path / "a.wav").as_u8() == eight
    strided = stereo(9)[::-2]
    io.save(tmp_path / "a.wav", strided)
    assert io.read(tmp_path / "a.wav") == strided


def test_limited_and_replaced_samples_are_told(tmp_path: Path) -> None:
    audio = AudioSamples(np.array([2.0, -3.0, np.nan, 0.5], np.float32), RATE)
    with pytest.warns(UserWarning, match="^2 samples were beyond full scale"):
        io.save(tmp_path / "a.wav", audio[:2], subtype="i16")
    with pytest.warns(UserWarning, match="^1 sample was NaN"):
        io.save(tmp_path / "b.wav", audio)
    assert io.read(tmp_path / "b.wav").to_numpy().tolist() == [2.0, -3.0, 0.0, 0.5]
    with pytest.warns(UserWarning, match="^1 sample was NaN"):
        io.save(tmp_path / "b.wav", AudioSamples(np.array([1e300, 0.5]), RATE))


@pytest.mark.parametrize("subtype", ["i16", "i24", "i32", "f32"])
def test_full_scale_is_saved_without_a_warning(tmp_path: Path, subtype: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        io.save(tmp_path / "a.wav", generation.square_wave(100.0, 0.1), subtype=subtype)
        io.save(tmp_path / "a.wav", AudioSamples(np.array([2**31 - 1], np.int32), RATE), subtype=subtype)


class Part:
    """A file that takes 10 bytes at a time."""

    def __init__(self, result: Any = None) -> None:
        self.data = b""
        self.result = result

    def write(self, data: Any) -> Any:
        self.data += bytes(data[:10])
        return min(len(data), 10) if self.result is None else self.result


def test_files_that_take_a_part_get_the_rest(tmp_path: Path) -> None:
    import io as memory

    part, whole = Part(), memory.BytesIO()
    io.save(part, mono(100))  # type: ignore[arg-type]
    io.save(whole, mono(100))
    assert part.data == whole.getvalue()
    with pytest.raises(OSError, match="took 0 of"):
        io.save(Part(0), mono(100))  # type: ignore[arg-type]
    read, write = os.pipe()
    os.set_blocking(write, False)
    with os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0) as pipe, pytest.raises(BlockingIOError):
        io.save(pipe, mono(1_000_000))


def test_links_stay_and_devices_are_written_to(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "target.wav", tmp_path / "link.wav"
    target.parent.mkdir()
    link.symlink_to(target)
    for audio in (mono(), stereo()):
        io.save(link, audio)
        assert link.is_symlink() and io.read(target) == audio
    io.save(os.devnull, mono())
    assert not Path(os.devnull).is_file()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left"):
            io.save("/dev/full", mono())
        assert not Path("/dev/full").is_file()


def test_misaligned_and_strided_audio_is_saved_right(tmp_path: Path) -> None:
    odd = np.frombuffer(bytes(1) + ramp(9).tobytes(), np.uint8)[1:].view("f4")
    assert not odd.flags.aligned
    for array in (odd, ramp(18)[::2]):
        io.save(tmp_path / "a.wav", AudioSamples(array, RATE, copy=False))
        assert np.array_equal(io.read(tmp_path / "a.wav").to_numpy(), array)


def test_nan_in_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5, np.nan, np.inf]), RATE, subtype="FLOAT")
    assert np.array_equal(io.read(tmp_path / "a.wav").to_numpy(), np.array([0.5, np.nan, np.inf], np.float32), equal_nan=True)


def test_files_that_cannot_be_read_or_written_are_os_errors_with_the_path(tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    with pytest.raises(FileNotFoundError) as error:
        io.read(missing)
    assert error.value.filename == str(missing)
    with pytest.raises(FileNotFoundError):
        io.read("")
    for attempt in (lambda: io.read(tmp_path), lambda: io.save(tmp_path, mono())):
        with pytest.raises(IsADirectoryError):
            attempt()
    with pytest.raises(FileNotFoundError, match="none"):
        io.save(tmp_path / "none" / "a.wav", mono())
    for wrong in (lambda: io.save("a\0b.wav", mono()), lambda: io.read("a\0b.wav")):
        with pytest.raises(ValueError):
            wrong()


def test_a_failing_write_leaves_no_half_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    io.save(path, mono())
    before = path.read_bytes()
    for attempt in (
        lambda: io.save(path, mono(0)),
        lambda: io.save(path, mono(), subtype="i12"),
        lambda: io.save(path, AudioSamples(ramp(300, 2), 2**32 - 1)),
    ):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="expected"):
            attempt()
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_pipes_with_a_name_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=io.save, args=(path, stereo(1000)))
    writer.start()
    assert io.read(path) == stereo(1000)
    writer.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_waiting_for_a_pipe_ends_with_a_signal(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            io.read(path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_what_is_no_wav_file_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for content in (b"", b"RIFF", b"no wav file at all", bytes(100), b"RIFF\x04\0\0\0WAVE"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            io.read(path)
    with pytest.raises(TypeError, match="binary"):
        io.read(open(os.devnull))  # type: ignore[arg-type]  # noqa: SIM115
    for wrong in (1, None, b"a.wav", ramp(3)):
        with pytest.raises((TypeError, OSError)):
            io.read(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            io.save(wrong, mono()) if not isinstance(wrong, bytes) else io.save(mono(), "a.wav")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="AudioSamples"):
        io.save(path, ramp(3))  # type: ignore[arg-type]


def test_a_file_that_a_crash_cut_off_is_read_with_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    io.save(path, stereo(1000))
    path.write_bytes(path.read_bytes()[:-3001])
    audio, info = io.read_with_info(path)
    assert audio == stereo(1000)[: len(audio)] and len(audio) == info.frames < 1000 and info.notes
