"""A function for each measure: `esr(a, b)`, `lufs(audio)`, `thd(effect)`. They are made from the core's registry at import.

`measures.pyi` has their names for editors and type checkers; `isotherm.measures()` is their table.
"""

from ._measure import Alignment, align, characteristics, make_functions, measures

_MADE = make_functions()
globals().update(_MADE)
# `isotherm.measures` is the function of this name; so it has the module's other names, too.
measures.__dict__.update(_MADE, Alignment=Alignment, align=align, characteristics=characteristics)

__all__ = ["Alignment", "align", "characteristics", "measures", *_MADE]
