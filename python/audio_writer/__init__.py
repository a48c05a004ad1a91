"""The multichannel 24-bit writer, under the name that it had in the old recorder.

`write_multichannel_24bit` takes floats and `write_multichannel_24bit_int32` takes 24-bit numbers in int32. Both take an array of
shape (frames, channels), the numbers of the channels to write, and one file for each of them:

>>> import io, numpy, audio_writer
>>> block = numpy.array([[0.5, -1.0], [0.25, 1.0]], dtype=numpy.float32)
>>> files = [io.BytesIO(), io.BytesIO()]
>>> audio_writer.write_multichannel_24bit(block, [0, 1], files)
2
>>> files[1].getvalue().hex(" ", 3)
'000080 ffff7f'

Files that were opened with `open(path, "wb")`, and all other objects with `write`, get the samples alone. A header comes only from
the standard library's `wave`:

>>> import wave
>>> target = io.BytesIO()
>>> with wave.open(target, "wb") as file:
...     file.setparams((1, 3, 48000, 0, "NONE", ""))
...     _ = audio_writer.write_multichannel_24bit(block, [0], [file])
>>> wave.open(io.BytesIO(target.getvalue())).getnframes()
2
"""

from typing import Final, Literal

from isotherm._native import write_multichannel_24bit as write_multichannel_24bit
from isotherm._native import write_multichannel_24bit_int32 as write_multichannel_24bit_int32
from isotherm._native import writer_backend

__all__ = ["WriteError", "backend", "write_multichannel_24bit", "write_multichannel_24bit_int32"]

backend: Final[Literal["avx2", "neon", "portable"]] = writer_backend()
"""The instruction set that converts the samples: the fastest that this processor has."""


class WriteError(OSError):
    """A file failed while blocks were written, so that the files may now have different lengths.

    `errno` is that of the cause, which is in `__cause__`. The message and `frames_written` say what each file has.
    """

    frames_written: list[int]
    """Frames of this call that each file has accepted, in the order of `file_objects`."""
    failed_file: int
    """Place of the file that failed in `file_objects`."""

    def __init__(self, errno: int, message: str, frames_written: list[int], failed_file: int) -> None:
        super().__init__(errno, message)
        self.frames_written = frames_written
        self.failed_file = failed_file

    def __reduce__(self) -> tuple[type["WriteError"], tuple[int | None, str, list[int], int]]:
        return type(self), (self.errno, self.strerror or "", self.frames_written, self.failed_file)
