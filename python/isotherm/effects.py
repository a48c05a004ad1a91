"""A class for each algorithm: `Saturator(drive=24, oversampling=4)`. They are made from the core's registry at import.

`effects.pyi` has their names and parameters for editors and type checkers.
"""

from ._effect import REGISTRY, Chain, Effect, EffectState, make_class

_MADE = [make_class(row) for row in REGISTRY]
globals().update({made.__name__: made for made in _MADE})

__all__ = ["Chain", "Effect", "EffectState", *(made.__name__ for made in _MADE)]
