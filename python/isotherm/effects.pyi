"""A class for each algorithm: `Saturator(drive=24, oversampling=4)`."""

# Made by python/stubs.py from the core's registries. Do not edit.

import os
from typing import Any, Literal, Self, TypeAlias, TypeVar, overload

from numpy.typing import NDArray

from ._effect import Chain as Chain
from ._effect import Effect as Effect
from ._effect import EffectState as EffectState
from ._native import SampleBuffer

__all__ = ["Chain", "Effect", "EffectState", "Saturator", "Bitcrusher", "Clipper", "Neural"]

Audio = TypeVar("Audio", bound=SampleBuffer)
# A value for each frame.
Curve: TypeAlias = NDArray[Any]

class Saturator(Effect):
    """Tube-like soft clipping with drive, asymmetry and a low-pass against fizz.

    Parameters, with range, [default] and whether a call takes an array for them:
        drive: Gain into the curve: more harmonics, more compression. -12 to 48 dB [12]; a value or an array.
        bias: Shifts the working point: even harmonics, as from a single-ended stage. -1 to 1 [0]; a value or an array.
        tone: Low-pass behind the curve, against fizz; at low sample rates it stays under Nyquist. 200 to 20000 Hz or off [4000]; a value or an array.
        slope: Steepness of the tone filter. 6 or 12 [6]; one value.
        output: Level of the result. -48 to 24 dB [0]; a value or an array.
        mix: Dry at 0, saturated at 100; both stay in phase. 0 to 100 % [100]; a value or an array.
        compensation: Turns the level down as drive turns it up: a tone at -18 dBFS keeps its level. on or off [on]; a value or an array.
        dc_blocker: High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset. on or off [on]; a value or an array.
        oversampling: Runs the curve at a higher rate: less aliasing, more latency and work. 1, 2, 4 or 8 [8]; one value.
        render_oversampling: Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2, 4 or 8 [as-set]; one value.
        antialiasing: First-order antiderivative: less aliasing yet, at 1x at the price of the highest treble. off or first [off]; one value.
    """
    def __init__(
        self,
        *,
        drive: float | str = 12.0,
        bias: float | str = 0.0,
        tone: float | str = 4000.0,
        slope: Literal[6, 12] | str = 6,
        output: float | str = 0.0,
        mix: float | str = 100.0,
        compensation: bool = True,
        dc_blocker: bool = True,
        oversampling: Literal[1, 2, 4, 8] | str = 8,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = "as-set",
        antialiasing: Literal["off", "first"] | str = "off",
    ) -> None: ...
    @property
    def drive(self) -> float:
        """Gain into the curve: more harmonics, more compression. -12 to 48 dB."""
    @property
    def bias(self) -> float:
        """Shifts the working point: even harmonics, as from a single-ended stage. -1 to 1."""
    @property
    def tone(self) -> float:
        """Low-pass behind the curve, against fizz; at low sample rates it stays under Nyquist. 200 to 20000 Hz or off."""
    @property
    def slope(self) -> Literal[6, 12]:
        """Steepness of the tone filter. 6 or 12."""
    @property
    def output(self) -> float:
        """Level of the result. -48 to 24 dB."""
    @property
    def mix(self) -> float:
        """Dry at 0, saturated at 100; both stay in phase. 0 to 100 %."""
    @property
    def compensation(self) -> bool:
        """Turns the level down as drive turns it up: a tone at -18 dBFS keeps its level. on or off."""
    @property
    def dc_blocker(self) -> bool:
        """High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset. on or off."""
    @property
    def oversampling(self) -> Literal[1, 2, 4, 8]:
        """Runs the curve at a higher rate: less aliasing, more latency and work. 1, 2, 4 or 8."""
    @property
    def render_oversampling(self) -> Literal["as-set", 1, 2, 4, 8]:
        """Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2, 4 or 8."""
    @property
    def antialiasing(self) -> Literal["off", "first"]:
        """First-order antiderivative: less aliasing yet, at 1x at the price of the highest treble. off or first."""
    def replace(  # type: ignore[override]
        self,
        *,
        drive: float | str = ...,
        bias: float | str = ...,
        tone: float | str = ...,
        slope: Literal[6, 12] | str = ...,
        output: float | str = ...,
        mix: float | str = ...,
        compensation: bool = ...,
        dc_blocker: bool = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
        antialiasing: Literal["off", "first"] | str = ...,
    ) -> Self:
        """This effect with other settings."""
    @overload  # type: ignore[override]
    def __call__(
        self,
        audio: Audio,
        sample_rate: None = None,
        *,
        frames_first: bool = False,
        drive: float | str | Curve = ...,
        bias: float | str | Curve = ...,
        tone: float | str | Curve = ...,
        slope: Literal[6, 12] | str = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        compensation: bool | Curve = ...,
        dc_blocker: bool | Curve = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
        antialiasing: Literal["off", "first"] | str = ...,
    ) -> Audio: ...
    @overload
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        audio: NDArray[Any],
        sample_rate: float,
        *,
        frames_first: bool = False,
        drive: float | str | Curve = ...,
        bias: float | str | Curve = ...,
        tone: float | str | Curve = ...,
        slope: Literal[6, 12] | str = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        compensation: bool | Curve = ...,
        dc_blocker: bool | Curve = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
        antialiasing: Literal["off", "first"] | str = ...,
    ) -> NDArray[Any]: ...

class Bitcrusher(Effect):
    """Coarser numbers and a lower sample rate, as from early samplers.

    Parameters, with range, [default] and whether a call takes an array for them:
        bits: Word length, also between whole numbers: fewer bits, coarser steps. 1 to 24 bit [8]; a value or an array.
        rate: Sample rate of the crushed sound, also between fractions of the host's: lower is darker and more metallic. 100 to 96000 Hz or off [off]; a value or an array.
        quantiser: Mid-tread has a step at zero and gates quiet sound, mid-rise has none and lets it buzz. mid-tread or mid-rise [mid-tread]; one value.
        dither: Noise before the quantiser: distortion becomes hiss. none, rpdf or tpdf [none]; one value.
        jitter: Uneven sampling instants at a lowered rate: grit. 0 to 100 % [0]; a value or an array.
        pre_filter: Low-pass (12 dB per octave) before the crusher: less aliasing. 200 to 20000 Hz or off [off]; a value or an array.
        post_filter: Low-pass (12 dB per octave) behind the crusher: rounder steps. 200 to 20000 Hz or off [off]; a value or an array.
        output: Level of the result. -48 to 24 dB [0]; a value or an array.
        mix: Dry at 0, crushed at 100. 0 to 100 % [100]; a value or an array.
    """
    def __init__(
        self,
        *,
        bits: float | str = 8.0,
        rate: float | str = 96000.0,
        quantiser: Literal["mid-tread", "mid-rise"] | str = "mid-tread",
        dither: Literal["none", "rpdf", "tpdf"] | str = "none",
        jitter: float | str = 0.0,
        pre_filter: float | str = 20000.0,
        post_filter: float | str = 20000.0,
        output: float | str = 0.0,
        mix: float | str = 100.0,
    ) -> None: ...
    @property
    def bits(self) -> float:
        """Word length, also between whole numbers: fewer bits, coarser steps. 1 to 24 bit."""
    @property
    def rate(self) -> float:
        """Sample rate of the crushed sound, also between fractions of the host's: lower is darker and more metallic. 100 to 96000 Hz or off."""
    @property
    def quantiser(self) -> Literal["mid-tread", "mid-rise"]:
        """Mid-tread has a step at zero and gates quiet sound, mid-rise has none and lets it buzz. mid-tread or mid-rise."""
    @property
    def dither(self) -> Literal["none", "rpdf", "tpdf"]:
        """Noise before the quantiser: distortion becomes hiss. none, rpdf or tpdf."""
    @property
    def jitter(self) -> float:
        """Uneven sampling instants at a lowered rate: grit. 0 to 100 %."""
    @property
    def pre_filter(self) -> float:
        """Low-pass (12 dB per octave) before the crusher: less aliasing. 200 to 20000 Hz or off."""
    @property
    def post_filter(self) -> float:
        """Low-pass (12 dB per octave) behind the crusher: rounder steps. 200 to 20000 Hz or off."""
    @property
    def output(self) -> float:
        """Level of the result. -48 to 24 dB."""
    @property
    def mix(self) -> float:
        """Dry at 0, crushed at 100. 0 to 100 %."""
    def replace(  # type: ignore[override]
        self,
        *,
        bits: float | str = ...,
        rate: float | str = ...,
        quantiser: Literal["mid-tread", "mid-rise"] | str = ...,
        dither: Literal["none", "rpdf", "tpdf"] | str = ...,
        jitter: float | str = ...,
        pre_filter: float | str = ...,
        post_filter: float | str = ...,
        output: float | str = ...,
        mix: float | str = ...,
    ) -> Self:
        """This effect with other settings."""
    @overload  # type: ignore[override]
    def __call__(
        self,
        audio: Audio,
        sample_rate: None = None,
        *,
        frames_first: bool = False,
        bits: float | str | Curve = ...,
        rate: float | str | Curve = ...,
        quantiser: Literal["mid-tread", "mid-rise"] | str = ...,
        dither: Literal["none", "rpdf", "tpdf"] | str = ...,
        jitter: float | str | Curve = ...,
        pre_filter: float | str | Curve = ...,
        post_filter: float | str | Curve = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
    ) -> Audio: ...
    @overload
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        audio: NDArray[Any],
        sample_rate: float,
        *,
        frames_first: bool = False,
        bits: float | str | Curve = ...,
        rate: float | str | Curve = ...,
        quantiser: Literal["mid-tread", "mid-rise"] | str = ...,
        dither: Literal["none", "rpdf", "tpdf"] | str = ...,
        jitter: float | str | Curve = ...,
        pre_filter: float | str | Curve = ...,
        post_filter: float | str | Curve = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
    ) -> NDArray[Any]: ...

class Clipper(Effect):
    """Cuts peaks off at a threshold, hard or with a cubic knee.

    Parameters, with range, [default] and whether a call takes an array for them:
        threshold: The level that no peak passes. -48 to 0 dB [-6]; a value or an array.
        shape: Hard leaves all below the threshold alone; cubic bends towards it. hard or cubic [cubic]; one value.
        output: Level of the result. -48 to 24 dB [0]; a value or an array.
        mix: Dry at 0, clipped at 100; both stay in phase. 0 to 100 % [100]; a value or an array.
        oversampling: Runs the curve at a higher rate: less aliasing, more latency and work, and peaks may pass by a little. 1, 2, 4 or 8 [8]; one value.
        render_oversampling: Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2, 4 or 8 [as-set]; one value.
    """
    def __init__(
        self,
        *,
        threshold: float | str = -6.0,
        shape: Literal["hard", "cubic"] | str = "cubic",
        output: float | str = 0.0,
        mix: float | str = 100.0,
        oversampling: Literal[1, 2, 4, 8] | str = 8,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = "as-set",
    ) -> None: ...
    @property
    def threshold(self) -> float:
        """The level that no peak passes. -48 to 0 dB."""
    @property
    def shape(self) -> Literal["hard", "cubic"]:
        """Hard leaves all below the threshold alone; cubic bends towards it. hard or cubic."""
    @property
    def output(self) -> float:
        """Level of the result. -48 to 24 dB."""
    @property
    def mix(self) -> float:
        """Dry at 0, clipped at 100; both stay in phase. 0 to 100 %."""
    @property
    def oversampling(self) -> Literal[1, 2, 4, 8]:
        """Runs the curve at a higher rate: less aliasing, more latency and work, and peaks may pass by a little. 1, 2, 4 or 8."""
    @property
    def render_oversampling(self) -> Literal["as-set", 1, 2, 4, 8]:
        """Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2, 4 or 8."""
    def replace(  # type: ignore[override]
        self,
        *,
        threshold: float | str = ...,
        shape: Literal["hard", "cubic"] | str = ...,
        output: float | str = ...,
        mix: float | str = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
    ) -> Self:
        """This effect with other settings."""
    @overload  # type: ignore[override]
    def __call__(
        self,
        audio: Audio,
        sample_rate: None = None,
        *,
        frames_first: bool = False,
        threshold: float | str | Curve = ...,
        shape: Literal["hard", "cubic"] | str = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
    ) -> Audio: ...
    @overload
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        audio: NDArray[Any],
        sample_rate: float,
        *,
        frames_first: bool = False,
        threshold: float | str | Curve = ...,
        shape: Literal["hard", "cubic"] | str = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        oversampling: Literal[1, 2, 4, 8] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4, 8] | str = ...,
    ) -> NDArray[Any]: ...

class Neural(Effect):
    """Plays a neural model of an amplifier or another device; without one, the sound passes.

    Parameters, with range, [default] and whether a call takes an array for them:
        model: path of a model's file, its bytes, or None, with which the sound passes.
        model_rate: sample rate in Hz of a model whose file has none.
        input: Gain into the model: more drive. -24 to 24 dB [0]; a value or an array.
        output: Level of the result. -48 to 24 dB [0]; a value or an array.
        mix: Dry at 0, the model at 100. 0 to 100 % [100]; a value or an array.
        output_mode: Level of the model: its own, -18 dB loudness for all, or that of the device; its own if it does not say. raw, normalised or calibrated [normalised]; one value.
        calibrate_input: Drives the model as the device was driven, where it says its level. on or off [off]; a value or an array.
        interface_level: Level of the audio interface's full scale, for both calibrations. -10 to 30 dBu [12]; a value or an array.
        size: Which of a slimmable model's networks: closer to the device, more work. 0 to 1 [1]; one value.
        precision: Exact computes tanh and its like by the standard library: for comparisons, many times slower. fast or exact [fast]; one value.
        align: Undoes the model's measured delay and polarity: in phase with what it is compared with. on or off [off]; one value.
        knob_1: A control that the model was trained with; nothing where it has none. 0 to 1 [0.5]; a value or an array.
        knob_2: A control that the model was trained with; nothing where it has none. 0 to 1 [0.5]; a value or an array.
        knob_3: A control that the model was trained with; nothing where it has none. 0 to 1 [0.5]; a value or an array.
        knob_4: A control that the model was trained with; nothing where it has none. 0 to 1 [0.5]; a value or an array.
        dc_blocker: High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset. on or off [off]; a value or an array.
        oversampling: Runs the model at a multiple of its rate: less aliasing, more latency and work. 1, 2 or 4 [1]; one value.
        render_oversampling: Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2 or 4 [as-set]; one value.
        A knob of the model can also be set by its own name in its own unit.
    """
    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | None,
        *,
        input: float | str = 0.0,
        output: float | str = 0.0,
        mix: float | str = 100.0,
        output_mode: Literal["raw", "normalised", "calibrated"] | str = "normalised",
        calibrate_input: bool = False,
        interface_level: float | str = 12.0,
        size: float | str = 1.0,
        precision: Literal["fast", "exact"] | str = "fast",
        align: bool = False,
        knob_1: float | str = 0.5,
        knob_2: float | str = 0.5,
        knob_3: float | str = 0.5,
        knob_4: float | str = 0.5,
        dc_blocker: bool = False,
        oversampling: Literal[1, 2, 4] | str = 1,
        render_oversampling: Literal["as-set", 1, 2, 4] | str = "as-set",
        model_rate: float | None = None,
        **knobs: float | str,
    ) -> None: ...
    @property
    def input(self) -> float:
        """Gain into the model: more drive. -24 to 24 dB."""
    @property
    def output(self) -> float:
        """Level of the result. -48 to 24 dB."""
    @property
    def mix(self) -> float:
        """Dry at 0, the model at 100. 0 to 100 %."""
    @property
    def output_mode(self) -> Literal["raw", "normalised", "calibrated"]:
        """Level of the model: its own, -18 dB loudness for all, or that of the device; its own if it does not say. raw, normalised or calibrated."""
    @property
    def calibrate_input(self) -> bool:
        """Drives the model as the device was driven, where it says its level. on or off."""
    @property
    def interface_level(self) -> float:
        """Level of the audio interface's full scale, for both calibrations. -10 to 30 dBu."""
    @property
    def size(self) -> float:
        """Which of a slimmable model's networks: closer to the device, more work. 0 to 1."""
    @property
    def precision(self) -> Literal["fast", "exact"]:
        """Exact computes tanh and its like by the standard library: for comparisons, many times slower. fast or exact."""
    @property
    def align(self) -> bool:
        """Undoes the model's measured delay and polarity: in phase with what it is compared with. on or off."""
    @property
    def knob_1(self) -> float:
        """A control that the model was trained with; nothing where it has none. 0 to 1."""
    @property
    def knob_2(self) -> float:
        """A control that the model was trained with; nothing where it has none. 0 to 1."""
    @property
    def knob_3(self) -> float:
        """A control that the model was trained with; nothing where it has none. 0 to 1."""
    @property
    def knob_4(self) -> float:
        """A control that the model was trained with; nothing where it has none. 0 to 1."""
    @property
    def dc_blocker(self) -> bool:
        """High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset. on or off."""
    @property
    def oversampling(self) -> Literal[1, 2, 4]:
        """Runs the model at a multiple of its rate: less aliasing, more latency and work. 1, 2 or 4."""
    @property
    def render_oversampling(self) -> Literal["as-set", 1, 2, 4]:
        """Oversampling of a bounce or a render; the latency is always the larger of both. as-set, 1, 2 or 4."""
    @property
    def model(self) -> dict[str, Any] | None:
        """Facts of the model: path, name, knobs ...; None without."""
    def replace(
        self,
        *,
        model: str | os.PathLike[str] | bytes | None = ...,
        input: float | str = ...,
        output: float | str = ...,
        mix: float | str = ...,
        output_mode: Literal["raw", "normalised", "calibrated"] | str = ...,
        calibrate_input: bool = ...,
        interface_level: float | str = ...,
        size: float | str = ...,
        precision: Literal["fast", "exact"] | str = ...,
        align: bool = ...,
        knob_1: float | str = ...,
        knob_2: float | str = ...,
        knob_3: float | str = ...,
        knob_4: float | str = ...,
        dc_blocker: bool = ...,
        oversampling: Literal[1, 2, 4] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4] | str = ...,
        model_rate: float | None = ...,
        **knobs: float | str,
    ) -> Self:
        """This effect with other settings."""
    @overload
    def __call__(
        self,
        audio: Audio,
        sample_rate: None = None,
        *,
        frames_first: bool = False,
        input: float | str | Curve = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        output_mode: Literal["raw", "normalised", "calibrated"] | str = ...,
        calibrate_input: bool | Curve = ...,
        interface_level: float | str | Curve = ...,
        size: float | str = ...,
        precision: Literal["fast", "exact"] | str = ...,
        align: bool = ...,
        knob_1: float | str | Curve = ...,
        knob_2: float | str | Curve = ...,
        knob_3: float | str | Curve = ...,
        knob_4: float | str | Curve = ...,
        dc_blocker: bool | Curve = ...,
        oversampling: Literal[1, 2, 4] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4] | str = ...,
        **knobs: float | str,
    ) -> Audio: ...
    @overload
    def __call__(
        self,
        audio: NDArray[Any],
        sample_rate: float,
        *,
        frames_first: bool = False,
        input: float | str | Curve = ...,
        output: float | str | Curve = ...,
        mix: float | str | Curve = ...,
        output_mode: Literal["raw", "normalised", "calibrated"] | str = ...,
        calibrate_input: bool | Curve = ...,
        interface_level: float | str | Curve = ...,
        size: float | str = ...,
        precision: Literal["fast", "exact"] | str = ...,
        align: bool = ...,
        knob_1: float | str | Curve = ...,
        knob_2: float | str | Curve = ...,
        knob_3: float | str | Curve = ...,
        knob_4: float | str | Curve = ...,
        dc_blocker: bool | Curve = ...,
        oversampling: Literal[1, 2, 4] | str = ...,
        render_oversampling: Literal["as-set", 1, 2, 4] | str = ...,
        **knobs: float | str,
    ) -> NDArray[Any]: ...
