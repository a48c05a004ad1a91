"""Comparisons of two sides on sounds, and measurements of time: what `isotherm compare` and `isotherm bench` do."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import numpy as np

from . import _native as core
from ._arrays import MAX_CHANNELS, MOST_BLOCK, check_rate, count, found, planar, whole_rate
from ._effect import Chain, Effect
from ._native import SampleBuffer
from ._onnx import prepare

#: A side: an effect, a text as on the command line ('saturator drive=24', 'dry', 'file:wet.wav'), a path, AudioSamples, or
#: (array, sample_rate) of a sound that was processed elsewhere.
Side: TypeAlias = "Effect | str | os.PathLike[str] | SampleBuffer | tuple[Any, float]"
#: A sound to compare on: a path of a WAV file or of a folder of them, AudioSamples, or (array, sample_rate).
Sound: TypeAlias = "str | os.PathLike[str] | SampleBuffer | tuple[Any, float]"
#: Limits: 'esr=1e-4', 'lufs=-16..-14', or {'esr': 1e-4, 'lufs': (-16, -14)}.
Limits: TypeAlias = "Iterable[str] | Mapping[str, float | tuple[float, float]]"
#: True and False show and hide a bar; None shows one if `tqdm` is there and somebody can see it; a function gets the share done.
Progress: TypeAlias = "bool | None | Callable[[float], object]"


#: Most blocks of a figure, each of which needs 16 bytes, and most threads of a load.
_MOST_BLOCKS = 10_000_000
_MOST_THREADS = 1024


class Comparison(dict[str, Any]):
    """A finished comparison: the dict has exactly what report.json has, see docs/report.schema.json."""

    _native: core.FinishedComparison

    def __init__(self, native: core.FinishedComparison) -> None:
        super().__init__(json.loads(native.json()))
        self._native = native

    def report(self, folder: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the report as `isotherm compare --out` does: index.html, report.json, measures.csv and pictures.

        The folder appears when it is complete. With `force` it replaces an earlier report, and nothing else.

        Raises FileExistsError if something is there, OSError if it cannot be written.
        """
        self._native.write(os.fspath(folder), force)

    def csv(self) -> str:
        """measures.csv as text: sound, side, measure, unit, figure."""
        return self._native.csv()

    def __str__(self) -> str:
        """The verdict in words, and the ratio of the times if they were measured."""
        cost = self._native.cost_sentence()
        return self._native.verdict_text() + (f" {cost}" if cost else "")

    def __repr__(self) -> str:
        return f"<Comparison on {len(self['sounds'])} sounds: {self['verdict']['title']}>"

    def __reduce__(self) -> Any:
        # Elsewhere it is the plain dict: the sounds of its page are not in it.
        return dict, (dict(self),)


def compare(
    a: Side,
    b: Side,
    sounds: Sound | Iterable[Sound] | None = None,
    *,
    cost_seconds: float = 0,
    limits: Limits = (),
    frames_first: bool = False,
    progress: Progress = None,
) -> Comparison:
    """Compares `b` with the reference `a` on sounds: the same figures, verdict and report as `isotherm compare`.

    Without `sounds` the built-in material is used, which takes about a minute. B is aligned with A first. A side that is a sound
    needs the one sound that it was made from. `cost_seconds`: time for measuring time; 0 measures none. Whether limits are kept
    is under `limits` in the result.

    Raises ValueError if a text is no side or limit, or no sound can be compared; OSError if a file is missing.
    """
    prepare()
    sources: list[Any] = []
    for index, sound in enumerate(_several(sounds)):
        if isinstance(sound, (str, os.PathLike)):
            sources.append(os.fspath(sound))
        else:
            sources.append(_given(sound, "sound" if index == 0 else f"sound {index + 1}", frames_first))
    with _telling(progress, "compare") as tell:
        native = core.compare_sides(
            _side(a, "A", frames_first), _side(b, "B", frames_first), sources, float(cost_seconds), _texts(limits), tell
        )
    return Comparison(native)


def bench(
    effects: Effect | str | Iterable[Effect | str],
    *,
    sample_rate: float = 48_000,
    channels: int | Sequence[int] = 1,
    blocks: int | Sequence[int | tuple[int, int]] = (16, 64, 256, 1024),
    seconds: float = 20,
    max_blocks: int = 10_000,
    load: int = 0,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Measures time and memory of effects, by turns in one run so that their ratios hold: a list of flat rows for
    `pandas.DataFrame`, one for each effect, number of channels and size of blocks.

    A row has `effect` (as on the command line), `algorithm`, `sample_rate`, `channels`, `block` (frames; a range is a text),
    `blocks` (how many were timed), `latency_frames`, `weights_bytes`, and a figure for each measure of cost, NaN where there were
    too few blocks for it (see `isotherm.measures()`).

    `blocks`: sizes in frames; a pair is a random size for each block. `seconds`: time for each number of channels, except
    that 100 blocks of each effect and size are always timed. `max_blocks`: blocks of each figure, at most. `load`: threads that keep other cores busy meanwhile.
    """
    if isinstance(effects, Chain):
        raise TypeError("found a chain; expected effects: each is timed alone, and the times of a chain's effects add up")
    listed = [effects] if isinstance(effects, (Effect, str)) else list(effects)
    made: list[Effect] = []
    for index, effect in enumerate(listed):
        if isinstance(effect, str):
            made.append(Effect.parse(effect))
        elif isinstance(effect, Effect):
            made.append(effect)
        else:
            raise TypeError(f"effect {index}: found {found(effect)}; expected an effect or a text such as 'saturator drive=24'")
    if not made:
        raise ValueError("no effects; expected one or more")
    counts = [channels] if isinstance(channels, (int, np.integer)) else list(channels)
    counts = [count(lanes, "channels", 1, MAX_CHANNELS) for lanes in counts]
    sizes = [blocks] if isinstance(blocks, (int, np.integer)) else list(blocks)
    pairs = [size if isinstance(size, tuple) else (size, size) for size in sizes]
    pairs = [(count(least, "blocks", 1, MOST_BLOCK), count(most, "blocks", 1, MOST_BLOCK)) for least, most in pairs]
    most_blocks = count(max_blocks, "max_blocks", 1, _MOST_BLOCKS)
    threads, rate = count(load, "load", 0, _MOST_THREADS), check_rate(sample_rate)
    if not pairs or not counts:
        raise ValueError("no sizes of blocks or numbers of channels; expected one or more")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds: found {seconds}; expected 0 or more")
    rows: list[dict[str, Any]] = []
    with _telling(progress, "bench") as tell:
        natives = [effect._native for effect in made]
        for run, lanes in enumerate(counts):
            part = _part_of(tell, run, len(counts))
            for row in core.bench(natives, rate, lanes, pairs, float(seconds), most_blocks, threads, part):
                effect = made[row["effect"]]
                rows.append({"effect": str(effect), "algorithm": effect.algorithm, **{k: v for k, v in row.items() if k != "effect"}})
    return rows


def _several(sounds: Sound | Iterable[Sound] | None) -> list[Any]:
    """The sounds as a list; one alone is a list of one."""
    if sounds is None:
        return []
    if isinstance(sounds, (str, os.PathLike, SampleBuffer)) or _is_pair(sounds):
        return [sounds]
    if isinstance(sounds, np.ndarray):
        raise TypeError("sounds: an array has no sample rate; expected (array, sample_rate), or AudioSamples")
    listed = list(cast("Iterable[Sound]", sounds))
    if not listed:
        raise ValueError("sounds: found an empty list; expected one or more, or None for the built-in material")
    return listed


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], np.ndarray) and not isinstance(value[1], np.ndarray)


def _given(sound: Any, name: str, frames_first: bool) -> tuple[str, Any, int]:
    """A sound in memory as the native function takes it."""
    if _is_pair(sound):
        array, rate = sound
        made = planar(array, rate, name=name, frames_first=frames_first and array.ndim == 2)
    elif isinstance(sound, SampleBuffer):
        made = planar(sound, name=name)
    else:
        raise TypeError(f"{name}: found {found(sound)}; expected a path, AudioSamples or (array, sample_rate)")
    return name, made.samples, whole_rate(made.sample_rate)


def _side(side: Any, name: str, frames_first: bool) -> Any:
    """A side as the native function takes it."""
    if isinstance(side, Effect):
        return side._native
    if isinstance(side, Chain):
        raise TypeError(f"{name}: found a chain; expected one effect, or the sound that the chain gives: chain(audio)")
    if isinstance(side, (str, os.PathLike)):
        return side
    return _given(side, name, frames_first)


def _texts(limits: Limits) -> list[str]:
    """The limits as on the command line."""
    if isinstance(limits, str):
        return [limits]
    if not isinstance(limits, Iterable):
        raise TypeError(f"limits: found {found(limits)}; expected texts such as 'esr=1e-4', or a dict")
    if isinstance(limits, Mapping):
        return [f"{name}={limit[0]}..{limit[1]}" if isinstance(limit, tuple) else f"{name}={limit}" for name, limit in limits.items()]
    listed = list(limits)
    for limit in listed:
        if not isinstance(limit, str):
            raise TypeError(f"limits: found {found(limit)}; expected texts such as 'esr=1e-4', or a dict")
    return listed


def _part_of(tell: Callable[[float], object] | None, run: int, runs: int) -> Callable[[float], object] | None:
    """Tells the share of all runs, of which one tells its own."""
    if tell is None:
        return None
    return lambda share: tell((run + share) / runs)


@contextmanager
def _telling(progress: Progress, name: str) -> Any:
    """The function that gets the share that is done, if it is shown."""
    if callable(progress):
        yield progress
        progress(1.0)
        return
    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    try:
        tqdm = importlib.import_module("tqdm.auto") if progress else None
    except ImportError:
        tqdm = None
    if tqdm is None:
        yield None
        return
    with tqdm.tqdm(total=100, desc=name, unit="%", bar_format="{desc}: {bar} {n:.0f} %, {remaining} left") as bar:

        def tell(share: float) -> None:
            bar.update(max(0.0, 100 * share - bar.n))

        yield tell
        tell(1.0)
