"""Writes `isotherm/effects.pyi` and `isotherm/measures.pyi` from the core's registries: `python python/stubs.py`.

A test holds that both are what this script gives. Run it after a change of an algorithm, a parameter or a measure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from isotherm._effect import REGISTRY, class_name, docstring
from isotherm._measure import ROWS, names_of
from isotherm._measure import docstring as measure_docstring

_NOTE = "# Made by python/stubs.py from the core's registries. Do not edit."
_SINGLE = {"number": "float", "toggle": "bool"}


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _choices(parameter: dict[str, Any]) -> str:
    return f"Literal[{', '.join(_literal(choice) for choice in parameter['choices'])}]"


def _given(parameter: dict[str, Any]) -> str:
    """The type of a value that a user may give: a text has a unit, or a choice's name."""
    if parameter["kind"] == "choice":
        return f"{_choices(parameter)} | str"
    if parameter["kind"] == "toggle":
        return "bool"
    return "float | str"


def _read(parameter: dict[str, Any]) -> str:
    """The type of a value that is read."""
    return _choices(parameter) if parameter["kind"] == "choice" else _SINGLE[parameter["kind"]]


def _text(lines: str, indent: str) -> list[str]:
    """A docstring."""
    rows = lines.strip().split("\n")
    if len(rows) == 1:
        return [f'{indent}"""{rows[0]}"""']
    return [f'{indent}"""{rows[0]}', *(f"{indent}{row}".rstrip() for row in rows[1:]), f'{indent}"""']


def _class(row: dict[str, Any]) -> list[str]:
    lines = [f"class {class_name(row)}(Effect):", *_text(docstring(row), "    ")]
    keywords = [f"        {p['id']}: {_given(p)} = {_literal(p['default'])}," for p in row["parameters"]]
    lines += ["    def __init__(", "        self,"]
    if row["plays_model"]:
        lines += ["        model: str | os.PathLike[str] | bytes | None,", "        *,", *keywords]
        lines += ["        model_rate: float | None = None,", "        **knobs: float | str,"]
    else:
        lines += ["        *,", *keywords]
    lines.append("    ) -> None: ...")
    for p in row["parameters"]:
        lines += ["    @property", f"    def {p['id']}(self) -> {_read(p)}:", f'        """{p["doc"]}. {p["expected"]}."""']
    if row["plays_model"]:
        lines += ["    @property", "    def model(self) -> dict[str, Any] | None:"]
        lines.append('        """Facts of the model: path, name, knobs ...; None without."""')
    changes = [f"        {p['id']}: {_given(p)} = ...," for p in row["parameters"]]
    if row["plays_model"]:
        changes.insert(0, "        model: str | os.PathLike[str] | bytes | None = ...,")
        changes += ["        model_rate: float | None = ...,", "        **knobs: float | str,"]
    # Keywords of its own are no mistake here: the base class takes any.
    ignore = "" if row["plays_model"] else "  # type: ignore[override]"
    lines += [f"    def replace({ignore}", "        self,", "        *,", *changes, "    ) -> Self:"]
    lines.append('        """This effect with other settings."""')
    curves = [f"        {p['id']}: {_given(p)}{' | Curve' if p['ramped'] and p['kind'] != 'choice' else ''} = ...," for p in row["parameters"]]
    if row["plays_model"]:
        curves.append("        **knobs: float | str,")
    for audio, rate, result in (
        ("Audio", "sample_rate: None = None", "Audio"),
        ("NDArray[Any]", "sample_rate: float", "NDArray[Any]"),
    ):
        lines += ["    @overload" + (ignore if audio == "Audio" else "")]
        strict = "" if row["plays_model"] or audio == "Audio" else "  # pyright: ignore[reportIncompatibleMethodOverride]"
        lines += [f"    def __call__({strict}", "        self,", f"        audio: {audio},", f"        {rate},", "        *,"]
        lines += ["        frames_first: bool = False,", *curves, f"    ) -> {result}: ..."]
    return lines


def effects_stub() -> str:
    """The text of effects.pyi."""
    names = ["Chain", "Effect", "EffectState", *(class_name(row) for row in REGISTRY)]
    lines = [
        '"""A class for each algorithm: `Saturator(drive=24, oversampling=4)`."""',
        "",
        _NOTE,
        "",
        "import os",
        "from typing import Any, Literal, Self, TypeAlias, TypeVar, overload",
        "",
        "from numpy.typing import NDArray",
        "",
        "from ._effect import Chain as Chain",
        "from ._effect import Effect as Effect",
        "from ._effect import EffectState as EffectState",
        "from ._native import SampleBuffer",
        "",
        f"__all__ = [{', '.join(_literal(name) for name in names)}]",
        "",
        'Audio = TypeVar("Audio", bound=SampleBuffer)',
        "# A value for each frame.",
        "Curve: TypeAlias = NDArray[Any]",
    ]
    for row in REGISTRY:
        lines += ["", *_class(row)]
    return "\n".join(lines) + "\n"


_SIGNATURES = {
    "comparison": "a: Sound, b: Sound, sample_rate: float | None = None, *, frames_first: bool = False",
    "sound": "audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False",
    "tone": "effect: Effect, sample_rate: float = 48000, *, hz: float = ..., amplitude: float = ...",
    "impulse": "effect: Effect, sample_rate: float = 48000",
    "effect": "effect: Effect, sample_rate: float = 48000",
    "cost": "effect: Effect, sample_rate: float = 48000, *, channels: int = 1, block: int = 64, seconds: float = 1.0",
}


def measures_stub() -> str:
    """The text of measures.pyi."""
    lines = [
        '"""A function for each measure: `esr(a, b)`, `lufs(audio)`, `thd(effect)`."""',
        "",
        _NOTE,
        "",
        "from collections.abc import Callable",
        "from typing import Any, Protocol",
        "",
        "from ._arrays import Sound",
        "from ._effect import Effect",
        "from ._measure import Alignment as Alignment",
        "from ._measure import align as align",
        "from ._measure import characteristics as characteristics",
    ]
    names: list[str] = []
    for row in ROWS:
        for name in names_of(row):
            names.append(name)
            lines += ["", f"def {name}({_SIGNATURES[row['kind']]}) -> float:", *_text(_dedent(measure_docstring(row)), "    ")]
    lines += ["", "class _Measures(Protocol):", "    def __call__(self) -> list[dict[str, Any]]: ..."]
    lines += [f"    {name}: Callable[..., float]" for name in names]
    lines += ["", "# The table of all measures: a function that has this module's other names, too, because it has the module's name."]
    lines.append("measures: _Measures")
    return "\n".join(lines) + "\n"


def _dedent(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.split("\n"))


def stubs() -> dict[Path, str]:
    """Each file with its text."""
    folder = Path(__file__).parent / "isotherm"
    return {folder / "effects.pyi": effects_stub(), folder / "measures.pyi": measures_stub()}


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
