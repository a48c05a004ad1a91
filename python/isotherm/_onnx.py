"""Finds ONNX Runtime, which plays ``.onnx`` models, in the package ``onnxruntime`` (``pip install isotherm[onnx]``).

The native part opens the library that the environment variable ``ORT_DYLIB_PATH`` names; without it, it looks in the system.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

__all__ = ["library", "prepare"]

VARIABLE = "ORT_DYLIB_PATH"

#: Names of the library in the package; on Linux and macOS its version is part of them.
_NAMES = {"win32": ("onnxruntime.dll",), "darwin": ("libonnxruntime.dylib", "libonnxruntime.*.dylib")}
_OTHER_NAMES = ("libonnxruntime.so.*", "libonnxruntime.so")

_prepared = False


def library() -> Path | None:
    """The library in the installed package ``onnxruntime``, or None. The package itself is not imported."""
    try:
        spec = importlib.util.find_spec("onnxruntime")
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        for name in _NAMES.get(sys.platform, _OTHER_NAMES):
            for file in sorted(Path(folder, "capi").glob(name)):
                return file
    return None


def prepare() -> None:
    """Names the package's library in ``ORT_DYLIB_PATH``, unless that is set. It looks once in a process."""
    global _prepared
    if _prepared:
        return
    _prepared = True
    if not os.environ.get(VARIABLE):
        found = library()
        if found is not None:
            os.environ[VARIABLE] = str(found)
