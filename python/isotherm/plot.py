"""Pictures of sounds and effects with matplotlib: `pip install isotherm[plot]`.

Each function draws on the axes `ax`, or on new ones, and returns them, so that another call with the same `ax` draws beside the first.
matplotlib's `pyplot.show()` and `pyplot.savefig("a.png")` do the rest. More keyword arguments go to `Axes.plot`: `linestyle="--"`, `color="C3"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._arrays import Planar, Sound, planar
from ._effect import Chain, Effect
from .measures import characteristics

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

__all__ = ["live_spectrum", "response", "spectrum", "transfer_curve", "waveform"]

#: An effect, or what `characteristics` has told of it, which saves measuring it once more.
Measured: TypeAlias = "Effect | Mapping[str, Any]"

#: Points of a waveform: a longer sound is drawn as the lowest and highest sample of each of so many spans.
_POINTS = 4000
#: Lines, unless the caller wishes others.
_THIN: dict[str, Any] = {"linewidth": 0.8}
#: Longest window of a spectrum in frames; at 48 kHz its lines are 5.9 Hz apart.
_WINDOW = 8192
#: Frames of a window of the live spectrum, and windows a second.
_LIVE_WINDOW = 4096
_LIVE_RATE = 25.0


def _axes(ax: Axes | None) -> Axes:
    """These axes, or new ones."""
    if ax is not None:
        if not hasattr(ax, "plot"):
            raise TypeError(f"ax: found {type(ax).__name__}; expected matplotlib's axes")
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install isotherm[plot]") from error
    return plt.subplots(figsize=(8.0, 4.0), layout="constrained")[1]


def _sound(audio: Sound, sample_rate: float | None, frames_first: bool) -> Planar:
    """A sound with at least one frame."""
    sound = planar(audio, sample_rate, frames_first=frames_first)
    if sound.samples.shape[1] == 0:
        raise ValueError(f"audio: found shape {sound.samples.shape}, no frames; expected at least one")
    return sound


def _finite(sound: Planar) -> Planar:
    """The sound, if it has a spectrum."""
    if not np.isfinite(sound.samples).all():
        raise ValueError("audio: found NaN or infinite samples; expected numbers, of which alone there is a spectrum")
    return sound


def _labels(label: str | None, channels: int) -> Iterator[str | None]:
    """A label for each channel."""
    for channel in range(channels):
        name = f"channel {channel + 1}" if channels > 1 else None
        yield " ".join(part for part in (label, name) if part) or None


def _finish(ax: Axes) -> Axes:
    ax.grid(True, which="both", alpha=0.3)
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
    return ax


def _frequency_axis(ax: Axes, sample_rate: float) -> None:
    ax.set_xscale("log")
    ax.set_xlim(20.0, max(sample_rate / 2.0, 21.0))
    ax.set_xlabel("Frequency [Hz]")


def waveform(
    audio: Sound,
    sample_rate: float | None = None,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    frames_first: bool = False,
    **style: Any,
) -> Axes:
    """Draws the samples over time, a line for each channel. Every peak is drawn, however long the sound is."""
    sound = _sound(audio, sample_rate, frames_first)
    axes = _axes(ax)
    frames = sound.samples.shape[1]
    for samples, name in zip(sound.samples, _labels(label, len(sound.samples)), strict=True):
        if frames <= 2 * _POINTS:
            times, values = np.arange(frames) / sound.sample_rate, samples
        else:
            starts = np.arange(_POINTS) * frames // _POINTS
            values = np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1).reshape(-1)
            times = np.repeat(starts / sound.sample_rate, 2)
        axes.plot(times, values, label=name, **_THIN | style)
    axes.set_xlabel("Time [s]")
    axes.set_ylabel("Amplitude [full scale = 1]")
    return _finish(axes)


def _levels_db(samples: NDArray[np.float32], window: int) -> NDArray[np.float64]:
    """Level of each frequency in dBFS, from the mean power of half-overlapping Hann windows. A sine of amplitude 1 has 0 dBFS."""
    frames = len(samples)
    hann = np.hanning(window + 1)[:-1] if window > 1 else np.ones(1)
    power = np.zeros(window // 2 + 1)
    starts = range(0, max(frames - window, 0) + 1, max(window // 2, 1))
    for start in starts:
        amplitude = np.abs(np.fft.rfft(samples[start : start + window] * hann)) * (2.0 / hann.sum())
        power += amplitude**2 / len(starts)
    with np.errstate(divide="ignore"):
        levels: NDArray[np.float64] = 10.0 * np.log10(power)
    return levels


def spectrum(
    audio: Sound,
    sample_rate: float | None = None,
    *,
    ax: Axes | None = None,
    label: str | None = None,
    floor_db: float = -140.0,
    frames_first: bool = False,
    **style: Any,
) -> Axes:
    """Draws the level of each frequency, a line for each channel: the mean over the sound, in windows of 8192 frames at most.

    A sine of amplitude 1 shows 0 dBFS. `floor_db`: the lower end of the picture.
    """
    sound = _finite(_sound(audio, sample_rate, frames_first))
    axes = _axes(ax)
    window = min(_WINDOW, sound.samples.shape[1])
    frequencies = np.fft.rfftfreq(window, 1.0 / sound.sample_rate)
    for samples, name in zip(sound.samples, _labels(label, len(sound.samples)), strict=True):
        levels = np.maximum(_levels_db(samples, window), floor_db)
        axes.plot(frequencies[1:], levels[1:], label=name, **_THIN | style)
    _frequency_axis(axes, sound.sample_rate)
    axes.set_ylim(bottom=floor_db)
    axes.set_ylabel("Level [dBFS]")
    return _finish(axes)


def _measured(effect: Measured, sample_rate: float) -> Mapping[str, Any]:
    if isinstance(effect, Mapping):
        if "transfer" not in effect or "response" not in effect:
            raise ValueError(f"effect: found a mapping with {sorted(effect)}; expected what characteristics(effect) gives")
        return effect
    if not isinstance(effect, Effect):
        raise TypeError(f"effect: found {type(effect).__name__}; expected an effect, or what characteristics(effect) gives")
    return characteristics(effect, sample_rate)


def transfer_curve(
    effect: Measured, sample_rate: float = 48_000.0, *, ax: Axes | None = None, label: str | None = None, **style: Any
) -> Axes:
    """Draws output over input of a slow full-scale sine. The ways up and down differ if the effect has memory, as filters have.

    `effect`: an effect, which is measured first (about a second), or what `isotherm.characteristics` gives.
    """
    curve = _measured(effect, sample_rate)["transfer"]
    axes = _axes(ax)
    points = [*curve["up"], *reversed(curve["down"])]
    axes.plot([point["input"] for point in points], [point["output"] for point in points], label=label, **_THIN | style)
    axes.set_xlabel(f"Input [full scale = 1], a sine of {curve['hz']:g} Hz")
    axes.set_ylabel("Output [full scale = 1]")
    return _finish(axes)


def response(
    effect: Measured, sample_rate: float = 48_000.0, *, ax: Axes | None = None, label: str | None = None, **style: Any
) -> Axes:
    """Draws the gain of small signals over frequency.

    `effect`: an effect, which is measured first (about a second), or what `isotherm.characteristics` gives.
    """
    measured = _measured(effect, sample_rate)
    curve = measured["response"]
    axes = _axes(ax)
    axes.plot(curve["hz"], curve["magnitude_db"], label=label, **_THIN | style)
    _frequency_axis(axes, measured["sample_rate"])
    axes.set_ylabel(f"Gain at {curve['level_dbfs']:g} dBFS [dB]")
    return _finish(axes)


def live_spectrum(
    dsp: Effect | Chain,
    network: Effect | Chain,
    audio: Sound,
    sample_rate: float | None = None,
    *,
    ax: Axes | None = None,
    floor_db: float = -140.0,
    frames_first: bool = False,
) -> FuncAnimation:
    """Animates the spectra of two effects and of their difference on a sound, 25 times a second of sound, at its speed.

    The latency of both is removed. Keep the result as long as it shall run; `animation.save("spectrum.gif")` stores it, and
    `IPython.display.HTML(animation.to_jshtml())` shows it in a notebook. Several channels are drawn as their mean.
    """
    for name, effect in (("dsp", dsp), ("network", network)):
        if not isinstance(effect, (Effect, Chain)):
            raise TypeError(f"{name}: found {type(effect).__name__}; expected an effect")
    sound = _finite(_sound(audio, sample_rate, frames_first))
    rate = sound.sample_rate
    axes = _axes(ax)
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

    outputs = [planar(effect(sound.samples, rate), rate).samples for effect in (dsp, network)]
    outputs.append(outputs[1] - outputs[0])
    hop = max(round(rate / _LIVE_RATE), 1)
    total = -(-sound.samples.shape[1] // hop)
    frequencies = np.fft.rfftfreq(_LIVE_WINDOW, 1.0 / rate)[1:]
    # The network's line is dashed, so that the DSP's is seen below it.
    silence = np.full(len(frequencies), floor_db)
    styles = zip(("DSP", "network", "difference"), ("-", "--", "-"), strict=True)
    lines = [axes.plot(frequencies, silence, label=name, linestyle=style, **_THIN)[0] for name, style in styles]
    _frequency_axis(axes, rate)
    axes.set_ylim(floor_db, 10.0)
    axes.set_ylabel("Level [dBFS]")
    _finish(axes)
    # Fixed, so that only the lines and the time are drawn anew.
    axes.legend(loc="upper right")
    time = axes.text(0.01, 0.97, "", transform=axes.transAxes, verticalalignment="top")

    def draw(step: int) -> list[Any]:
        # The window ends with the frames of this step; before the sound there is silence.
        end = min((step + 1) * hop, sound.samples.shape[1])
        start = max(end - _LIVE_WINDOW, 0)
        for line, output in zip(lines, outputs, strict=True):
            channels = np.pad(output[:, start:end], ((0, 0), (_LIVE_WINDOW - (end - start), 0)))
            power = np.mean([10.0 ** (_levels_db(channel, _LIVE_WINDOW) / 10.0) for channel in channels], axis=0)
            with np.errstate(divide="ignore"):
                line.set_ydata(np.maximum(10.0 * np.log10(power[1:]), floor_db))
        time.set_text(f"{end / rate:.2f} s")
        return [*lines, time]

    figure = axes.get_figure()
    if not isinstance(figure, Figure):
        raise ValueError("ax: found axes without a figure of their own; expected axes of a Figure")
    return FuncAnimation(figure, draw, frames=total, interval=1000.0 / _LIVE_RATE, blit=False, repeat=False)

