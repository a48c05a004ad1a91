"""Laws of the multichannel 24-bit writer."""

import codecs
import contextlib
import errno
import gzip
import io
import os
import pickle
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import tracemalloc
import wave
from pathlib import Path
from typing import Any

import audio_writer
import numpy as np
import pytest
from isotherm import _native

WRITERS = [audio_writer.write_multichannel_24bit, audio_writer.write_multichannel_24bit_int32]


def codes_of_floats(samples: Any) -> np.ndarray:
    """The rule of takes in NumPy: times 2^23, halves to even, limited, NaN is 0."""
    scaled = np.asarray(samples, dtype=np.float64) * 2.0**23
    return np.nan_to_num(np.clip(np.rint(scaled), -(2.0**23), 2.0**23 - 1), nan=0.0).astype(np.int64)


def bytes_of_codes(codes: Any) -> bytes:
    """24-bit little-endian bytes of integers."""
    words = np.ascontiguousarray(codes, dtype="<i4")
    return words.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def expected(array: np.ndarray, channel: int) -> bytes:
    column = array[:, channel]
    if array.dtype.kind == "i":
        return bytes_of_codes(np.clip(column.astype(np.int64), -(2**23), 2**23 - 1))
    return bytes_of_codes(codes_of_floats(column))


def write(array: np.ndarray, channels: Any = None) -> list[bytes]:
    channels = range(array.shape[1]) if channels is None else channels
    files = [io.BytesIO() for _ in channels]
    writer = WRITERS[array.dtype.kind == "i"]
    assert writer(array, channels, files) == array.shape[0]
    return [file.getvalue() for file in files]


def noise(frames: int, channels: int, seed: int = 1, dtype: Any = np.float32) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "i":
        return rng.integers(-(2**24), 2**24, (frames, channels)).astype(dtype)
    return (rng.standard_normal((frames, channels)) * 0.4).astype(dtype)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", ">f4", ">f8", ">i4"])
@pytest.mark.parametrize("frames", [1, 7, 8, 255, 256, 257, 1024])
@pytest.mark.parametrize("channels", [1, 2, 7, 8, 9, 32])
def test_every_type_and_byte_order_gives_the_codes_of_the_rule(dtype: str, frames: int, channels: int) -> None:
    array = noise(frames, channels, seed=frames + channels, dtype=dtype)
    assert write(array) == [expected(array, channel) for channel in range(channels)]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_every_layout_in_memory_gives_the_same_samples(dtype: str) -> None:
    base = noise(300, 20, dtype=dtype)
    wanted = [expected(base, channel) for channel in range(20)]
    read_only = base.copy()
    read_only.flags.writeable = False
    wide = np.zeros((600, 60), dtype)
    wide[::2, ::3] = base
    packed = np.zeros(base.nbytes + 1, np.uint8)
    unaligned = packed[1:].view(dtype).reshape(base.shape)
    unaligned[:] = base
    fields = np.zeros(base.shape, np.dtype([("pad", "u1"), ("sample", dtype)]))
    fields["sample"] = base
    layouts = {
        "C order": base,
        "Fortran order": np.asfortranarray(base),
        "transposed": np.ascontiguousarray(base.T).T,
        "read-only": read_only,
        "strided": wide[::2, ::3],
        "reversed twice": base[::-1, ::-1].copy()[::-1, ::-1],
        "unaligned": unaligned,
        "a field": fields["sample"],
        "of a larger array": np.concatenate([base, base], axis=1)[:, 20:],
        "a subclass": base.view(type("Sub", (np.ndarray,), {})),
        "other byte order": base.astype(base.dtype.newbyteorder()),
        "transposed, other byte order": np.ascontiguousarray(base.T).astype(base.dtype.newbyteorder()).T,
    }
    for name, array in layouts.items():
        assert write(array) == wanted, name
    one_value = np.broadcast_to(base[:1], base.shape)
    assert write(one_value) == [expected(one_value, channel) for channel in range(20)]


def test_channels_can_be_chosen_in_any_order_and_more_than_once() -> None:
    array = noise(300, 24)
    wanted = [expected(array, channel) for channel in range(24)]
    rng = random.Random(1)
    choices = [[5], [23, 0], list(range(3, 19)), [0, 0, 1], list(range(8)) + [3], list(reversed(range(24)))]
    choices += [[rng.randrange(24) for _ in range(rng.randrange(30))] for _ in range(50)]
    for channels in choices:
        for given in (channels, tuple(channels), np.array(channels, dtype=np.int16)):
            assert write(array, given) == [wanted[channel] for channel in channels]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_are_rounded_once_to_the_nearest_code_and_limited(dtype: str) -> None:
    code = 2.0**-23
    tiny = 2.0**-40
    values = [0.0, -0.0, 1.0, -1.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 1e-45, code / 2, 1.5 * code, 2.5 * code, -code / 2]
    values += [-1.5 * code, 1 - code, 1 - code / 2, -1 - code / 2, 0.5 + code / 2, 0.5 + 1.5 * code]
    values += [0.5 + code / 2 + tiny, 0.5 + code / 2 - tiny, 0.75 + 1.5 * code - tiny, 0.75 + 1.5 * code + tiny]
    array = np.array(values, dtype=dtype)[:, np.newaxis]
    (written,) = write(array)
    assert written == bytes_of_codes(codes_of_floats(array[:, 0]))
    assert written[6:9] == b"\xff\xff\x7f" and written[9:12] == b"\x00\x00\x80" and written[24:27] == b"\x00\x00\x00"
    assert written[30:39] == b"\x00\x00\x00\x02\x00\x00\x02\x00\x00"


def test_every_24_bit_code_survives_as_float_and_as_integer() -> None:
    codes = np.arange(-(2**23), 2**23, dtype=np.int32)[:, np.newaxis]
    wanted = bytes_of_codes(codes)
    assert write(codes)[0] == wanted
    assert write((codes / 2.0**23).astype(np.float32))[0] == wanted


def test_integers_beyond_24_bits_become_the_nearest_code() -> None:
    array = np.array([[2**23 - 1, 2**23, 2**31 - 1, -(2**23), -(2**23) - 1, -(2**31)]], dtype=np.int32).T
    assert write(array)[0] == b"\xff\xff\x7f" * 3 + b"\x00\x00\x80" * 3


@pytest.mark.parametrize("frames", [100, 1024, 5000])
def test_all_kinds_of_binary_files_get_the_same_bytes(tmp_path: Path, frames: int) -> None:
    array = noise(frames, 8)
    ends = socket.socketpair()
    received = bytearray()

    def receive() -> None:
        while data := ends[1].recv(65536):
            received.extend(data)

    thread = threading.Thread(target=receive)
    thread.start()
    stream = ends[0].makefile("wb")
    temporary = tempfile.NamedTemporaryFile(dir=tmp_path)
    spooled = tempfile.SpooledTemporaryFile(max_size=1000)
    kept: list[bytes] = []

    class Keeper:
        def write(self, data: bytes) -> None:
            assert type(data) is bytes
            kept.append(data)

    files: list[Any] = [
        open(tmp_path / "buffered", "wb"),
        open(tmp_path / "raw", "wb", buffering=0),
        open(tmp_path / "random", "w+b"),
        gzip.open(tmp_path / "gzip", "wb"),
        stream,
        temporary,
        spooled,
        Keeper(),
    ]
    for _ in range(3):
        assert audio_writer.write_multichannel_24bit(array, list(range(8)), files) == frames
    for file in files[:5]:
        file.close()
    ends[0].close()
    thread.join()
    ends[1].close()
    temporary.flush()
    spooled.seek(0)
    written = [(tmp_path / name).read_bytes() for name in ("buffered", "raw", "random")]
    written += [gzip.decompress((tmp_path / "gzip").read_bytes()), bytes(received)]
    written += [Path(temporary.name).read_bytes(), spooled.read(), b"".join(kept)]
    assert written == [expected(array, channel) * 3 for channel in range(8)]


@pytest.mark.parametrize("buffering", [0, 1000, -1, 1 << 20])
def test_blocks_and_other_writes_of_the_program_stay_in_order(tmp_path: Path, buffering: int) -> None:
    rng = random.Random(buffering)
    wanted = bytearray()
    with open(tmp_path / "file", "wb", buffering=buffering) as file:
        for _ in range(200):
            frames = rng.choice([1, 50, 256, 500, 1024, 4000])
            array = noise(frames, 2, seed=frames)
            audio_writer.write_multichannel_24bit(array, [1], [file])
            wanted += expected(array, 1)
            assert file.tell() == len(wanted)
            text = bytes(rng.randrange(40))
            file.write(text)
            wanted += text
            if rng.random() < 0.1 and len(wanted) > 10:
                file.seek(len(wanted) - 10)
                del wanted[-10:]
                file.truncate()
    assert (tmp_path / "file").read_bytes() == wanted


def test_files_hold_no_header_and_the_program_can_write_its_own(tmp_path: Path) -> None:
    array = noise(10, 1)
    with open(tmp_path / "file", "wb") as file:
        file.write(b"header")
        audio_writer.write_multichannel_24bit(array, [0], [file])
    assert (tmp_path / "file").read_bytes() == b"header" + expected(array, 0)
    with open(tmp_path / "file", "ab") as file:
        audio_writer.write_multichannel_24bit(array, [0], [file])
    assert (tmp_path / "file").read_bytes() == b"header" + expected(array, 0) * 2


def test_nothing_is_held_back_between_calls(tmp_path: Path) -> None:
    array = noise(10, 1)
    with open(tmp_path / "file", "wb", buffering=0) as file:
        for calls in range(1, 5):
            audio_writer.write_multichannel_24bit(array, [0], [file])
            assert (tmp_path / "file").stat().st_size == calls * 30
    with open(tmp_path / "file", "wb") as file:
        audio_writer.write_multichannel_24bit(array, [0], [file])
        assert file.tell() == 30
        file.flush()
        assert (tmp_path / "file").stat().st_size == 30


def wave_file(target: Any, channels: int = 1, width: int = 3) -> wave.Wave_write:
    file = wave.open(target, "wb")
    file.setnchannels(channels)
    file.setsampwidth(width)
    file.setframerate(48000)
    return file


def test_wave_files_have_a_true_header_when_they_are_closed(tmp_path: Path) -> None:
    array = noise(1001, 9)
    paths = [str(tmp_path / f"{channel}.wav") for channel in range(9)]
    files = [wave_file(path) for path in paths]
    for _ in range(3):
        assert audio_writer.write_multichannel_24bit(array, range(9), files) == 1001
    for file in files:
        file.close()
    for channel, path in enumerate(paths):
        with wave.open(path) as file:
            assert file.getparams()[:4] == (1, 3, 48000, 3003)
            assert file.readframes(4000) == expected(array, channel) * 3
        assert int.from_bytes(Path(path).read_bytes()[4:8], "little") == Path(path).stat().st_size - 8


def test_wave_files_without_a_block_have_a_header_too(tmp_path: Path) -> None:
    target = io.BytesIO()
    with wave_file(target) as file:
        assert audio_writer.write_multichannel_24bit(np.zeros((0, 4), np.float32), [3], [file]) == 0
    assert wave.open(io.BytesIO(target.getvalue())).getnframes() == 0


def test_wave_files_of_another_format_are_refused() -> None:
    array = noise(10, 2)
    good = wave_file(io.BytesIO())
    for bad, found in [(wave_file(io.BytesIO(), 2, 3), "2 channels and a sample width of 3"), (wave_file(io.BytesIO(), 1, 2), "width of 2")]:
        with pytest.raises(ValueError, match=rf"file_objects\[1\].*{found}"):
            audio_writer.write_multichannel_24bit(array, [0, 1], [good, bad])
    unset = wave.open(io.BytesIO(), "wb")
    with pytest.raises(ValueError, match=r"file_objects\[1\].*without a format"):
        audio_writer.write_multichannel_24bit(array, [0, 1], [good, unset])
    unset.setparams((1, 3, 48000, 0, "NONE", ""))
    good.close()
    with pytest.raises(ValueError, match=r"file_objects\[0\] is closed"):
        audio_writer.write_multichannel_24bit(array, [0], [good])
    under = io.BytesIO()
    file = wave_file(under)
    under.close()
    with pytest.raises(ValueError, match=r"file_objects\[0\] is closed"):
        audio_writer.write_multichannel_24bit(array, [0], [file])
    with pytest.raises(ValueError):
        file.close()


def test_wave_files_are_not_filled_beyond_what_their_header_can_say() -> None:
    file = wave_file(io.BytesIO())
    most = (2**32 - 1 - 36) // 3
    too_long = np.broadcast_to(np.zeros((1, 1), np.float32), (most + 1, 1))
    with pytest.raises(ValueError, match=rf"0 frames, to which {most + 1} would be added; it can hold {most}"):
        audio_writer.write_multichannel_24bit(too_long, [0], [file])
    assert file.tell() == 0


class Recorder:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def closed_file() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


def closed_buffered() -> io.BufferedWriter:
    file = open(os.devnull, "wb")
    file.close()
    return file


FLOATS = np.zeros((4, 2), np.float32)

BAD_ARGUMENTS: list[tuple[type[Exception], str, Any, Any, Any]] = [
    (TypeError, "audio_data must be a NumPy array of shape .frames, channels., found list", [[0.0]], [0], [Recorder()]),
    (TypeError, "found str", "abc", [0], [Recorder()]),
    (TypeError, "float32 or float64.*found int32; write_multichannel_24bit_int32", np.zeros((4, 2), np.int32), [0], [Recorder()]),
    (TypeError, "found int16", np.zeros((4, 2), np.int16), [0], [Recorder()]),
    (TypeError, "found object", np.zeros((4, 2), object), [0], [Recorder()]),
    (TypeError, "found complex64", np.zeros((4, 2), np.complex64), [0], [Recorder()]),
    (TypeError, "found float16", np.zeros((4, 2), np.float16), [0], [Recorder()]),
    (TypeError, "found bool", np.zeros((4, 2), bool), [0], [Recorder()]),
    (ValueError, r"2 dimensions.*\(4,\); one channel is array\[:, numpy.newaxis\]", np.zeros(4, np.float32), [0], [Recorder()]),
    (ValueError, r"2 dimensions.*\(4, 2, 1\)", np.zeros((4, 2, 1), np.float32), [0], [Recorder()]),
    (ValueError, r"2 dimensions.*\(\)", np.zeros((), np.float32), [0], [Recorder()]),
    (ValueError, r"channel_indices\[1\] is 2, but audio_data has the channels 0 to 1 .shape \(4, 2\)", FLOATS, [0, 2], [Recorder()] * 2),
    (ValueError, r"channel_indices\[0\] is -1", FLOATS, [-1], [Recorder()]),
    (ValueError, r"channel_indices\[0\] is 1180591620717411303424", FLOATS, [2**70], [Recorder()]),
    (TypeError, r"channel_indices\[0\] must be an integer, found float", FLOATS, [0.0], [Recorder()]),
    (TypeError, r"channel_indices\[0\] must be an integer, found bool", FLOATS, [True, False], [Recorder()] * 2),
    (TypeError, "channel_indices must be a list or another sequence of channel numbers, found int", FLOATS, 0, [Recorder()]),
    (TypeError, "channel_indices must be .* found set", FLOATS, {0}, [Recorder()]),
    (TypeError, "channel_indices must be .* found str", FLOATS, "0", [Recorder()]),
    (TypeError, "file_objects must be .* found BytesIO", FLOATS, [0], io.BytesIO()),
    (ValueError, "found 2 channel_indices and 1 file_objects", FLOATS, [0, 1], [Recorder()]),
    (ValueError, "found 1 channel_indices and 2 file_objects", FLOATS, [0], [Recorder(), Recorder()]),
    (TypeError, r"file_objects\[1\] is int, which has no method write", FLOATS, [0, 1], [Recorder(), 3]),
    (TypeError, r"file_objects\[1\] is str, which has no method write", FLOATS, [0, 1], [Recorder(), "out.wav"]),
    (TypeError, r"file_objects\[1\] is StringIO, a text file", FLOATS, [0, 1], [Recorder(), io.StringIO()]),
    (TypeError, r"file_objects\[1\] is TextIOWrapper, a text file", FLOATS, [0, 1], [Recorder(), io.TextIOWrapper(io.BytesIO())]),
    (TypeError, r"file_objects\[1\] is StreamReaderWriter, a text", FLOATS, [0, 1], [Recorder(), codecs.open(os.devnull, "w", "utf8")]),
    (ValueError, r"file_objects\[1\] is closed", FLOATS, [0, 1], [Recorder(), closed_file()]),
    (ValueError, r"file_objects\[1\] is closed", FLOATS, [0, 1], [Recorder(), closed_buffered()]),
    (io.UnsupportedOperation, r"file_objects\[1\] is not open for writing", FLOATS, [0, 1], [Recorder(), open(os.devnull, "rb", buffering=0)]),
    (io.UnsupportedOperation, r"file_objects\[1\] is not open for writing", FLOATS, [0, 1], [Recorder(), open(os.devnull, "rb")]),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("error, text, array, channels, files", BAD_ARGUMENTS, ids=[row[1][:40] for row in BAD_ARGUMENTS])
def test_bad_arguments_are_refused_before_the_first_byte(error: Any, text: str, array: Any, channels: Any, files: Any) -> None:
    with pytest.raises(error, match=text):
        audio_writer.write_multichannel_24bit(array, channels, files)
    if isinstance(files, list):
        assert all(file.data == b"" for file in files if isinstance(file, Recorder))


def test_masked_arrays_are_refused_and_other_subclasses_are_not() -> None:
    with pytest.raises(TypeError, match="without a mask"):
        audio_writer.write_multichannel_24bit(np.ma.masked_array(FLOATS, FLOATS > 0), [0], [Recorder()])
    file = io.BytesIO()
    assert audio_writer.write_multichannel_24bit(FLOATS.view(type("Sub", (np.ndarray,), {})), [0], [file]) == 4
    assert file.getvalue() == bytes(12)


def test_a_file_that_is_there_twice_gets_one_block_after_the_other(tmp_path: Path) -> None:
    array = noise(500_000, 2)
    recorder = Recorder()
    with open(tmp_path / "file", "wb") as file:
        audio_writer.write_multichannel_24bit(array, [0, 1, 1, 0], [file, recorder, file, recorder])
    assert (tmp_path / "file").read_bytes() == expected(array, 0) + expected(array, 1)
    assert recorder.data == expected(array, 1) + expected(array, 0)


def test_integers_are_only_taken_by_the_integers_function() -> None:
    with pytest.raises(TypeError, match="must hold int32.*found float32"):
        audio_writer.write_multichannel_24bit_int32(FLOATS, [0], [Recorder()])
    with pytest.raises(TypeError, match="found int64"):
        audio_writer.write_multichannel_24bit_int32(np.zeros((4, 2), np.int64), [0], [Recorder()])
    with pytest.raises(TypeError, match="found uint32"):
        audio_writer.write_multichannel_24bit_int32(np.zeros((4, 2), np.uint32), [0], [Recorder()])


def test_empty_arrays_and_empty_lists_write_nothing() -> None:
    recorder = Recorder()
    assert audio_writer.write_multichannel_24bit(np.zeros((0, 2), np.float32), [0], [recorder]) == 0
    assert audio_writer.write_multichannel_24bit(FLOATS, [], []) == 4
    assert recorder.data == b""
    with pytest.raises(ValueError, match="has no channels"):
        audio_writer.write_multichannel_24bit(np.zeros((4, 0), np.float32), [0], [recorder])


class Short(io.RawIOBase):
    """Accepts at most some bytes a call, and none after a limit."""

    def __init__(self, most: int, limit: int = 1 << 40) -> None:
        self.most, self.limit, self.data = most, limit, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        taken = bytes(data)[: min(self.most, self.limit - len(self.data))]
        self.data += taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(taken)


@pytest.mark.parametrize("most", [1, 100, 1000])
def test_files_that_accept_a_part_get_the_rest(most: int) -> None:
    array = noise(500, 2)
    files = [Short(most), Short(most + 1)]
    assert audio_writer.write_multichannel_24bit(array, [0, 1], files) == 500
    assert [file.data for file in files] == [expected(array, 0), expected(array, 1)]


def test_a_file_that_fails_says_how_many_frames_each_has() -> None:
    array = noise(500, 9)
    files: list[Any] = [Recorder(), Recorder(), Short(100, limit=400), Recorder()]
    with pytest.raises(audio_writer.WriteError) as caught:
        audio_writer.write_multichannel_24bit(array, [8, 1, 5, 3], files)
    error = caught.value
    assert error.frames_written == [500, 500, 133, 0] == [len(file.data) // 3 for file in files]
    assert (error.failed_file, error.errno) == (2, errno.ENOSPC)
    assert str(error) == (
        f"[Errno {errno.ENOSPC}] No space left on device; file_objects[2] (channel 5) failed; "
        "frames of this call in each file: 500, 500, 133, 0"
    )
    assert isinstance(error.__cause__, OSError) and str(error.__cause__).endswith("No space left on device")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.frames_written, again.failed_file) == (str(error), [500, 500, 133, 0], 2)


def test_long_arrays_are_written_in_chunks_so_that_a_failure_leaves_similar_lengths() -> None:
    array = noise(1_000_000, 2)
    files = [Recorder(), Short(1 << 30, limit=2_500_000)]
    with pytest.raises(audio_writer.WriteError) as caught:
        audio_writer.write_multichannel_24bit(array, [0, 1], files)
    assert caught.value.frames_written == [len(file.data) // 3 for file in files]
    first, second = caught.value.frames_written
    assert second == 2_500_000 // 3 and 0 <= first - second <= 2**18
    assert files[0].data == expected(array, 0)[: first * 3] and files[1].data == expected(array, 1)[:2_500_000]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
@pytest.mark.parametrize("buffering, frames", [(0, 1024), (-1, 1024), (-1, 4000), (-1, 100)])
def test_a_full_disk_is_told_with_its_number(buffering: int, frames: int) -> None:
    good = io.BytesIO()
    file = open("/dev/full", "wb", buffering=buffering)
    with pytest.raises(audio_writer.WriteError) as caught:
        for _ in range(100):
            audio_writer.write_multichannel_24bit(noise(frames, 2), [0, 1], [good, file])
    assert (caught.value.errno, caught.value.failed_file) == (errno.ENOSPC, 1)
    assert caught.value.frames_written == [frames, 0]
    # What the file's own buffer still holds fails again.
    with contextlib.suppress(OSError):
        file.close()


@pytest.mark.skipif(not hasattr(os, "set_blocking"), reason="needs pipes that do not wait")
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_full_pipe_that_does_not_wait_counts_what_it_took(buffering: int) -> None:
    out, into = os.pipe()
    os.set_blocking(into, False)
    os.set_blocking(out, False)
    file = open(into, "wb", buffering=buffering)
    with pytest.raises(audio_writer.WriteError) as caught:
        audio_writer.write_multichannel_24bit(noise(100_000, 1), [0], [file])
    assert caught.value.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    assert isinstance(caught.value.__cause__, BlockingIOError)
    taken = 0
    while data := (os.read(out, 1 << 16) if taken < caught.value.frames_written[0] * 3 else b""):
        taken += len(data)
    assert taken // 3 == caught.value.frames_written[0] > 1000
    os.close(out)
    with contextlib.suppress(OSError):
        file.close()


def test_objects_that_accept_nothing_are_an_error_and_no_endless_loop() -> None:
    class Nothing:
        def write(self, data: bytes) -> int:
            return 0

    class NotNow(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> None:
            return None

    with pytest.raises(audio_writer.WriteError, match="accepted 0 of 12 bytes"):
        audio_writer.write_multichannel_24bit(FLOATS, [0], [Nothing()])
    with pytest.raises(audio_writer.WriteError, match="accepts nothing now"):
        audio_writer.write_multichannel_24bit(FLOATS, [0], [NotNow()])


@pytest.mark.parametrize("result", [None, True, "text", 3.5, -1, 10**6, 10**30])
def test_objects_outside_of_io_may_return_what_they_like(result: Any) -> None:
    class Odd(Recorder):
        def write(self, data: bytes) -> Any:
            self.data += data
            return result

    file = Odd()
    assert audio_writer.write_multichannel_24bit(noise(100, 1), [0], [file]) == 100
    assert file.data == expected(noise(100, 1), 0)


def test_exceptions_of_an_object_become_the_cause() -> None:
    class Broken:
        def write(self, data: bytes) -> int:
            raise RuntimeError("broken")

    with pytest.raises(audio_writer.WriteError, match=r"RuntimeError: broken; file_objects\[0\]") as caught:
        audio_writer.write_multichannel_24bit(FLOATS, [1], [Broken()])
    assert isinstance(caught.value.__cause__, RuntimeError) and caught.value.errno == errno.EIO


def test_a_keyboard_interrupt_passes_with_what_each_file_has() -> None:
    class Interrupted:
        def write(self, data: bytes) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        audio_writer.write_multichannel_24bit(FLOATS, [0, 1], [io.BytesIO(), Interrupted()])
    assert caught.value.frames_written == [4, 0]  # type: ignore[attr-defined]
    assert caught.value.__notes__ == ["frames of this call in each file: 4, 0"]


class Stop(Exception):
    """What the handler of a signal raises."""


class Alarm:
    """An object to write to that sends signals from its first block on; the handler raises `Stop` once."""

    def __init__(self) -> None:
        self.is_armed = self.raised = False

    def __enter__(self) -> "Alarm":
        self.before = signal.signal(signal.SIGALRM, self.handle)
        return self

    def handle(self, *_: Any) -> None:
        if not self.raised:
            self.raised = True
            raise Stop

    def write(self, data: bytes) -> None:
        if not self.is_armed:
            self.is_armed = True
            # Again and again: a signal just before a call to the operating system does not end that call.
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)

    def __exit__(self, *_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_a_signal_stops_a_long_write_and_says_how_far_it_came() -> None:
    endless = np.broadcast_to(np.float32(0.5), (1 << 40, 4))
    with Alarm() as alarm, contextlib.ExitStack() as stack, pytest.raises(Stop) as caught:
        files = [stack.enter_context(open(os.devnull, "wb")) for _ in range(4)]
        alarm.write(b"")
        audio_writer.write_multichannel_24bit(endless, [0, 1, 2, 3], files)
    assert 0 <= caught.value.frames_written[0] < 1 << 40  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_a_signal_stops_a_write_to_a_pipe_that_nobody_reads() -> None:
    out, into = os.pipe()
    file = open(into, "wb", buffering=0)
    with Alarm() as alarm, pytest.raises(Stop) as caught:
        audio_writer.write_multichannel_24bit(noise(100_000, 2), [0, 1], [alarm, file])
    file.close()
    os.close(out)
    first, second = caught.value.frames_written  # type: ignore[attr-defined]
    assert first == 100_000 and 0 < second < 100_000


def test_more_memory_than_there_is_is_a_memory_error() -> None:
    wide = np.broadcast_to(np.float32(0), (256, 1))
    with pytest.raises(MemoryError):
        channels = np.broadcast_to(np.int64(0), (1 << 20,))
        # 2^20 columns of 256 frames are 805 MB: the limit makes this fail on every machine.
        resource = pytest.importorskip("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        files = [Recorder() for _ in channels]
        resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), hard))
        try:
            audio_writer.write_multichannel_24bit(wide, channels, files)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_one_buffer_serves_all_channels_and_calls(tmp_path: Path) -> None:
    array = noise(1024, 32)
    files = [open(tmp_path / str(channel), "wb") for channel in range(32)]
    channels = list(range(32))
    audio_writer.write_multichannel_24bit(array, channels, files)
    before = _native.writer_allocations()
    tracemalloc.start()
    for _ in range(200):
        audio_writer.write_multichannel_24bit(array, channels, files)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert _native.writer_allocations() == before
    # The tuple of files and small numbers: far less than the 98304 bytes of a call's samples.
    assert peak < 4096
    for file in files:
        file.close()


def test_an_object_may_keep_what_it_gets() -> None:
    class Keeper:
        def __init__(self) -> None:
            self.blocks: list[bytes] = []

        def write(self, data: bytes) -> None:
            self.blocks.append(data)

    keeper = Keeper()
    arrays = [noise(100, 1, seed=seed) for seed in range(20)]
    for array in arrays:
        audio_writer.write_multichannel_24bit(array, [0], [keeper])
    assert keeper.blocks == [expected(array, 0) for array in arrays]


def test_an_object_may_call_the_writer_itself() -> None:
    inner = io.BytesIO()
    other = noise(50, 1, seed=9)

    class Nested(Recorder):
        def write(self, data: bytes) -> int:
            audio_writer.write_multichannel_24bit(other, [0], [inner])
            return super().write(data)

    array = noise(100, 2)
    files = [Nested(), Nested()]
    audio_writer.write_multichannel_24bit(array, [0, 1], files)
    assert [file.data for file in files] == [expected(array, 0), expected(array, 1)]
    assert inner.getvalue() == expected(other, 0) * 2


def test_an_object_may_change_the_lists_while_they_are_used() -> None:
    files: list[Any] = []

    class Clearing(Recorder):
        def write(self, data: bytes) -> int:
            files.clear()
            return super().write(data)

    first, second = Clearing(), Recorder()
    files += [first, second]
    array = noise(10, 2)
    assert audio_writer.write_multichannel_24bit(array, [0, 1], files) == 10
    assert second.data == expected(array, 1)


def test_a_file_that_another_closes_meanwhile_is_an_error() -> None:
    target = io.BytesIO()

    class Closing(Recorder):
        def write(self, data: bytes) -> int:
            target.close()
            return super().write(data)

    with pytest.raises(audio_writer.WriteError, match="closed file") as caught:
        audio_writer.write_multichannel_24bit(FLOATS, [0, 1], [Closing(), target])
    assert caught.value.frames_written == [4, 0]


def test_threads_may_write_at_the_same_time(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            array = noise(700 + number * 100, 16, seed=number)
            files: list[Any] = [open(tmp_path / f"{number} {channel}", "wb") for channel in range(8)]
            files += [io.BytesIO() for _ in range(8)]
            for _ in range(30):
                audio_writer.write_multichannel_24bit(array, range(16), files)
            written = [file.getvalue() for file in files[8:]]
            for file in files:
                file.close()
            written = [(tmp_path / f"{number} {channel}").read_bytes() for channel in range(8)] + written
            assert written == [expected(array, channel) * 30 for channel in range(16)]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_other_threads_run_while_samples_are_converted() -> None:
    # 256 frames of very many channels are one chunk: 16 million samples, converted in one go.
    array = np.broadcast_to(noise(256, 1), (256, 1))
    channels = np.zeros(1 << 16, np.int64)
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0)

    class First:
        ticks = 0

        def write(self, data: bytes) -> None:
            self.ticks = self.ticks or ticks

    sinks = [io.BytesIO() for _ in channels[1:]]
    thread = threading.Thread(target=tick)
    interval = sys.getswitchinterval()
    # Nobody has to give way within the test: only a released interpreter lets the other thread run.
    sys.setswitchinterval(100.0)
    try:
        thread.start()
        # A busy machine may not let the other thread run in time: then once more.
        for _ in range(20):
            first = First()
            files = [first, *sinks]
            before = ticks
            audio_writer.write_multichannel_24bit(array, channels, files)
            if first.ticks > before:
                break
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert first.ticks > before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_can_write(tmp_path: Path) -> None:
    array = noise(300, 2)
    audio_writer.write_multichannel_24bit(array, [0], [io.BytesIO()])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(tmp_path / "file", "wb") as file:
                audio_writer.write_multichannel_24bit(array, [1], [file])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "file").read_bytes() == expected(array, 1)


def test_random_calls_agree_with_numpy() -> None:
    rng = random.Random(7)
    for seed in range(400):
        frames, channels = rng.choice([0, 1, 5, 64, 300, 1500]), rng.randrange(1, 20)
        dtype = rng.choice(["f4", "f8", "i4", ">f4", ">i4"])
        array = noise(frames, channels, seed=seed, dtype=dtype)
        if rng.random() < 0.5:
            array = np.asfortranarray(array)
        steps = rng.choice([1, 1, 2, -1, -3]), rng.choice([1, 1, 2, -1])
        array = array[:: steps[0], :: steps[1]]
        chosen = [rng.randrange(array.shape[1]) for _ in range(rng.randrange(12))]
        if rng.random() < 0.5:
            chosen = list(range(array.shape[1]))
        assert write(array, chosen) == [expected(array, channel) for channel in chosen]


def test_the_instruction_set_is_told() -> None:
    assert audio_writer.backend in ("avx2", "neon", "portable")
    try:
        has_avx2 = " avx2 " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return
    assert (audio_writer.backend == "avx2") == has_avx2


def test_the_conversion_alone_gives_the_same_bytes() -> None:
    array = noise(300, 12)
    out = bytearray(3 * 300 * 12 + 5)
    assert _native.convert_multichannel_24bit(array, list(range(12)), out) == 300
    assert bytes(out) == b"".join(expected(array, channel) for channel in range(12)) + bytes(5)
    with pytest.raises(ValueError, match="at least 10800 bytes, found 10"):
        _native.convert_multichannel_24bit(array, list(range(12)), bytearray(10))
