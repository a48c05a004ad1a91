"""Audio with its sample rate, effects and measures. See the documentation in docs/python.md."""

from . import effects as effects
from . import generation as generation
from . import io as io
from ._native import __version__ as __version__

# Audio.
from .audio import AudioSamples as AudioSamples
from .audio import ResamplingQuality as ResamplingQuality
from .generation import *  # noqa: F403

# Effects, measures and comparisons.
from .comparing import Comparison as Comparison
from .comparing import bench as bench
from .comparing import compare as compare
from .effects import *
from .measures import Alignment as Alignment
from .measures import align as align
from .measures import aliasing as aliasing
from .measures import characteristics as characteristics
from .measures import esr as esr
from .measures import lufs as lufs
from .measures import measures as measures
from .measures import mrstft as mrstft
from .measures import nmr as nmr
from .measures import null_db as null_db
from .measures import thd as thd
from .measures import true_peak as true_peak

# Plots; matplotlib is imported when one is drawn.
from . import plot as plot

# What `from isotherm import *` brings: no modules, whose names users have for their own.
__all__ = [
    "Alignment",
    "AudioSamples",
    "Comparison",
    "ResamplingQuality",
    "align",
    "aliasing",
    "bench",
    "characteristics",
    "compare",
    "esr",
    "lufs",
    "measures",
    "mrstft",
    "nmr",
    "null_db",
    "thd",
    "true_peak",
]
__all__ += effects.__all__
__all__ += generation.__all__
