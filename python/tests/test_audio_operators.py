"""The laws of operators, of comparison and of NumPy's functions on audio."""

import copy
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from isotherm import AudioSamples

from sounds import DTYPES, RATE, mono, ramp, says, stereo

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
