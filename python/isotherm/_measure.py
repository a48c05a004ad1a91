"""Figures of sounds and effects: the functions behind `measures.py`, which makes one for each row of the core's registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from . import _native as core
from ._arrays import MAX_CHANNELS, MOST_BLOCK, Sound, check_rate, count, found, pair, planar, whole_rate
from ._effect import Effect

#: Row of the registry: id, name, heading, unit, definition, better, kind, needs.
Row = dict[str, Any]

ROWS: list[Row] = core.measures()
#: Ends of ids that name the unit and may be left out where no other id is in the way: `nmr` for `nmr_db`.
_UNIT_ENDS = ("_db", "_dbfs", "_dbtp", "_frames")
#: Names beside the ids and the ids without unit.
_OTHER_NAMES = {"mrstft": "mr_stft"}
#: Rows whose figure is the same at any sample rate, so that arrays need none.
ANY_RATE = frozenset(
    {
        *("esr", "esr_pre_emphasis", "esr_pre_emphasis_db", "null_db", "mr_stft", "mr_stft_48k"),
        *("peak_dbfs", "rms_dbfs", "dc"),
    }
)
#: The rate at which effects are measured if none is given, in Hz.
EFFECT_RATE = 48_000

_TONE_HZ, _TONE_AMPLITUDE = core.default_tone()


@dataclass(frozen=True)
class Alignment:
    """The way from a reference to another sound of the same material, and that sound as the reference would have it."""

    #: Frames by which the test is late; negative if it is early.
    delay_frames: float
    #: Standard error of the delay in frames.
    delay_uncertainty_frames: float
    #: Gain of the test over the reference in dB, by loudness.
    gain_db: float
    #: True if the polarity is inverted.
    inverted: bool
    #: DC offset that the test has more; 1 is full scale.
    dc: float
    #: Magnitude of the correlation coefficient after alignment, 0 to 1.
    correlation: float
    #: True if another delay explains the test nearly as well.
    ambiguous: bool
    #: Second highest lobe of the correlation as a share of the highest.
    second_lobe: float
    #: Millionths by which the test runs slower; None if the sounds are too short to tell, or one clock made both.
    drift_ppm: float | None
    #: Standard error of the drift.
    drift_uncertainty_ppm: float | None
    #: True if the drift is certain, and corrected in `audio`.
    is_drifting: bool
    #: First and last frame (excluded) of the reference at whose time the test has sound.
    overlap: tuple[int, int]
    #: The test, moved, turned over and levelled as the reference, as long as it; in the test's form.
    audio: Any

    @property
    def polarity(self) -> int:
        """-1 if the polarity is inverted, else 1."""
        return -1 if self.inverted else 1


def align(
    a: Sound, b: Sound, sample_rate: float | None = None, *, synchronous: bool = False, frames_first: bool = False
) -> Alignment:
    """Aligns `b` with the reference `a`: delay, gain, polarity, DC and drift, and `b` with all of them taken away (`.audio`).

    The sounds may have different lengths. `synchronous`: one clock made both, so no drift is looked for; true of effects that
    processed one sound.

    Raises ValueError if the sounds have other rates or channels, are silent or too short, or have nothing in common.
    """
    left, right, rate = pair(a, b, sample_rate, frames_first, True)
    facts, aligned = core.align_sounds(left.samples, right.samples, rate, synchronous)
    return Alignment(audio=right.back(aligned), **facts)


def characteristics(effect: Effect, sample_rate: float = EFFECT_RATE) -> dict[str, Any]:
    """All that is told of one effect alone: small-signal response, latency, harmonics over frequency and level, intermodulation,
    transfer curve, aliasing, idle output. A dict as under `alone` in report.json; it takes about a second.

    `sample_rate`: 8000 to 768000 Hz.
    """
    return cast(dict[str, Any], json.loads(core.characteristics(_one_effect(effect)._native, whole_rate(check_rate(sample_rate)))))


def measures() -> list[dict[str, Any]]:
    """Every measure as a row of a table: id, name, unit, definition, the better of two figures, what it needs, and the names of
    its functions. `pandas.DataFrame(isotherm.measures())` shows it.
    """
    return [{**row, "functions": names_of(row)} for row in ROWS]


def names_of(row: Row) -> list[str]:
    """The names of a row's function: its id, without its unit, and another one."""
    ids = {one["id"] for one in ROWS}
    names = [row["id"]]
    for end in _UNIT_ENDS:
        short = row["id"].removesuffix(end)
        if short != row["id"] and short not in ids:
            names.append(short)
    names += [name for name, id in _OTHER_NAMES.items() if id == row["id"]]
    return names


def _one_effect(effect: object) -> Effect:
    if not isinstance(effect, Effect):
        raise TypeError(f"found {found(effect)}; expected one effect, because a measure of an effect takes no chain and no sound")
    return effect


def _comparison(row: Row) -> Callable[..., float]:
    def measure(a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
        left, right, rate = pair(a, b, sample_rate, frames_first, row["id"] not in ANY_RATE)
        return core.comparison_figure(row["id"], left.samples, right.samples, rate)

    return measure


def _sound(row: Row) -> Callable[..., float]:
    def measure(audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> float:
        sound = planar(audio, sample_rate, frames_first=frames_first, rate_needed=row["id"] not in ANY_RATE)
        rate = whole_rate(sound.sample_rate) if sound.sample_rate == sound.sample_rate else EFFECT_RATE
        return core.sound_figure(row["id"], sound.samples, rate)

    return measure


def _tone(row: Row) -> Callable[..., float]:
    def measure(
        effect: Effect, sample_rate: float = EFFECT_RATE, *, hz: float = _TONE_HZ, amplitude: float = _TONE_AMPLITUDE
    ) -> float:
        rate = whole_rate(check_rate(sample_rate))
        return core.effect_figure(row["id"], _one_effect(effect)._native, rate, hz, amplitude)

    return measure


def _effect(row: Row) -> Callable[..., float]:
    def measure(effect: Effect, sample_rate: float = EFFECT_RATE) -> float:
        rate = whole_rate(check_rate(sample_rate))
        return core.effect_figure(row["id"], _one_effect(effect)._native, rate, _TONE_HZ, _TONE_AMPLITUDE)

    return measure


def _cost(row: Row) -> Callable[..., float]:
    def measure(
        effect: Effect, sample_rate: float = EFFECT_RATE, *, channels: int = 1, block: int = 64, seconds: float = 1.0
    ) -> float:
        frames, lanes = count(block, "block", 1, MOST_BLOCK), count(channels, "channels", 1, MAX_CHANNELS)
        effects, rate = [_one_effect(effect)._native], check_rate(sample_rate)
        rows = core.bench(effects, rate, lanes, [(frames, frames)], float(seconds), _MOST_BLOCKS, 0, None)
        return cast(float, rows[0][row["id"]])

    return measure


#: Blocks of a measurement of cost: enough for a 99th percentile.
_MOST_BLOCKS = 10_000

_MAKERS = {
    "comparison": _comparison,
    "sound": _sound,
    "tone": _tone,
    "impulse": _effect,
    "effect": _effect,
    "cost": _cost,
}

_TAKES = {
    "comparison": """`a` is the reference, `b` the test: AudioSamples, or arrays (frames,) or (channels, frames) with `sample_rate` in Hz, of
    one shape and in step (`align` brings them in step).""",
    "sound": "`audio` is AudioSamples, or an array (frames,) or (channels, frames) with `sample_rate` in Hz.",
    "tone": "`effect` is measured with a sine near `hz` of this `amplitude` (1 is full scale) at `sample_rate` in Hz.",
    "impulse": "`effect` is measured with an impulse of full scale at `sample_rate` in Hz.",
    "effect": "`effect` is measured at `sample_rate` in Hz, 8000 to 768000.",
    "cost": "`effect` is timed here and now for at most `seconds`, with blocks of `block` frames of noise.",
}


def docstring(row: Row) -> str:
    """The docstring of a row's function."""
    unit = {"": "a number"}.get(row["unit"], f"in {row['unit']}")
    better = {"lower": "; less is better", "higher": "; more is better", "neither": ""}[row["better"]]
    free = " An array needs no rate here." if row["id"] in ANY_RATE else ""
    return f"{row['name']}, {unit}{better}. {row['definition']}\n\n    {_TAKES[row['kind']]}{free} NaN if there is no figure.\n    "


def make_functions() -> dict[str, Callable[..., float]]:
    """The function of each row under each of its names."""
    functions: dict[str, Callable[..., float]] = {}
    for row in ROWS:
        function = _MAKERS[row["kind"]](row)
        function.__name__ = function.__qualname__ = row["id"]
        function.__module__ = "isotherm.measures"
        function.__doc__ = docstring(row)
        functions.update(dict.fromkeys(names_of(row), function))
    return functions
