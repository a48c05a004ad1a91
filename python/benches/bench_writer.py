"""The multichannel writer against NumPy with `wave`, and against another writer with the predecessor's functions.

`python bench_writer.py [--rival FOLDER] [--folder FOLDER]`. The rival is a module `predecessor` in FOLDER with
`write_multichannel_24bit(audio_data, channel_indices, file_objects)` for raw files and `convert_only(audio_data, channel_indices)`. Files
are written to a temporary folder inside of `--folder`: a disk and a RAM disk give different figures.

All are timed by turns, in processor time, so that ratios hold on a machine that has other work to do. The table gives medians in
microseconds for a block of all channels; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import audio_writer
import numpy as np
from isotherm import _native
from numpy.typing import NDArray

#: Rounds of all writers by turns, and the processor time of each writer in a round.
ROUNDS = 31
SECONDS = 0.02

Block = NDArray[np.float32]


def numpy_bytes(block: Block) -> NDArray[np.uint8]:
    """The codes' bytes, (channels, frames, 3), by the rule of the writer."""
    codes = np.clip(np.rint(block.T * np.float32(2**23)), -(2.0**23), 2.0**23 - 1).astype("<i4", order="C")
    return codes.view(np.uint8).reshape(*codes.shape, 4)[:, :, :3]


def numpy_wave(block: Block, channels: list[int], files: list[wave.Wave_write]) -> None:
    samples = numpy_bytes(block)
    for channel, file in zip(channels, files, strict=True):
        file.writeframesraw(samples[channel].tobytes())


@contextlib.contextmanager
def raw_files(folder: Path, count: int) -> Iterator[list[BinaryIO]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open(folder / f"{index}.raw", "wb")) for index in range(count)]


@contextlib.contextmanager
def wave_files(folder: Path, count: int) -> Iterator[list[wave.Wave_write]]:
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(wave.open(str(folder / f"{index}.wav"), "wb")) for index in range(count)]
        for file in files:
            file.setparams((1, 3, 48_000, 0, "NONE", ""))
        yield files


@contextlib.contextmanager
def no_files(folder: Path, count: int) -> Iterator[list[Any]]:
    yield []


def by_turns(folder: Path, count: int, writers: dict[str, tuple[Any, Callable[[list[Any]], object]]]) -> dict[str, list[float]]:
    """Microseconds of a call of each writer, round by round."""
    times: dict[str, list[float]] = {name: [] for name in writers}
    calls = dict.fromkeys(writers, 1)
    for turn in range(-2, ROUNDS):
        for name, (files, call) in writers.items():
            with files(folder, count) as opened:
                # The first blocks find the files and caches cold.
                call(opened)
                start = time.process_time()
                for _ in range(calls[name]):
                    call(opened)
                took = (time.process_time() - start) / calls[name]
            if turn < 0:
                calls[name] = max(round(SECONDS / max(took, 1e-7)), 1)
            else:
                times[name].append(took * 1e6)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival", help="folder of the module `predecessor`")
    parser.add_argument("--folder", help="folder for the files")
    arguments = parser.parse_args()
    rival: Any = None
    if arguments.rival:
        sys.path.insert(0, arguments.rival)
        rival = importlib.import_module("predecessor")
    print(f"audio_writer.backend: {audio_writer.backend}\n")
    print("| channels x frames | work | microseconds a block: Isotherm | the other | the other / Isotherm |")
    print("|---|---|---|---|---|")
    for channels in (8, 32):
        for frames in (256, 1024):
            block = (np.random.default_rng(1).standard_normal((frames, channels)) * 0.2).astype(np.float32)
            indices = list(range(channels))
            out = bytearray(3 * channels * frames)
            writers: dict[str, tuple[Any, Callable[[list[Any]], object]]] = {
                "conversion": (no_files, lambda _: _native.convert_multichannel_24bit(block, indices, out)),
                "raw files": (raw_files, lambda files: audio_writer.write_multichannel_24bit(block, indices, files)),
                "wave files": (wave_files, lambda files: audio_writer.write_multichannel_24bit(block, indices, files)),
                "conversion, NumPy": (no_files, lambda _: numpy_bytes(block).tobytes()),
                "wave files, NumPy": (wave_files, lambda files: numpy_wave(block, indices, files)),
            }
            pairs = [
                ("conversion", "conversion, NumPy"),
                ("wave files", "wave files, NumPy"),
                ("raw files", "wave files, NumPy"),
            ]
            if rival is not None:
                writers["conversion, predecessor"] = (no_files, lambda _: rival.convert_only(block, indices))
                writers["raw files, predecessor"] = (
                    raw_files,
                    lambda files: rival.write_multichannel_24bit(block, indices, files),
                )
                pairs += [("conversion", "conversion, predecessor"), ("raw files", "raw files, predecessor")]
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                times = by_turns(Path(folder), channels, writers)
            for ours, other in pairs:
                ratio = statistics.median(b / a for a, b in zip(times[ours], times[other], strict=True))
                a, b = statistics.median(times[ours]), statistics.median(times[other])
                print(f"| {channels} x {frames} | {ours} / {other} | {a:.1f} | {b:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
