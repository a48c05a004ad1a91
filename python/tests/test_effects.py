"""Laws of effects: values, arrays in every layout, automation, streams, threads, Ctrl-C, and the samples of the plug-in."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isotherm
from isotherm import Bitcrusher, Chain, Clipper, Effect, Neural, Saturator
from isotherm._effect import REGISTRY, class_name

RATE = 48_000
MODELS = Path(__file__).resolve().parents[2] / "assets" / "models"
LSTM = MODELS / "saturator-lstm8.nam"
KNOB = MODELS / "saturator-drive-lstm16.json"


def noise(frames: int = 5000, channels: int | None = None, seed: int = 1) -> np.ndarray:
    shape = (frames,) if channels is None else (channels, frames)
    return np.random.default_rng(seed).uniform(-0.8, 0.8, shape).astype(np.float32)


def every_effect() -> list[Effect]:
    return [Saturator(), Saturator(drive=24, oversampling=1, tone="off"), Bitcrusher(), Clipper(shape="hard"), Neural(LSTM)]


ids = [f"{effect.algorithm}{index}" for index, effect in enumerate(every_effect())]
each = pytest.mark.parametrize("effect", every_effect(), ids=ids)


# Values.


def test_every_algorithm_of_the_registry_is_a_class_with_its_parameters() -> None:
    for row in REGISTRY:
        made = getattr(isotherm, class_name(row))
        effect = made(None) if row["plays_model"] else made()
        assert effect.algorithm == row["id"] and list(effect.settings) == [p["id"] for p in row["parameters"]]
        for parameter in row["parameters"]:
            assert getattr(effect, parameter["id"]) == parameter["default"]
            assert parameter["doc"] in made.__doc__ and parameter["expected"] in made.__doc__


@pytest.mark.parametrize("value", [4, "4", "4x", "4X", 4.0, np.int64(4)])
def test_a_choice_is_taken_by_its_number_or_its_name(value: Any) -> None:
    assert Saturator(oversampling=value) == Saturator(oversampling=4)
    assert Saturator(oversampling=value).oversampling == 4


def test_numbers_are_taken_as_numpy_and_python_have_them_and_as_text_with_a_unit() -> None:
    for value in (24, 24.0, np.float32(24), np.float64(24), np.int16(24), "24", "24 dB", "24dB"):
        assert Saturator(drive=value) == Saturator(drive=24)
    assert Saturator(tone="off") == Saturator(tone=20_000) and Saturator(tone="2.5k").tone == 2500
    assert Saturator(drive=0.1).drive == 0.1
    assert Saturator(compensation=False).compensation is False and Saturator(compensation="off") == Saturator(compensation=False)
    assert Saturator(compensation=np.bool_(False)) == Saturator(compensation=False)
    assert Bitcrusher(quantiser="mid-rise").quantiser == "mid-rise"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Saturator(drive=99), ["drive", "99", "-12 to 48 dB"]),
        (lambda: Saturator(drive=float("nan")), ["drive", "-12 to 48 dB"]),
        (lambda: Saturator(drive="loud"), ["drive", "loud", "-12 to 48 dB"]),
        (lambda: Saturator(oversampling=3), ["oversampling", "3", "1, 2, 4 or 8"]),
        (lambda: Saturator(oversampling=4.5), ["oversampling", "1, 2, 4 or 8"]),
        (lambda: Saturator(compensation=2), ["compensation", "on or off"]),
        (lambda: Effect.parse("saturator drve=3"), ["drve", "expected drive"]),
        (lambda: Effect.parse(""), ["expected"]),
        (lambda: Effect.from_json("{"), ["JSON"]),
        (lambda: Effect.from_json('{"algorithm": "fuzz"}'), ["fuzz", "saturator"]),
        (lambda: Neural(LSTM, model_rate=44_100), ["44100", "48000"]),
        (lambda: Neural(b"no model"), ["expected a model"]),
        (lambda: Neural(KNOB, drive=99), ["drive", "99"]),
    ],
)
def test_a_value_that_is_not_one_is_a_value_error_that_names_it_and_the_range(call: Any, words: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Saturator(drvie=3), ["drvie", "did you mean 'drive'"]),
        (lambda: Saturator(drive=None), ["drive", "NoneType"]),
        (lambda: Saturator(drive=True), ["drive", "bool"]),
        (lambda: Saturator(drive=[1.0]), ["drive", "list"]),
        (lambda: Saturator(24), []),  # type: ignore[call-arg, misc]
        (lambda: Neural(), []),  # type: ignore[call-arg]
        (lambda: Neural(3), ["model", "int"]),
        (lambda: Neural(LSTM, gain=3), ["gain", "expected input", "output_mode"]),
        (lambda: Neural(KNOB, inptu=3), ["inptu", "did you mean 'input'", "knobs of its model: Drive"]),
        (lambda: Saturator().__init__(drive=3), ["never changes"]),  # type: ignore[misc]
        (lambda: Effect(), ["Effect.parse"]),
        (lambda: Chain([Saturator(), "clipper"]), ["effect 1", "str"]),
    ],
)
def test_a_wrong_name_or_type_is_a_type_error_that_says_what_is_right(call: Any, words: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_model_that_is_not_there_is_a_file_not_found_error_with_its_path() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Neural("/nowhere/amp.nam")
    assert caught.value.filename == "/nowhere/amp.nam"


@each
def test_an_effect_is_read_from_its_text_its_json_its_repr_and_its_pickle(effect: Effect) -> None:
    names = {"Neural": Neural, "Saturator": Saturator, "Bitcrusher": Bitcrusher, "Clipper": Clipper}
    others = [
        Effect.parse(str(effect)),
        Effect.from_json(effect.to_json()),
        Effect.from_json(json.loads(effect.to_json())),
        eval(repr(effect), names),
        pickle.loads(pickle.dumps(effect)),
        copy.deepcopy(effect),
        effect.replace(),
    ]
    for other in others:
        assert other == effect and hash(other) == hash(effect) and type(other) is type(effect)
        assert str(other) == str(effect) and other.settings == effect.settings
    assert effect != effect.replace(mix=50) and effect != "saturator" and {effect: 1}[others[0]] == 1


def test_text_is_that_of_the_command_line() -> None:
    assert str(Saturator(drive=24, oversampling=4, tone="off")) == "saturator drive=24 tone=off oversampling=4x"
    assert repr(Saturator(drive=24, oversampling=4)) == "Saturator(drive=24.0, oversampling=4)"


def test_an_effect_never_changes() -> None:
    effect = Saturator(drive=3)
    with pytest.raises(AttributeError):
        effect.drive = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        effect.dirve = 5  # type: ignore[attr-defined]
    assert effect.replace(drive=5).drive == 5 and effect.drive == 3


def test_a_pickle_carries_the_model_to_a_machine_that_does_not_have_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gone.nam"
    path.write_bytes(LSTM.read_bytes())
    effect = Neural(path, input=3)
    stored = pickle.dumps(effect)
    here = pickle.loads(stored)
    assert here == effect and str(here) == str(effect)
    path.unlink()
    there = pickle.loads(stored)
    assert there == effect and hash(there) == hash(effect) and repr(there) == "Neural(<bytes>, input=3.0)"
    assert (there(noise(), RATE) == effect(noise(), RATE)).all()
    with pytest.raises(ValueError, match="in no file"):
        there.to_json()
    assert str(there) == "neural model=<bytes> input=3"
    path.write_bytes(KNOB.read_bytes())
    assert pickle.loads(stored) == effect, "another file of that name is not taken"


def test_models_are_read_from_bytes_and_equal_by_their_bytes() -> None:
    assert Neural(LSTM) == Neural(LSTM.read_bytes()) == Neural(str(LSTM)) != Neural(None)
    facts = Neural(LSTM).model
    assert facts is not None and facts["path"] == LSTM and facts["sample_rate"] == 48_000 and Neural(None).model is None


def test_a_model_can_be_replaced_as_it_is_given() -> None:
    effect = Neural(LSTM, input=3)
    for model in (KNOB, str(KNOB), KNOB.read_bytes()):
        assert effect.replace(model=model, mix=50) == Neural(KNOB, input=3, mix=50)
    assert effect.replace(model=None) == Neural(None, input=3)
    with pytest.raises(FileNotFoundError):
        effect.replace(model="/nowhere/amp.nam")


class Louder(Saturator):
    """A class of a user's own."""


def test_a_subclass_keeps_its_class() -> None:
    effect = Louder(drive=30)
    assert type(effect.replace(drive=3)) is Louder and type(pickle.loads(pickle.dumps(effect))) is Louder
    assert effect == Saturator(drive=30)


def test_a_knob_as_an_array_is_named_by_its_number() -> None:
    sound = noise(500)
    with pytest.raises(TypeError, match="knob_1"):
        Neural(KNOB)(sound, RATE, drive=np.full(500, 18.0))
    np.testing.assert_array_equal(Neural(KNOB)(sound, RATE, knob_1=np.full(500, 0.5)), Neural(KNOB, drive=18)(sound, RATE))


def test_a_knob_of_a_model_is_set_by_its_own_name_and_unit() -> None:
    assert Neural(KNOB, drive=18).knob_1 == pytest.approx(0.5)
    assert Neural(KNOB, drive=18) == Neural(KNOB, knob_1=0.5)


# Arrays.


@each
@pytest.mark.parametrize("channels", [None, 1, 2, 5])
def test_a_result_has_the_form_of_its_input(effect: Effect, channels: int | None) -> None:
    sound = noise(3000, channels)
    wet = effect(sound, RATE)
    assert wet.shape == sound.shape and wet.dtype == np.float32 and wet.flags.c_contiguous and wet.flags.writeable
    rows = [effect(row, RATE) for row in np.atleast_2d(sound)]
    if effect.algorithm != "bitcrusher":
        assert (np.atleast_2d(wet) == np.stack(rows)).all(), "channels do not influence each other"
    double = effect(sound.astype(np.float64), RATE)
    assert double.dtype == np.float64 and (double == wet).all()


@each
def test_memory_layout_changes_no_sample_and_the_input_stays_as_it_is(effect: Effect) -> None:
    sound = noise(2000, 2)
    before, wet = sound.copy(), effect(sound, RATE)
    wide = np.zeros((2, 4000), np.float32)
    wide[:, ::2] = sound
    locked = sound.copy()
    locked.flags.writeable = False
    strange = np.zeros((2, 2000), ">f4")
    strange[...] = sound
    packed = np.frombuffer(b"x" + sound.tobytes(), np.uint8)[1:].view(np.float32).reshape(2, 2000)
    assert not packed.flags.aligned
    for other in (packed, wide[:, ::2], sound.T.copy().T, np.asfortranarray(sound), locked, sound[::-1][::-1], strange, sound[:, ::-1][:, ::-1]):
        assert (effect(other, RATE) == wet).all()
    assert (sound == before).all()
    first = effect(np.ascontiguousarray(sound.T), RATE, frames_first=True)
    assert first.shape == (2000, 2) and (first.T == wet).all()


def test_two_channels_of_two_frames_are_channels_by_frames() -> None:
    sound = np.array([[0.5, -0.5], [0.25, 0.1]], np.float32)
    clip = Clipper(oversampling=1, threshold=-12, shape="hard")
    level = 10 ** (-12 / 20)
    np.testing.assert_allclose(clip(sound, RATE), [[level, -level], [0.25, 0.1]], atol=1e-6)
    np.testing.assert_array_equal(clip(sound.T, RATE, frames_first=True), clip(sound, RATE).T)


@each
@pytest.mark.parametrize("shape", [(0,), (1, 0), (2, 0)])
def test_an_empty_sound_gives_an_empty_one(effect: Effect, shape: tuple[int, ...]) -> None:
    assert effect(np.zeros(shape, np.float32), RATE).shape == shape
    block, _ = effect.process(np.zeros(shape, np.float32), effect.start(RATE, max(1, len(shape) and (shape[0] if len(shape) == 2 else 1))))
    assert block.shape == shape


@each
def test_nan_counts_as_silence_and_infinity_does_no_lasting_harm(effect: Effect) -> None:
    sound = noise(4000)
    bad, silent, infinite = sound.copy(), sound.copy(), sound.copy()
    bad[1000:1010] = np.nan
    silent[1000:1010] = 0.0
    infinite[1000:1010] = np.inf
    np.testing.assert_array_equal(effect(bad, RATE), effect(silent, RATE))
    assert np.isfinite(effect(infinite, RATE)).all()


def test_integers_are_read_with_their_range_as_full_scale() -> None:
    sound = noise()
    for dtype, scale, zero in ((np.int16, 32768, 0), (np.int32, 2147483648, 0), (np.uint8, 128, 128)):
        whole = np.round(sound.astype(np.float64) * (scale - 1)).astype(np.int64)
        wet = Saturator()((whole + zero).astype(dtype), RATE)
        assert wet.dtype == np.float32
        np.testing.assert_array_equal(wet, Saturator()((whole / scale).astype(np.float32), RATE))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Saturator()(noise()), TypeError, ["sample_rate"]),
        (lambda: Saturator()([0.1, 0.2], RATE), TypeError, ["list", "NumPy array"]),
        (lambda: Saturator()("a.wav", RATE), TypeError, ["str"]),
        (lambda: Saturator()(noise().astype(complex), RATE), TypeError, ["complex128", "float32"]),
        (lambda: Saturator()(noise().astype(object), RATE), TypeError, ["object"]),
        (lambda: Saturator()(noise().astype(np.int64), RATE), TypeError, ["int64"]),
        (lambda: Saturator()(np.zeros((2, 3, 4), np.float32), RATE), ValueError, ["(2, 3, 4)", "(channels, frames)"]),
        (lambda: Saturator()(np.float32(1), RATE), TypeError, ["float32"]),
        (lambda: Saturator()(np.zeros((), np.float32), RATE), ValueError, ["()"]),
        (lambda: Saturator()(np.zeros((0, 10), np.float32), RATE), ValueError, ["(0, 10)", "0 channels"]),
        (lambda: Saturator()(np.zeros((48_000, 2), np.float32), RATE), ValueError, ["(48000, 2)", "frames_first=True"]),
        (lambda: Saturator()(noise(), 0), ValueError, ["0 Hz"]),
        (lambda: Saturator()(noise(), -1), ValueError, ["-1"]),
        (lambda: Saturator()(noise(), float("nan")), ValueError, ["nan"]),
        (lambda: Saturator()(noise(), "48k"), TypeError, ["sample_rate", "str"]),
        (lambda: Saturator()(noise(), True), TypeError, ["sample_rate", "bool"]),
        (lambda: Saturator()(noise(), RATE, drve=3), TypeError, ["drve", "did you mean 'drive'"]),
        (lambda: Saturator()(noise(), RATE, drive=99), ValueError, ["99", "-12 to 48 dB"]),
        (lambda: Saturator().start(0), ValueError, ["0 Hz"]),
        (lambda: Saturator().start(RATE, 0), ValueError, ["channels", "0"]),
        (lambda: Saturator().start(RATE, 1000), ValueError, ["channels", "1000", "1 to 128"]),
        (lambda: Saturator().start(RATE, 2**70), ValueError, ["channels", "1 to 128"]),
        (lambda: Saturator().latency(RATE, 2**70), ValueError, ["channels", "1 to 128"]),
        (lambda: Saturator()(np.ma.array(noise()), RATE), TypeError, ["MaskedArray"]),
        (lambda: Effect.parse(5), TypeError, ["text", "int"]),
        (lambda: Saturator().start(RATE, 1.5), TypeError, ["channels", "float"]),
        (lambda: Saturator().process(noise(10, 2), Saturator().start(RATE)), ValueError, ["2 channels", "expected 1"]),
        (lambda: Saturator().process(noise(), None), TypeError, ["NoneType", "EffectState"]),
        (lambda: pickle.dumps(Saturator().start(RATE)), TypeError, ["EffectState"]),
    ],
)
def test_a_wrong_sound_is_an_error_that_says_what_was_found_and_expected(call: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error and all(word in str(caught.value) for word in words), caught.value


def test_any_sample_rate_either_renders_or_is_an_error_in_one_line() -> None:
    for effect in every_effect():
        for rate in (1, 8, 100.5, 7999, 192_000, 3_000_000, 4_000_000_000, 1e30):
            try:
                wet = effect(noise(64), rate)
            except ValueError as error:
                assert "\n" not in str(error)
            else:
                assert wet.shape == (64,) and np.isfinite(wet).all()


# Automation.


def test_a_constant_curve_is_the_value() -> None:
    sound = noise(6000, 2)
    np.testing.assert_array_equal(
        Saturator()(sound, RATE, drive=np.full(6000, 30.0)), Saturator(drive=30)(sound, RATE)
    )


def test_a_step_begins_at_its_frame_and_glides_for_20_ms() -> None:
    clip = Clipper(oversampling=1, threshold=0, shape="hard")
    sound = np.full(6000, 0.25, np.float32)
    curve = np.zeros(6000)
    curve[2000:] = -20.0
    wet = clip(sound, RATE, output=curve)
    assert (wet[:2000] == 0.25).all() and wet[2001] < 0.25 and wet[2000 + 900] > 0.0251
    np.testing.assert_allclose(wet[2000 + 960 :], 0.025, rtol=1e-5)
    assert (np.diff(wet[2000:2960]) < 0).all()


def test_a_curve_that_moves_in_every_frame_is_followed_by_a_one_pole_of_20_ms() -> None:
    clip = Clipper(oversampling=1, threshold=0, shape="hard")
    frames = 20_000
    mix = np.linspace(100, 50, frames)
    wet = clip(np.full(frames, 0.25, np.float32), RATE, mix=mix, output=0)
    assert wet.shape == (frames,)
    curve = np.linspace(0.0, -12.0, frames)
    gain = clip(np.full(frames, 0.25, np.float32), RATE, output=curve) / 0.25
    lagging = curve[frames - 1 - 960]
    assert 20 * np.log10(gain[-1]) == pytest.approx(lagging, abs=0.05), "a straight line lags by 20 ms"


def test_curves_and_values_may_be_mixed_and_be_of_any_dtype() -> None:
    sound = noise(3000)
    curve = np.linspace(-10, 0, 3000)
    wet = Saturator()(sound, RATE, output=curve, drive=30, oversampling=2)
    np.testing.assert_array_equal(wet, Saturator(drive=30, oversampling=2)(sound, RATE, output=curve))
    np.testing.assert_array_equal(
        Saturator()(sound, RATE, output=np.full(3000, -6, np.int16)), Saturator(output=-6)(sound, RATE)
    )
    flags = np.zeros(3000, bool)
    np.testing.assert_array_equal(Saturator()(sound, RATE, compensation=flags), Saturator(compensation=False)(sound, RATE))
    strided = np.repeat(curve, 2)[::2]
    np.testing.assert_array_equal(Saturator()(sound, RATE, output=strided), Saturator()(sound, RATE, output=curve))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"oversampling": np.zeros(100)}, TypeError, ["oversampling", "one value"]),
        ({"drive": np.ma.zeros(100)}, TypeError, ["drive", "MaskedArray"]),
        ({"drive": np.zeros(99)}, ValueError, ["drive", "99", "100"]),
        ({"drive": np.zeros((2, 100))}, ValueError, ["drive", "(2, 100)"]),
        ({"drive": np.r_[np.zeros(50), np.full(50, 50.0)]}, ValueError, ["drive", "frame 50", "-12 to 48 dB"]),
        ({"drive": np.r_[np.zeros(99), np.nan]}, ValueError, ["drive", "NaN", "frame 99"]),
        ({"drive": np.array(["a"] * 100)}, TypeError, ["drive", "<U1"]),
        ({"drvie": np.zeros(100)}, TypeError, ["drvie", "did you mean 'drive'"]),
    ],
)
def test_a_curve_that_does_not_fit_is_an_error_that_says_why(settings: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        Saturator()(noise(100), RATE, **settings)
    assert all(word in str(caught.value) for word in words), caught.value


# Streams.


@each
def test_a_stream_cut_anywhere_is_the_whole_sound_later_by_the_latency(effect: Effect) -> None:
    sound = noise(9000, 2)
    whole, latency = effect(sound, RATE), effect.latency(RATE)
    for seed in range(3):
        cuts = np.sort(np.random.default_rng(seed).integers(0, 9000, 12))
        state, blocks = effect.start(RATE, 2), []
        for block in np.split(sound, cuts, axis=1):
            wet, state = effect.process(block, state)
            blocks.append(wet)
        assert state.latency == latency
        stream = np.concatenate(blocks, axis=1)
        np.testing.assert_array_equal(stream[:, latency:], whole[:, : 9000 - latency])
        moving = effect.start(RATE, 2)
        np.testing.assert_array_equal(np.concatenate([moving.process(b) for b in np.split(sound, cuts, axis=1)], axis=1), stream)


@pytest.mark.parametrize("kind", [Saturator, Clipper])
def test_a_render_and_a_stream_have_the_oversampling_of_renders_and_the_larger_latency(kind: type[Saturator | Clipper]) -> None:
    sound = noise()
    live, eight = kind(oversampling=1, render_oversampling=8), kind(oversampling=8)
    assert live.render_oversampling == 8 and eight.render_oversampling == "as-set"
    assert (kind(oversampling=1)(sound, RATE) != eight(sound, RATE)).any()
    np.testing.assert_array_equal(live(sound, RATE), eight(sound, RATE))
    (streamed, state), (expected, of_eight) = (effect.process(sound, effect.start(RATE)) for effect in (live, eight))
    np.testing.assert_array_equal(streamed, expected)
    assert state.latency == of_eight.latency == kind(oversampling=8, render_oversampling=1).start(RATE).latency


@each
def test_an_old_state_can_be_used_again(effect: Effect) -> None:
    first, second = noise(700, seed=1), noise(700, seed=2)
    _, state = effect.process(first, effect.start(RATE))
    once, after = effect.process(second, state)
    again, _ = effect.process(second, state)
    other, _ = effect.process(-second, state)
    np.testing.assert_array_equal(once, again)
    assert (other != once).any() and after is not state
    from_copy, _ = effect.process(second, copy.deepcopy(state))
    np.testing.assert_array_equal(from_copy, once)


@each
def test_reset_is_the_state_before_the_first_frame(effect: Effect) -> None:
    sound = noise(1500)
    fresh, used = effect.process(sound, effect.start(RATE))
    np.testing.assert_array_equal(effect.process(sound, effect.reset(used))[0], fresh)
    used.reset()
    np.testing.assert_array_equal(effect.process(sound, used)[0], fresh)


def test_an_effect_that_changes_between_blocks_glides_and_another_algorithm_begins_anew() -> None:
    clip = Clipper(oversampling=1, threshold=0, shape="hard")
    block = np.full(2000, 0.25, np.float32)
    _, state = clip.process(block, clip.start(RATE))
    wet, state = clip.replace(output=-20).process(block, state)
    assert wet[0] > 0.24 and wet[-1] == pytest.approx(0.025, rel=1e-5)
    wet, _ = Saturator().process(block, state)
    np.testing.assert_array_equal(wet, Saturator().process(block, Saturator().start(RATE))[0])


def test_a_state_that_cannot_be_copied_says_so_and_moves_on_in_place() -> None:
    effect = Neural(LSTM)
    sound = noise(6000)
    state = effect.start(44_100)
    with pytest.raises(RuntimeError, match="state.process"):
        effect.process(sound, state)
    latency = state.latency
    stream = np.concatenate([state.process(block) for block in np.split(sound, [1, 500, 3000])])
    np.testing.assert_array_equal(stream[latency:], effect(sound, 44_100)[: 6000 - latency])


@pytest.mark.skipif(not os.environ.get("ORT_DYLIB_PATH"), reason="ORT_DYLIB_PATH names no ONNX Runtime")
def test_a_model_in_onnx_runtime_streams_as_it_renders() -> None:
    effect = Neural(MODELS.parents[1] / "tests" / "onnx" / "lstm8.onnx")
    sound = noise(6000)
    whole, state = effect(sound, RATE), effect.start(RATE)
    stream = np.concatenate([state.process(block) for block in np.split(sound, [1, 500, 3000])])
    np.testing.assert_array_equal(stream[state.latency :], whole[: 6000 - state.latency])
    with pytest.raises(RuntimeError, match="ONNX Runtime"):
        effect.process(sound, state)
    assert pickle.loads(pickle.dumps(effect)) == effect


# Chains.


def test_a_chain_adds_its_latencies_and_streams_as_it_renders() -> None:
    chain = Chain([Saturator(), Clipper(), Bitcrusher(bits=12)])
    sound = noise(6000, 2)
    assert chain.latency(RATE) == sum(effect.latency(RATE) for effect in chain) == chain.start(RATE, 2).latency
    whole, state, blocks = chain(sound, RATE), chain.start(RATE, 2), []
    for block in np.split(sound, [3, 700, 4000], axis=1):
        wet, state = chain.process(block, state)
        blocks.append(wet)
    latency = state.latency
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1)[:, latency:], whole[:, : 6000 - latency])
    # One after the other is the same, but for what the filters spread over the first and the last frame of each.
    first, second = Clipper(threshold=-12), Clipper(threshold=-20, shape="hard")
    one_after_the_other = second(first(sound, RATE), RATE)
    np.testing.assert_array_equal(Chain([first, second])(sound, RATE)[:, 500:5500], one_after_the_other[:, 500:5500])


def test_a_chain_is_a_value_and_a_sequence() -> None:
    chain = Chain([Saturator(drive=24), Chain([Clipper(), Neural(LSTM)])])
    assert len(chain) == 3 and chain[1] == Clipper() and list(chain[1:]) == [Clipper(), Neural(LSTM)]
    others = [Chain.parse(str(chain)), Chain.from_json(chain.to_json()), pickle.loads(pickle.dumps(chain)), Chain(chain)]
    assert all(other == chain and hash(other) == hash(chain) for other in others)
    assert chain != Chain([]) and chain != list(chain)
    names = {"Chain": Chain, "Neural": Neural, "Saturator": Saturator, "Clipper": Clipper}
    assert eval(repr(chain), names) == chain


def test_an_empty_chain_gives_the_sound_as_it_is() -> None:
    sound = noise(1000, 2)
    empty = Chain([])
    np.testing.assert_array_equal(empty(sound, RATE), sound)
    assert empty.latency(RATE) == 0 and str(empty) == "" and Chain.parse("") == empty
    np.testing.assert_array_equal(empty.process(sound, empty.start(RATE, 2))[0], sound)
    with pytest.raises(ValueError, match="5 effects|0 effects|1 effects"):
        empty.process(sound, Saturator().start(RATE, 2))


# Threads and Ctrl-C.


@each
def test_threads_get_the_samples_of_one_thread(effect: Effect) -> None:
    sounds = [noise(20_000, seed=seed) for seed in range(4)]
    expected = [effect(sound, RATE) for sound in sounds]
    results: list[Any] = [None] * 4

    def work(index: int) -> None:
        results[index] = effect(sounds[index], RATE)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_other_threads_run_while_an_effect_works() -> None:
    sound = np.tile(noise(48_000), 60)
    ticks, over = [], threading.Event()

    def tick() -> None:
        while not over.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    Saturator()(sound, RATE)
    end = time.perf_counter()
    over.set()
    thread.join()
    inside = [t for t in ticks if start < t < end]
    assert len(inside) >= 5, "no other thread came to its turn"


def test_one_state_can_be_used_by_two_threads_one_after_the_other() -> None:
    effect, block = Saturator(), noise(4000)
    state = effect.start(RATE)
    threads = [threading.Thread(target=lambda: [state.process(block) for _ in range(20)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = effect.start(RATE)
    for _ in range(40):
        alone.process(block)
    np.testing.assert_array_equal(state.process(block), alone.process(block))


INTERRUPTED = """
import signal, sys, threading, time, os
import numpy as np, isotherm
{setup}
def later():
    time.sleep(0.3)
    global sent
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=later, daemon=True).start()
try:
    {call}
except KeyboardInterrupt:
    print(time.perf_counter() - sent)
    sys.stdout.flush()
    os._exit(0)
print("not interrupted")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("setup", "call"),
    [
        ("x = np.tile(np.random.default_rng(1).uniform(-1, 1, 48000).astype('f4'), 1500)", "isotherm.Saturator()(x, 48000)"),
        (
            "x = np.tile(np.random.default_rng(1).uniform(-1, 1, 48000).astype('f4'), 1500); s = isotherm.Saturator().start(48000)",
            "s.process(x)",
        ),
        ("", "isotherm.compare('saturator', 'clipper')"),
        ("", "isotherm.bench(['saturator', 'clipper'], seconds=30)"),
        ("x = np.random.default_rng(1).uniform(-1, 1, 48000 * 300).astype('f4'); y = x * 0.5", "isotherm.nmr(x, y, 48000)"),
    ],
    ids=["render", "stream", "compare", "bench", "measure"],
)
def test_ctrl_c_ends_long_work_soon(setup: str, call: str) -> None:
    script = INTERRUPTED.format(setup=setup, call=call)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    # It ends before the work would: a machine that is not busy takes 0.1 s.
    assert done.returncode == 0 and float(done.stdout) < 5.0, done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_effects_and_measures_work_in_a_forked_process() -> None:
    sound = noise(RATE)
    expected = Saturator()(sound, RATE)
    loudness = isotherm.lufs(sound, RATE)
    child = os.fork()
    if child == 0:
        same = (Saturator()(sound, RATE) == expected).all() and isotherm.lufs(sound, RATE) == loudness
        os._exit(0 if same else 1)
    deadline = time.monotonic() + 60
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_a_handler_that_interrupts_a_state_gets_an_error_for_it_and_no_deadlock() -> None:
    effect = Saturator()
    state, block = effect.start(RATE), np.tile(noise(48_000), 100)
    errors: list[str] = []

    def handler(number: int, frame: object) -> None:
        try:
            state.process(block[:64])
        except RuntimeError as error:
            errors.append(str(error))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        while not errors:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            state.process(block)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert "in use" in errors[0]


# Audio.


def test_audio_gives_audio_of_its_rate() -> None:
    audio = isotherm.AudioSamples.new_multi(noise(2000, 2), 44_100)
    wet = Saturator()(audio)
    assert isinstance(wet, isotherm.AudioSamples) and wet.sample_rate == 44_100
    np.testing.assert_array_equal(wet.to_numpy(), Saturator()(audio.to_numpy(), 44_100))
    mono = isotherm.AudioSamples.new_mono(noise(2000).astype(np.float64), 44_100)
    assert Saturator()(mono).to_numpy().shape == (2000,) and Saturator()(mono).to_numpy().dtype == np.float64
    block, state = Saturator().process(audio, Saturator().start(44_100, 2))
    assert isinstance(block, isotherm.AudioSamples)
    with pytest.raises(ValueError, match="44100 Hz; expected 48000 Hz"):
        Saturator().process(audio, Saturator().start(48_000, 2))
    with pytest.raises(ValueError, match="44100 Hz, found sample_rate=48000"):
        Saturator()(audio, 48_000)
    Saturator()(audio, drive=isotherm.AudioSamples.new_mono(np.zeros(2000), 44_100))
    del state


# Odd calls.


def test_an_odd_call_is_a_value_type_or_os_error_and_nothing_worse() -> None:
    ones = np.ones(1000)
    values: list[Any] = [
        *(None, 0, 1, -1, 2**70, 1e300, float("nan"), float("inf"), "x", "", b"x", [], [1], (), {}, True, object(), RATE),
        *(np.zeros(0), np.zeros(3, "f4"), np.zeros((2, 3)), np.zeros((3, 2), "i2"), np.array(1.0), np.zeros((0, 0), "f4")),
        *(np.zeros((1, 1, 1)), np.float32(3), np.array(["a"]), np.array([object()]), np.datetime64("2020"), np.ma.zeros(3)),
        *(Saturator(), Chain([]), isotherm.AudioSamples.new_mono(np.zeros(10), RATE), Saturator().start(RATE)),
    ]
    calls: list[Any] = [
        lambda a, b: Saturator()(a, b),
        lambda a, b: Saturator(drive=a, oversampling=b),
        lambda a, b: Saturator()(ones, RATE, drive=a, mix=b),
        lambda a, b: Saturator().start(a, b),
        lambda a, b: Saturator().latency(a, b),
        lambda a, b: Saturator().process(a, b),
        lambda a, b: Saturator().start(RATE).process(a, frames_first=b),
        lambda a, b: Effect.parse(a),
        lambda a, b: Effect.from_json(a),
        lambda a, b: Neural(a, model_rate=b),
        lambda a, b: Neural(LSTM).replace(model=a, size=b),
        lambda a, b: Chain(a)(ones, b),
        lambda a, b: Chain.parse(a),
        lambda a, b: Chain.from_json(a),
        lambda a, b: isotherm.esr(a, b),
        lambda a, b: isotherm.nmr(a, b, RATE),
        lambda a, b: isotherm.lufs(a, b),
        lambda a, b: isotherm.align(a, b, RATE),
        lambda a, b: isotherm.thd(a, b),
        lambda a, b: isotherm.thd(Clipper(), hz=a, amplitude=b),
        lambda a, b: isotherm.compare(a, "dry", 0 if b is None else b),  # None is the built-in material, which takes a minute
        lambda a, b: isotherm.compare("dry", a, (ones, RATE), limits=b),
        lambda a, b: isotherm.bench(a, blocks=b, seconds=0.01),
        lambda a, b: isotherm.bench("clipper", blocks=64, seconds=0.01, max_blocks=a, load=b if b != 1 else 0),
    ]
    choose = random.Random(1)
    for call in calls:
        for _ in range(60):
            a, b = choose.choice(values), choose.choice(values)
            try:
                call(a, b)
            except (ValueError, TypeError, OSError) as error:
                assert str(error), (a, b)


# The plug-in.


def _plugin() -> Any:
    bundle = os.environ.get("ISOTHERM_VST3")
    if not bundle or not Path(bundle).exists():
        pytest.skip("ISOTHERM_VST3 names no bundle of the plug-in")
    return pytest.importorskip("pedalboard").load_plugin(bundle)


#: Positions of knobs, 0 to 1 as hosts have them; those that are exact in 32 bits keep the plain value the same on both sides.
POSITIONS = [
    ("Saturator", {"drive": 0.625, "bias": 0.75, "tone": 1.0, "oversampling": 2 / 3}),
    ("Bitcrusher", {"bits": 0.25, "rate": 0.5, "pre_filter": 0.75, "quantiser": 1.0}),
    ("Clipper", {"threshold": 0.75, "oversampling": 1 / 3, "mix": 0.5}),
]


def _plain(parameter: dict[str, Any], position: float) -> Any:
    """The value at a position of a knob, by the rule of `Parameter::value_at`."""
    if parameter["kind"] == "choice":
        return parameter["choices"][round(position * (len(parameter["choices"]) - 1))]
    low, high = np.float32(parameter["min"]), np.float32(parameter["max"])
    if position in (0.0, 1.0):
        return float((low, high)[int(position)])
    if parameter["logarithmic"]:
        return float(np.float32(float(low) * (float(high) / float(low)) ** position))
    return float(low + (high - low) * np.float32(position))


@pytest.mark.parametrize(("name", "positions"), POSITIONS, ids=[name for name, _ in POSITIONS])
@pytest.mark.parametrize(("channels", "rate", "block"), [(1, 48_000, 512), (2, 44_100, 333)])
def test_the_samples_are_those_of_the_plug_in(name: str, positions: dict[str, float], channels: int, rate: int, block: int) -> None:
    plugin = _plugin()
    index, row = next((index, row) for index, row in enumerate(REGISTRY) if row["name"] == name)
    plugin.parameters["a_algorithm"].raw_value = index / (len(REGISTRY) - 1)
    settings = {}
    for parameter in row["parameters"]:
        if parameter["id"] in positions:
            position = positions[parameter["id"]]
            unit = parameter["unit"].replace("%", "")
            key = f"a {name} {parameter['name']} {unit}".strip().lower().replace(" ", "_")
            plugin.parameters[key].raw_value = position
            settings[parameter["id"]] = _plain(parameter, position)
    sound = noise(20_000, channels)
    given = np.concatenate([sound, np.zeros((channels, 4096), np.float32)], axis=1)
    expected = getattr(isotherm, name)(**settings)(sound, rate)
    # pedalboard prepares a plug-in when it loads it; values that need another processor arrive while it runs.
    found = None
    for _ in range(100):
        before, found = found, plugin.process(given, rate, buffer_size=block)[:, : sound.shape[1]]
        if before is not None and (found == before).all():
            break
        time.sleep(0.1)
    np.testing.assert_array_equal(found, expected)


def test_stubs_of_a_folder_with_white_space_in_a_model_path_are_quoted() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "my amp.nam"
        path.write_bytes(LSTM.read_bytes())
        assert Effect.parse(str(Neural(path))) == Neural(path)
