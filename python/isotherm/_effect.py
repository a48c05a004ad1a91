"""Effects as values: what all of them can do. `effects.py` makes a class for each algorithm of the registry."""

from __future__ import annotations

import difflib
import inspect
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from . import _native as core
from ._arrays import MAX_CHANNELS, MOST_RATE, Planar, Sound, check_rate, count, found, plain, planar
from ._native import SampleBuffer
from ._onnx import prepare

#: Audio of any class, which a call gives back.
Audio = TypeVar("Audio", bound=SampleBuffer)
_Class = TypeVar("_Class", bound="Effect")
#: Row of the registry: id, name, description, plays_model, parameters.
Row = dict[str, Any]

REGISTRY: list[Row] = core.registry()
_CLASSES: dict[str, type[Effect]] = {}


class EffectState:
    """The state of an effect between two blocks of a stream: `effect.start(sample_rate, channels)` makes one.

    `effect.process(block, state)` gives a new state and leaves this one as it is. `state.process(block)` moves this one on in
    place, which copies nothing and works for every effect.
    """

    __slots__ = ("_channels", "_effect", "_native", "_sample_rate")

    def __init__(self, effect: _Processing, sample_rate: float, channels: int = 1) -> None:
        self._effect = effect
        self._sample_rate = check_rate(sample_rate)
        self._channels = count(channels, "channels", 1, MAX_CHANNELS)
        self._native = core.StreamState(effect._natives(), self._sample_rate, self._channels)

    @property
    def sample_rate(self) -> float:
        """Sample rate of the stream in Hz."""
        return self._sample_rate

    @property
    def channels(self) -> int:
        """Number of channels of the stream."""
        return self._channels

    @property
    def latency(self) -> int:
        """Frames by which the output lags the input."""
        return self._native.latency()

    def reset(self) -> None:
        """Goes back to the state before the first frame. Values that were changed since the start stay."""
        self._native.reset()

    def copy(self) -> EffectState:
        """A state that goes on from the same position on its own.

        Raises RuntimeError if a part cannot be copied: a model that runs at another rate than the sound's, or in ONNX Runtime.
        """
        other = object.__new__(EffectState)
        other._effect, other._sample_rate, other._channels = self._effect, self._sample_rate, self._channels
        other._native = self._native.duplicate()
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> EffectState:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError("an EffectState cannot be pickled; expected to start one from the effect, which can")

    def process(self, block: Any, *, frames_first: bool = False) -> Any:
        """Processes the next block and moves this state on. The result has the block's form; it lags by `latency` frames.

        A block is (frames,) or (channels, frames) of any length, or AudioSamples of the stream's rate.
        """
        return self._run(self._effect, block, frames_first)

    def _run(self, effect: _Processing, block: Any, frames_first: bool) -> Any:
        if type(block) is np.ndarray and not frames_first:
            wet = self._native.process(effect._natives(), block)
            if wet is not None:
                self._effect = effect
                return wet
        rate = None if isinstance(block, SampleBuffer) else self._sample_rate
        sound = planar(block, rate, frames_first=frames_first, name="block")
        if sound.sample_rate != self._sample_rate:
            raise ValueError(f"block: found {sound.sample_rate:.0f} Hz; expected {self._sample_rate:.0f} Hz, as the state has")
        wet = self._native.process(effect._natives(), sound.samples)
        assert wet is not None, "planar samples need no conversion"
        self._effect = effect
        return sound.back(wet)

    def __repr__(self) -> str:
        return f"<EffectState of {self._effect!r}, {self._sample_rate:g} Hz, {self._channels} channels, latency {self.latency}>"


class _Processing:
    """What an effect and a chain of effects have in common."""

    __slots__ = ()

    def _natives(self) -> list[core.Effect]:
        raise NotImplementedError

    def _render_any(self, audio: Any, sample_rate: float | None) -> Any:
        # Most sounds need no conversion; what planar does for the others would take longer than a short block.
        if type(audio) is np.ndarray and type(sample_rate) is int and 0 < sample_rate <= MOST_RATE:
            wet = core.render_as_it_is(self._natives(), audio, sample_rate)
            if wet is not None:
                return wet
        elif sample_rate is None and isinstance(audio, SampleBuffer):
            wet = core.render_as_it_is(self._natives(), audio._data, audio.sample_rate)
            if wet is not None:
                return cast(Any, type(audio))._wrap(wet, audio.sample_rate)
        return self._render(planar(audio, sample_rate), None)

    def _render(self, sound: Planar, automation: list[tuple[int, NDArray[np.float64]]] | None) -> Any:
        return sound.back(core.render(self._natives(), sound.samples, sound.sample_rate, automation))

    def latency(self, sample_rate: float, channels: int = 1) -> int:
        """Frames by which the output of a stream lags its input at a sample rate in Hz. Calling the effect removes it."""
        return core.latency(self._natives(), check_rate(sample_rate), count(channels, "channels", 1, MAX_CHANNELS))

    def start(self, sample_rate: float, channels: int = 1) -> EffectState:
        """The state before the first frame of a stream of (channels, frames) blocks.

        Raises ValueError if the effect cannot run at this sample rate or with so many channels.
        """
        return EffectState(self, sample_rate, channels)

    def process(self, block: Any, state: EffectState, *, frames_first: bool = False) -> tuple[Any, EffectState]:
        """Processes the next block of a stream: the result and the state after it. `state` stays as it was and can be used again.

        The result has the block's form and lags by `state.latency` frames. The effect may differ from that of the block before:
        parameters that can be automated then glide to their values in 20 ms; for other changes a new state is begun.

        Raises RuntimeError if the state cannot be copied (`EffectState.copy`); then use `state.process(block)`.
        """
        if not isinstance(state, EffectState):
            raise TypeError(f"state: found {found(state)}; expected an EffectState, which effect.start makes")
        after = state.copy()
        return after._run(self, block, frames_first), after

    def reset(self, state: EffectState) -> EffectState:
        """A state of this effect before the first frame, for the same stream as `state`, which stays as it was."""
        if not isinstance(state, EffectState):
            raise TypeError(f"state: found {found(state)}; expected an EffectState, which effect.start makes")
        return EffectState(self, state.sample_rate, state.channels)


class Effect(_Processing):
    """An effect: an algorithm, a value for each of its parameters and perhaps a model. It never changes.

    The classes of the algorithms (`Saturator`, `Bitcrusher`, ...) make one; `Effect.parse` reads one. Calling an effect renders a
    whole sound: as many frames out as in, with the latency removed, the same samples as the plug-in gives.
    """

    __slots__ = ("_native",)

    _native: core.Effect
    _row: ClassVar[Row]

    #: Id of the algorithm, as on the command line; "" for the base class.
    algorithm: ClassVar[str] = ""

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        if cls is Effect:
            names = ", ".join(sorted(one.__name__ for one in _CLASSES.values()))
            raise TypeError(f"Effect is the base class; expected one of {names}, or Effect.parse('saturator drive=24')")
        return object.__new__(cls)

    @staticmethod
    def parse(text: str) -> Effect:
        """Reads an effect as it is written on the command line: `saturator drive=24 oversampling=4x`.

        Raises ValueError that names the word and what was expected.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: found {found(text)}; expected an effect as on the command line")
        prepare()
        return of_native(core.Effect.parse(text))

    @staticmethod
    def from_json(text: str | dict[str, Any]) -> Effect:
        """Reads what `to_json` writes, as text or as a dict. Missing settings have their defaults."""
        prepare()
        return of_native(core.Effect.from_json(text if isinstance(text, str) else json.dumps(text)))

    def to_json(self) -> str:
        """The effect as JSON text: algorithm, settings, and of a model the path.

        Raises ValueError if the model is in no file; `pickle` carries its bytes.
        """
        return self._native.to_json()

    def replace(self, **settings: Any) -> Self:
        """This effect with other settings."""
        self._checked(settings)
        if "model" in settings and self._row["plays_model"]:
            made = type(self)(**{**self.settings, **settings})
            return made
        return _with(type(self), self._native.with_settings(settings))

    @property
    def settings(self) -> dict[str, Any]:
        """The value of each parameter by its id."""
        return {row["id"]: self._native.value(index) for index, row in enumerate(self._row["parameters"])}

    @classmethod
    def _checked(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings, if all of them are parameters; TypeError with the nearest name otherwise."""
        if cls._row["plays_model"]:
            # Others may be knobs of the model, which the core knows.
            return settings
        names = [row["id"] for row in cls._row["parameters"]]
        for name in settings:
            if name not in names:
                raise TypeError(unknown(cls.__name__, name, names))
        return settings

    @overload
    def __call__(self, audio: Audio, sample_rate: None = None, *, frames_first: bool = False, **automation: Any) -> Audio: ...
    @overload
    def __call__(
        self, audio: NDArray[Any], sample_rate: float, *, frames_first: bool = False, **automation: Any
    ) -> NDArray[Any]: ...
    def __call__(
        self, audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False, **automation: Any
    ) -> Any:
        """Renders a whole sound; the result has the form of the input.

        `audio` is AudioSamples, or an array with `sample_rate`: (frames,), (channels, frames), or with `frames_first`
        (frames, channels). float64 is computed as float32 and given back as float64; integers give float32.

        Further keywords are parameters for this call: one value, or an array with a value for each frame. The parameter then moves
        with the sound. Values are read at their frame and are followed by the plug-in's glide of 20 ms: a step becomes a ramp of
        20 ms that begins at its frame; a curve that moves in every frame is followed like by a one-pole low-pass of 20 ms. The
        first value counts at once. Choices, and parameters that need a new processor (oversampling ...), take no array.
        """
        if not automation and not frames_first:
            return self._render_any(audio, sample_rate)
        sound = planar(audio, sample_rate, frames_first=frames_first)
        if not automation:
            return self._render(sound, None)
        return self._automated(sound, automation)

    def _automated(self, sound: Planar, automation: dict[str, Any]) -> Any:
        rows = {row["id"]: index for index, row in enumerate(self._row["parameters"])}
        curves: list[tuple[int, NDArray[np.float64]]] = []
        fixed: dict[str, Any] = {}
        for name, value in automation.items():
            if isinstance(value, SampleBuffer):
                value = value.to_numpy()
            if isinstance(value, np.ndarray) and value.ndim > 0:
                if name not in rows:
                    knobs = "; as an array, a knob of the model is knob_1 and so on, 0 to 1" if self._row["plays_model"] else ""
                    raise TypeError(unknown(type(self).__name__, name, list(rows)) + knobs)
                if self._row["parameters"][rows[name]]["kind"] == "choice":
                    raise TypeError(f"{name}: found an array; expected one value, because it is a choice")
                plain(value, name)
                if value.ndim != 1:
                    raise ValueError(f"{name}: found an array of shape {value.shape}; expected (frames,)")
                if value.dtype.kind not in "biuf":
                    raise TypeError(f"{name}: found an array of dtype {value.dtype}; expected numbers")
                curves.append((rows[name], np.require(value, np.float64, ["C", "A"])))
            else:
                fixed[name] = value
        effect = self.replace(**fixed) if fixed else self
        return effect._render(sound, curves)

    def _natives(self) -> list[core.Effect]:
        return [self._native]

    def __eq__(self, other: object) -> bool:
        return self._native == other._native if isinstance(other, Effect) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._native)

    def __str__(self) -> str:
        """The effect as it is written on the command line; of a model that is in no file, `<bytes>` for its name."""
        try:
            return self._native.to_text()
        except ValueError:
            return " ".join([self.algorithm, "model=<bytes>", *(f"{k}={_word(v)}" for k, v in self._changed())])

    def _changed(self) -> Iterator[tuple[str, Any]]:
        for index in self._native.changed():
            yield self._row["parameters"][index]["id"], self._native.value(index)

    def __repr__(self) -> str:
        words = [f"{name}={value!r}" for name, value in self._changed()]
        if self._row["plays_model"]:
            facts = self._native.model()
            model = "None" if facts is None else repr(os.fspath(facts["path"])) if facts["path"] else "<bytes>"
            words.insert(0, model)
        return f"{type(self).__name__}({', '.join(words)})"

    def __reduce__(self) -> Any:
        return _restore, (type(self), *self._native.state())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class Chain(_Processing):
    """Effects in a row: each gets the output of the one before. Used like an effect; latencies add up.

    `Chain([a, b])(x)` streams through both at once, as a host does. `b(a(x))` differs for about a latency at the beginning and
    the end, because there `b` does not hear what the filters of `a` give before the first and after the last frame.

    A chain is a sequence: `len(chain)`, `chain[0]`, iteration. It takes no parameters: automate one of its effects.
    """

    __slots__ = ("_effects",)

    _effects: tuple[Effect, ...]

    def __init__(self, effects: Iterable[Effect | Chain]) -> None:
        flat: list[Effect] = []
        for index, effect in enumerate(effects):
            if isinstance(effect, Chain):
                flat.extend(effect)
            elif isinstance(effect, Effect):
                flat.append(effect)
            else:
                raise TypeError(f"effect {index}: found {found(effect)}; expected an effect or a chain")
        self._effects = tuple(flat)

    @staticmethod
    def parse(text: str) -> Chain:
        """Reads what `str(chain)` writes: effects with ` | ` between them."""
        if not isinstance(text, str):
            raise TypeError(f"text: found {found(text)}; expected effects as on the command line, with ' | ' between them")
        return Chain([Effect.parse(part) for part in text.split(" | ")] if text.strip() else [])

    @staticmethod
    def from_json(text: str | list[Any]) -> Chain:
        """Reads what `to_json` writes, as text or as a list."""
        value = json.loads(text) if isinstance(text, str) else text
        if not isinstance(value, list):
            raise ValueError(f"found {found(value)}; expected a list of effects")
        return Chain([Effect.from_json(effect) for effect in value])

    def to_json(self) -> str:
        """The chain as JSON text: a list of effects as `Effect.to_json` writes them."""
        return json.dumps([json.loads(effect.to_json()) for effect in self._effects])

    @overload
    def __call__(self, audio: Audio, sample_rate: None = None, *, frames_first: bool = False) -> Audio: ...
    @overload
    def __call__(self, audio: NDArray[Any], sample_rate: float, *, frames_first: bool = False) -> NDArray[Any]: ...
    def __call__(self, audio: Sound, sample_rate: float | None = None, *, frames_first: bool = False) -> Any:
        """Renders a whole sound as an effect does; an empty chain gives it as it is."""
        if not frames_first:
            return self._render_any(audio, sample_rate)
        return self._render(planar(audio, sample_rate, frames_first=True), None)

    def _natives(self) -> list[core.Effect]:
        return [effect._native for effect in self._effects]

    def __len__(self) -> int:
        return len(self._effects)

    def __iter__(self) -> Iterator[Effect]:
        return iter(self._effects)

    @overload
    def __getitem__(self, index: int) -> Effect: ...
    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    def __getitem__(self, index: int | slice) -> Effect | Chain:
        return Chain(self._effects[index]) if isinstance(index, slice) else self._effects[index]

    def __eq__(self, other: object) -> bool:
        return self._effects == other._effects if isinstance(other, Chain) else NotImplemented

    def __hash__(self) -> int:
        return hash(("Chain", self._effects))

    def __str__(self) -> str:
        return " | ".join(str(effect) for effect in self._effects)

    def __repr__(self) -> str:
        return f"Chain([{', '.join(repr(effect) for effect in self._effects)}])"

    def __reduce__(self) -> Any:
        return Chain, (list(self._effects),)


def _word(value: Any) -> str:
    """A value as on the command line."""
    return ("on" if value else "off") if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def unknown(owner: str, name: str, names: list[str]) -> str:
    """The message for a keyword that is no parameter, with the nearest name."""
    return f"{owner} has no parameter '{name}'; expected {', '.join(names)}{nearest(name, names)}"


def nearest(name: str, names: list[str]) -> str:
    """The end of a message that tells the nearest name, if one is near."""
    near = difflib.get_close_matches(name, names, 1, 0.7)
    return f"; did you mean '{near[0]}'?" if near else ""


def of_native(native: core.Effect) -> Effect:
    """The effect of its algorithm's class."""
    return _with(_CLASSES[native.algorithm], native)


def _with(made_class: type[_Class], native: core.Effect) -> _Class:
    """The effect of a class."""
    effect = object.__new__(made_class)
    effect._native = native
    return effect


def _restore(made_class: type[Effect], *state: Any) -> Effect:
    """Makes an effect that was pickled."""
    prepare()
    return _with(made_class, core.Effect.restore(*state))


_UNITS = {"dB": "in dB", "dBu": "in dBu", "Hz": "in Hz", "%": "in %", "bit": "in bits"}


def _line(row: Row) -> str:
    """A parameter in the class's docstring."""
    default = row["default"]
    shown = "off" if row.get("off_at_max") and default == row["max"] else _word(default)
    kind = "one value" if row["kind"] == "choice" or not row["ramped"] else "a value or an array"
    return f"    {row['id']}: {row['doc']}. {row['expected']} [{shown}]; {kind}."


def docstring(row: Row) -> str:
    """The docstring of an algorithm's class."""
    lines = [f"{row['description']}.", "", "Parameters, with range, [default] and whether a call takes an array for them:"]
    if row["plays_model"]:
        lines.append("    model: path of a model's file, its bytes, or None, with which the sound passes.")
        lines.append("    model_rate: sample rate in Hz of a model whose file has none.")
    lines += [_line(parameter) for parameter in row["parameters"]]
    if row["plays_model"]:
        lines.append("    A knob of the model can also be set by its own name in its own unit.")
    return "\n".join(lines)


def class_name(row: Row) -> str:
    """The name of an algorithm's class."""
    return "".join(word.capitalize() for word in str(row["id"]).split("_"))


def _reader(index: int, doc: str) -> property:
    """The property that reads the parameter with an index."""
    return property(lambda self: self._native.value(index), doc=doc)


def _first(effect: Any, native: core.Effect) -> core.Effect:
    """The native effect of one that has none yet; TypeError if it is made already."""
    if hasattr(effect, "_native"):
        raise TypeError("an effect never changes; expected effect.replace(...)")
    return native


def make_class(row: Row) -> type[Effect]:
    """The class of an algorithm of the registry."""
    names = [parameter["id"] for parameter in row["parameters"]]
    keyword = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [inspect.Parameter(p["id"], keyword, default=p["default"]) for p in row["parameters"]]

    def with_model(self: Any, model: Any, *, model_rate: float | None = None, **settings: Any) -> None:
        prepare()
        own = {name: value for name, value in settings.items() if name in names}
        made = _first(self, core.Effect.make(row["id"], own, model, model_rate))
        knobs = {name: value for name, value in settings.items() if name not in names}
        try:
            self._native = made.with_settings(knobs)
        except TypeError:
            facts = made.model()
            of_model = f"; knobs of its model: {', '.join(facts['knobs'])}" if facts and facts["knobs"] else ""
            raise TypeError(unknown(class_name(row), next(iter(knobs)), names) + of_model) from None

    def without_model(self: Any, **settings: Any) -> None:
        self._native = _first(self, core.Effect.make(row["id"], self._checked(settings)))

    made: Any = without_model
    if row["plays_model"]:
        made = with_model
        parameters.insert(0, inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD))
        parameters.append(inspect.Parameter("model_rate", keyword, default=None))
        parameters.append(inspect.Parameter("knobs", inspect.Parameter.VAR_KEYWORD))
    made.__name__, made.__qualname__, made.__module__ = "__init__", f"{class_name(row)}.__init__", "isotherm.effects"
    made.__signature__ = inspect.Signature([first, *parameters])
    body: dict[str, Any] = {
        "__doc__": docstring(row),
        "__init__": made,
        "__module__": "isotherm.effects",
        "__slots__": (),
        "_row": row,
        "algorithm": row["id"],
    }
    for index, name in enumerate(names):
        doc = f"{row['parameters'][index]['doc']}. {row['parameters'][index]['expected']}."
        body[name] = _reader(index, doc)
    if row["plays_model"]:
        body["model"] = property(lambda self: self._native.model(), doc="Facts of the model: path, name, knobs ...; None without.")
    _CLASSES[row["id"]] = type(class_name(row), (Effect,), body)
    return _CLASSES[row["id"]]
