"""The laws of `AudioSamples`: layout, copies, views and life times, indices, empty audio."""

import copy
import gc
import pickle
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from isotherm import AudioSamples

from sounds import DTYPES, RATE, mono, ramp, says, stereo

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
