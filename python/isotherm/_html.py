"""What notebooks show for audio: a player, a picture and a line of text. HTML without scripts or links."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from .audio import AudioSamples

#: The longest sound in seconds for which the page has a player: 16 bits of 60 s in stereo at 48 kHz are 15 MB as base64.
PLAYER_SECONDS = 60.0
#: Size of the picture of one channel, in pixels.
WIDTH, HEIGHT = 480, 48
#: The most channels with a picture of their own.
PICTURES = 8
COLOR = "#4477aa"
#: The highest sample rate in Hz that a page has a player for: what the Web Audio standard asks of browsers, twice.
HIGHEST_RATE = 192_000


def _outline(channel: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The lowest and the highest sample of each column of the picture."""
    edges = np.linspace(0, len(channel), min(WIDTH, len(channel)) + 1).astype(np.intp)
    return np.minimum.reduceat(channel, edges[:-1]), np.maximum.reduceat(channel, edges[:-1])


def picture(values: npt.NDArray[np.float64], top: float) -> str:
    """The waveforms as SVG, one below the other; ``values`` are (channels, frames), and ``top`` is the upper edge of each."""
    shown = values[:PICTURES]
    height = HEIGHT * len(shown)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img" aria-label="waveform">']
    for index, channel in enumerate(shown):
        middle = HEIGHT * (index + 0.5)
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}" stroke="#cccccc"/>')
        low, high = _outline(np.nan_to_num(channel, nan=0.0, posinf=top, neginf=-top))
        step = WIDTH / len(low)
        # At least half a pixel, so that silence is a line.
        upper = np.minimum(middle - np.clip(high / top, -1.0, 1.0) * HEIGHT / 2, middle + HEIGHT)
        lower = np.maximum(middle - np.clip(low / top, -1.0, 1.0) * HEIGHT / 2, upper + 0.5)
        x = (np.arange(len(low)) + 0.5) * step
        there = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, upper, strict=True))
        back = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[::-1], lower[::-1], strict=True))
        parts.append(f'<polygon points="{there} {back}" fill="{COLOR}"/>')
    return "".join([*parts, "</svg>"])


def player(audio: AudioSamples) -> str:
    """The player of a sound (the first two channels), its picture and its description."""
    from . import io as files

    text = html.escape(repr(audio).removeprefix(type(audio).__name__).strip("()"))
    parts: list[str] = []
    if len(audio):
        values: npt.NDArray[Any] = np.atleast_2d(audio._values())
        finite = np.abs(values[np.isfinite(values)])
        peak = float(finite.max()) if finite.size else 0.0
        if audio.duration_seconds > PLAYER_SECONDS:
            parts.append(f"<span>no player: longer than {PLAYER_SECONDS:.0f} s</span>")
        elif audio.sample_rate > HIGHEST_RATE:
            parts.append(f"<span>no player: above {HIGHEST_RATE} Hz</span>")
        else:
            buffer = io.BytesIO()
            sound = np.nan_to_num(values[:2], nan=0.0, posinf=1.0, neginf=-1.0)
            files.save(buffer, type(audio)(np.clip(sound, -1.0, 1.0), audio.sample_rate), subtype="i16")
            data = base64.b64encode(buffer.getvalue()).decode("ascii")
            parts.append(f'<audio controls src="data:audio/wav;base64,{data}"></audio>')
        parts.append(picture(values, max(1.0, peak)))
    return f"<div>{'<br>'.join([*parts, f'<span>{text}</span>'])}</div>"
