"""Audio in the hands of others: protocols, pickle, notebooks, threads, processes, interpreters."""

import base64
import copy
import gc
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from isotherm import AudioSamples, generation

from sounds import DTYPES, RATE, mono, ramp, stereo

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
