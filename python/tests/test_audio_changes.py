"""Levels, conversion, changes and other rates of audio; generators and files."""

import copy
import os
import re
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from isotherm import AudioSamples, ResamplingQuality, generation, io

from sounds import DTYPES, RATE, mono, ramp, says, stereo

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
