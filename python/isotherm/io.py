"""WAV files: read in their own type of samples, written completely or not at all.

Read are integers of 8 to 32 bits, floats of 32 and 64 bits, A-law and mu-law; RIFF, RF64 and RIFX; also files whose header a
crash left wrong. 24 bits become int32, scaled to its full scale; 8 bits are uint8, 128 is silence. Written are 16, 24 and 32
bits and 32-bit floats. A file has at least one frame.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
import warnings
from dataclasses import dataclass
from typing import IO, Literal, TypeAlias

import numpy as np

from . import _native
from .audio import AudioSamples

__all__ = ["Info", "read", "read_with_info", "save"]

File: TypeAlias = "str | os.PathLike[str] | IO[bytes]"
Subtype = Literal["i16", "i24", "i32", "f32"]

#: The subtype in which each type of samples is written: the narrowest that holds its samples, but float64 becomes 32-bit float,
#: as the core writes no 64 bits, and 8 bits become 16 without a change.
_SUBTYPES: dict[str, Subtype] = {"u8": "i16", "i16": "i16", "i32": "i32", "f32": "f32", "f64": "f32"}


@dataclass(frozen=True)
class Info:
    """What a file is."""

    #: Samples per second and channel, in Hz.
    sample_rate: int
    #: The number of channels.
    channels: int
    #: The number of samples of each channel.
    frames: int
    #: The coding of the samples in the file, such as '24-bit integer'.
    encoding: str
    #: True if the size of the sound was never filled in, as after a crash; then everything up to the end of the file is sound.
    unfinished: bool
    #: Oddities of the file: sizes that are wrong, missing frames. Empty for most files.
    notes: tuple[str, ...]

    @property
    def num_samples(self) -> int:
        """The number of samples of all channels together."""
        return self.frames * self.channels

    @property
    def duration(self) -> float:
        """The duration in seconds."""
        return self.frames / self.sample_rate


def _name(file: object) -> str:
    """The name of a file object for messages."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else f"<{type(file).__name__}>"


def read_with_info(file: File) -> tuple[AudioSamples, Info]:
    """Reads a WAV file, or a binary file object from where it is: the audio, and what the file is.

    Raises ``OSError`` if the file cannot be read, ``ValueError`` if it is no WAV file with sound, ``TypeError`` for others.
    """
    if isinstance(file, (str, os.PathLike)) and os.path.exists(file) and not os.path.isfile(file):
        # Python's own reading ends with Ctrl-C, also where a pipe gives nothing.
        with open(file, "rb") as device:
            samples, found = _native.read_wav_bytes(device.read(), os.fspath(file))
    elif isinstance(file, (str, os.PathLike)):
        samples, found = _native.read_wav(file)
    elif hasattr(file, "read"):
        data = file.read()
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected a file opened in binary mode ('rb'), found one that reads {type(data).__name__}")
        samples, found = _native.read_wav_bytes(bytes(data), _name(file))
    else:
        raise TypeError(f"expected a path or a binary file object, found {type(file).__name__}")
    audio = AudioSamples.new_multi(samples, found["sample_rate"], copy=False)
    return audio, Info(frames=len(audio), **{**found, "notes": tuple(found["notes"])})


def read(file: File) -> AudioSamples:
    """Reads a WAV file, or a binary file object from where it is. See ``read_with_info``."""
    return read_with_info(file)[0]


def save(file: File, audio: AudioSamples, *, subtype: Subtype | None = None) -> None:
    """Writes audio as a WAV file, to a path or to a binary file object.

    ``subtype`` is 'i16', 'i24', 'i32' or 'f32'; without it, the type of the audio decides: int16 as 16 bits, int32 as 32 bits,
    floats as 32-bit floats (float64 is rounded), uint8 as 16 bits. A file at a path is written under another name and renamed
    when it is complete, so a failure leaves no half file and keeps an older one; a link stays, and its target is replaced.
    Devices and pipes are written to. Samples beyond full scale are limited in a file of integers, and NaN and infinities become
    0; a ``UserWarning`` says how many.

    Raises ``OSError`` if it cannot be written, ``ValueError`` for empty audio and for more than a WAV file can have,
    ``TypeError`` for what is no audio.
    """
    if not isinstance(audio, AudioSamples):
        if isinstance(file, AudioSamples):
            raise TypeError("expected save(file, audio), found the audio first")
        raise TypeError(
            f"expected audio, found {type(audio).__name__}: AudioSamples(array, sample_rate) makes some of an array"
        )
    chosen = subtype if subtype is not None else _SUBTYPES[audio.dtype]
    if chosen not in ("i16", "i24", "i32", "f32"):
        raise ValueError(f"expected a subtype of 'i16', 'i24', 'i32' or 'f32', found {subtype!r}")
    if isinstance(file, (str, os.PathLike)):
        # The target of a link is replaced, not the link.
        path = os.path.realpath(os.fspath(file))
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as device:
                limited, replaced = _write_into(device, audio, chosen)
        else:
            limited, replaced = _write(path, audio, chosen)
    elif hasattr(file, "write"):
        limited, replaced = _write_into(file, audio, chosen)
    else:
        raise TypeError(f"expected a path or a binary file object, found {type(file).__name__}")
    _warn(audio, limited, replaced)


def _write(path: str, audio: AudioSamples, subtype: str) -> tuple[int, int]:
    """Writes a file; returns the counts of samples that were limited and replaced."""
    samples = np.atleast_2d((audio.as_i16() if audio.dtype == "u8" else audio)._data)
    return _native.write_wav(path, np.require(samples, requirements=["C", "A"]), audio.sample_rate, subtype)


def _write_into(file: IO[bytes], audio: AudioSamples, subtype: str) -> tuple[int, int]:
    """Writes to a file object, by way of a file, as the sizes in the header are known at the end only."""
    with tempfile.TemporaryDirectory(prefix="isotherm-") as folder:
        path = os.path.join(folder, "audio.wav")
        counts = _write(path, audio, subtype)
        with open(path, "rb") as written:
            rest = memoryview(written.read())
    while rest:
        # Raw files may take a part only; other objects may return anything.
        taken: object = file.write(rest)
        if taken is None and isinstance(file, io.RawIOBase):
            raise BlockingIOError(errno.EAGAIN, "the file takes nothing now, and does not wait", _name(file))
        if not isinstance(taken, int) or isinstance(taken, bool):
            break
        if taken <= 0:
            raise OSError(errno.EIO, f"the file took {taken} of {len(rest)} bytes", _name(file))
        rest = rest[taken:]
    return counts


def _warn(audio: AudioSamples, limited: int, replaced: int) -> None:
    """Tells of samples that the file cannot have."""
    if replaced:
        were = "sample was NaN or infinite and is 0" if replaced == 1 else "samples were NaN or infinite and are 0"
        warnings.warn(f"{replaced} {were} in the file", stacklevel=3)
    # Full scale itself is limited to the highest number, too; that is no news.
    beyond = int(np.count_nonzero(np.abs(audio._data) > 1.0)) if limited and audio.numpy_dtype.kind == "f" else 0
    if beyond:
        were = "sample was beyond full scale and is" if beyond == 1 else "samples were beyond full scale and are"
        warnings.warn(f"{beyond} {were} limited to it in the file", stacklevel=3)
