"""Laws of measures, alignment, comparisons and timing: they are the core's figures, and errors say what is wrong."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isotherm
from isotherm import AudioSamples, Bitcrusher, Chain, Clipper, Saturator
from isotherm import measures as table
from isotherm._measure import ANY_RATE, ROWS, names_of

RATE = 48_000
ROOT = Path(__file__).resolve().parents[2]


def noise(frames: int = 24_000, channels: int | None = None, seed: int = 1) -> np.ndarray:
    shape = (frames,) if channels is None else (channels, frames)
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


def sine(hz: float = 997.0, amplitude: float = 0.5, frames: int = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / RATE)).astype(np.float32)


def function(name: str) -> Any:
    return getattr(table, name)


# The table and its functions.


def test_every_row_has_functions_with_its_definition_and_unit() -> None:
    rows = table()
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS] and len(rows) > 30
    names = [name for row in rows for name in row["functions"]]
    assert len(names) == len(set(names))
    for row in rows:
        for name in row["functions"]:
            doc = function(name).__doc__
            assert row["definition"] in doc and row["name"] in doc and (f"in {row['unit']}" in doc or row["unit"] == "")


def test_the_names_that_users_expect_are_there() -> None:
    for name in ("esr", "mrstft", "nmr", "thd", "lufs", "true_peak", "aliasing", "null_db", "align", "compare", "bench", "measures"):
        assert callable(getattr(isotherm, name)), name


def test_figures_are_the_closed_forms() -> None:
    a = noise()
    assert isotherm.esr(a, 0.9 * a) == pytest.approx(0.01, rel=1e-3)
    assert isotherm.null_db(a, 0.9 * a) == pytest.approx(-20.0, abs=0.01)
    assert isotherm.esr(a, a) == 0.0 and isotherm.null_db(a, a) == -300.0
    both = np.stack([a, 0.5 * a])
    assert isotherm.esr(both, np.stack([a, a])) == pytest.approx(0.2, rel=1e-5), "all channels together"
    assert function("peak_dbfs")(sine(amplitude=0.5)) == pytest.approx(-6.02, abs=0.01)
    assert function("rms_dbfs")(sine(amplitude=0.5)) == pytest.approx(-9.03, abs=0.01)
    assert function("dc")(a + np.float32(0.25)) == pytest.approx(0.25, abs=0.01)
    # A sine of 0 dBFS at 997 Hz in one channel is -3.01 LUFS (BS.1770-5).
    assert isotherm.lufs(sine(amplitude=1.0, frames=5 * RATE), RATE) == pytest.approx(-3.01, abs=0.05)
    assert isotherm.true_peak(sine(hz=RATE / 4, amplitude=0.5), RATE) == pytest.approx(-6.02, abs=0.3)


def test_figures_of_arrays_are_those_of_audio_and_of_every_layout() -> None:
    a, b = noise(channels=2), noise(channels=2, seed=2)
    left, right = AudioSamples.new_multi(a, RATE), AudioSamples.new_multi(b, RATE)
    for row in ROWS:
        if row["kind"] == "comparison":
            figure = function(row["id"])(a, b, RATE)
            assert np.isfinite(figure) or np.isnan(figure)
            same = [
                function(row["id"])(left, right),
                function(row["id"])(left, b),
                function(row["id"])(np.asfortranarray(a), b.astype(np.float64), RATE),
                function(row["id"])(a.T, b.T, RATE, frames_first=True),
            ]
            np.testing.assert_array_equal(same, figure, err_msg=row["id"])
        elif row["kind"] == "sound":
            figure = function(row["id"])(a, RATE)
            np.testing.assert_array_equal([function(row["id"])(left), function(row["id"])(a.T, RATE, frames_first=True)], figure)


def test_exactly_those_measures_need_no_rate_whose_figure_is_the_same_at_any() -> None:
    # A sine between whose samples there is more than in them.
    a = (noise(48_000, seed=3) + 8 * np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4)).astype(np.float32) / 16
    b = np.convolve(a, [0.6, 0.4], "same").astype(np.float32)
    for row in ROWS:
        if row["kind"] in ("comparison", "sound"):
            sounds = (a, b) if row["kind"] == "comparison" else (a,)
            figures = {function(row["id"])(*sounds, rate) for rate in (44_100, 192_000)}
            assert (len(figures) == 1) == (row["id"] in ANY_RATE), (row["id"], figures)
            if row["id"] in ANY_RATE:
                assert function(row["id"])(*sounds) in figures
            else:
                with pytest.raises(TypeError, match="sample_rate"):
                    function(row["id"])(*sounds)


def test_figures_of_effects_tell_oversampling_from_none() -> None:
    rough, smooth = Saturator(drive=30, oversampling=1, tone="off"), Saturator(drive=30, oversampling=8, tone="off")
    assert isotherm.aliasing(rough, hz=5000) > isotherm.aliasing(smooth, hz=5000) + 20
    assert isotherm.thd(smooth) > isotherm.thd(Saturator(drive=-12)) and isotherm.thd(smooth, 96_000) > 10
    assert isotherm.thd(smooth, amplitude=0.001) < isotherm.thd(smooth)
    assert function("idle_dc")(Clipper()) == 0.0
    assert function("impulse_frames")(Saturator()) < 100
    facts = isotherm.characteristics(Saturator(), 44_100)
    assert facts["sample_rate"] == 44_100 and {"response", "transfer", "aliasing"} <= facts.keys()


def test_figures_of_cost_are_numbers_above_zero() -> None:
    assert 0 < function("ns_per_sample")(Clipper(), seconds=0.05) < 1e6
    assert function("buffer_bytes")(Clipper(), channels=2, block=256, seconds=0.05) > 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: isotherm.esr(noise(100), noise(99)), ValueError, ["100", "99"]),
        (lambda: isotherm.esr(noise(100, 2), noise(100)), ValueError, ["2", "1"]),
        (lambda: isotherm.esr(noise(100), [1.0]), TypeError, ["b: found list"]),
        (
            lambda: isotherm.esr(AudioSamples.new_mono(noise(), 44_100), AudioSamples.new_mono(noise(), 48_000)),
            ValueError,
            ["44100 Hz", "48000 Hz"],
        ),
        (lambda: isotherm.lufs(noise()), TypeError, ["sample_rate"]),
        (lambda: isotherm.lufs(noise(), 4_294_967_295), ValueError, ["4294967295 Hz", "768000"]),
        (lambda: isotherm.lufs(np.ma.array(noise()), RATE), TypeError, ["MaskedArray"]),
        (lambda: isotherm.lufs(noise(), 44_100.5), ValueError, ["44100.5", "whole number"]),
        (lambda: isotherm.lufs(noise(10, 1000), RATE), ValueError, ["1000 channels"]),
        (lambda: isotherm.thd(Chain([Saturator()])), TypeError, ["Chain", "one effect"]),
        (lambda: isotherm.thd(noise()), TypeError, ["ndarray", "one effect"]),
        (lambda: isotherm.thd(Saturator(), hz=0), ValueError, ["0 Hz"]),
        (lambda: isotherm.thd(Saturator(), hz=24_000), ValueError, ["24000 Hz", "21600"]),
        (lambda: isotherm.thd(Saturator(), 4_000_000_000), ValueError, ["4000000000 Hz", "768000"]),
        (lambda: isotherm.thd(Saturator(), amplitude=float("nan")), ValueError, ["NaN"]),
        (lambda: isotherm.characteristics(Saturator(), 100), ValueError, ["100 Hz", "8000"]),
        (lambda: isotherm.align(noise(), noise(seed=2), RATE), ValueError, ["nothing in common"]),
        (lambda: isotherm.align(noise(), noise() * 0, RATE), ValueError, ["silence in the test"]),
        (lambda: isotherm.align(noise(100), noise(100), RATE), ValueError, ["512"]),
    ],
)
def test_what_cannot_be_measured_is_an_error_that_says_why(call: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


def test_empty_silent_and_bad_sounds_give_a_figure_or_an_error_and_never_a_panic() -> None:
    sounds = [
        np.zeros(0, np.float32),
        np.zeros((2, 0), np.float32),
        np.zeros(1, np.float32),
        np.zeros(1000, np.float32),
        np.full(1000, np.nan, np.float32),
        np.full(1000, np.inf, np.float32),
        noise(3),
    ]
    for row in ROWS:
        for sound in sounds:
            if row["kind"] in ("comparison", "sound"):
                figure = function(row["id"])(*([sound, sound] if row["kind"] == "comparison" else [sound]), RATE)
                assert isinstance(figure, float), (row["id"], sound.shape)


# Alignment.


def test_alignment_gives_back_delay_gain_and_polarity() -> None:
    a = noise(48_000)
    b = (-0.5 * np.concatenate([np.zeros(37, np.float32), a])[:48_000]).astype(np.float32)
    found = isotherm.align(a, b, RATE)
    assert found.delay_frames == 37 and found.inverted and found.polarity == -1
    assert found.gain_db == pytest.approx(-6.02, abs=0.01) and found.correlation == pytest.approx(1.0, abs=1e-3)
    start, end = found.overlap
    assert isotherm.null_db(a[start:end], found.audio[start:end]) < -60 and found.audio.shape == a.shape
    audio = isotherm.align(AudioSamples.new_mono(a, RATE), AudioSamples.new_mono(b, RATE), synchronous=True)
    assert isinstance(audio.audio, AudioSamples) and audio.drift_ppm is None and audio.delay_frames == 37


def test_equal_sounds_are_aligned_as_they_are() -> None:
    a = noise(2000, 2)
    found = isotherm.align(a, a, RATE)
    assert found.delay_frames == 0 and found.polarity == 1 and found.correlation == 1.0
    np.testing.assert_array_equal(found.audio, a)


# Comparisons.


@pytest.fixture(scope="module")
def sound() -> AudioSamples:
    return AudioSamples.new_mono(noise(24_000) * np.hanning(24_000).astype(np.float32) + sine(220, 0.2, 24_000), RATE)


@pytest.fixture(scope="module")
def comparison(sound: AudioSamples) -> isotherm.Comparison:
    return isotherm.compare(Saturator(drive=24), "saturator drive=20", sound, limits=["esr=1e-9", "lufs=-60..0"])


def test_a_comparison_is_the_dict_of_report_json(comparison: isotherm.Comparison, tmp_path: Path) -> None:
    assert isinstance(comparison, dict) and comparison["schema"] == "isotherm-comparison"
    assert comparison["a"]["text"] == "saturator drive=24" and comparison["sounds"][0]["name"] == "sound"
    assert comparison["sounds"][0]["aligned"]["esr"] > 0 and comparison["command"] == ""
    assert [limit["passed"] for limit in comparison["limits"]] == [False, True, True]
    comparison.report(tmp_path / "report")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"index.html", "report.json", "measures.csv", "magnitude.png"} <= names
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == dict(comparison)
    assert (tmp_path / "report" / "measures.csv").read_text() == comparison.csv()
    assert comparison["verdict"]["title"] in str(comparison) and comparison["verdict"]["title"] in repr(comparison)
    assert pickle.loads(pickle.dumps(comparison)) == comparison


def test_a_report_replaces_only_a_report_and_only_by_force(comparison: isotherm.Comparison, tmp_path: Path) -> None:
    comparison.report(tmp_path / "report")
    with pytest.raises(FileExistsError, match="force=True"):
        comparison.report(tmp_path / "report")
    comparison.report(tmp_path / "report", force=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "song.wav").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="no report"):
        comparison.report(tmp_path / "other", force=True)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError):
        comparison.report(tmp_path / "file" / "report")


def test_sides_and_sounds_may_be_arrays_audio_files_and_effects(sound: AudioSamples, tmp_path: Path) -> None:
    array = np.array(sound.to_numpy())
    effect = Clipper(threshold=-20)
    wet = effect(array, RATE)
    dry_path, wet_path = tmp_path / "dry.wav", tmp_path / "wet.wav"
    isotherm.io.save(str(dry_path), sound)
    isotherm.io.save(str(wet_path), AudioSamples.new_mono(wet, RATE))
    sides: list[Any] = [(wet, RATE), AudioSamples.new_mono(wet, RATE), (wet.astype(np.float64), RATE), wet_path, f"file:{wet_path}"]
    found = [isotherm.compare("dry", side, (array, RATE)) for side in sides]
    assert [one["b"]["kind"] for one in found] == ["sound", "sound", "sound", "file", "file"]
    of_effect = isotherm.compare("dry", effect, [sound, dry_path])
    assert [one["name"] for one in of_effect["sounds"]] == ["sound", "dry"] and of_effect["b"]["kind"] == "effect"
    for one in [*found, of_effect]:
        for on_sound in one["sounds"]:
            assert on_sound["sha256"] == found[0]["sounds"][0]["sha256"]
            assert on_sound["aligned"] == pytest.approx(found[0]["sounds"][0]["aligned"]) and on_sound["aligned"]["esr"] > 0
    assert isotherm.compare("dry", dry_path, sound)["verdict"]["id"] == "identical"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: isotherm.compare("saturatr", "dry", s), ValueError, ["A", "saturatr"]),
        (lambda s: isotherm.compare("dry", Chain([Saturator()]), s), TypeError, ["B", "chain(audio)"]),
        (lambda s: isotherm.compare("dry", noise(), s), TypeError, ["B", "(array, sample_rate)"]),
        (lambda s: isotherm.compare("dry", 3, s), TypeError, ["B", "int"]),
        (lambda s: isotherm.compare("dry", "saturator", noise()), TypeError, ["sounds", "(array, sample_rate)"]),
        (lambda s: isotherm.compare("dry", "saturator", []), ValueError, ["empty"]),
        (lambda s: isotherm.compare("dry", "saturator", "/nowhere.wav"), FileNotFoundError, ["/nowhere.wav"]),
        (lambda s: isotherm.compare("dry", "file:/nowhere.wav", s), FileNotFoundError, ["/nowhere.wav"]),
        (lambda s: isotherm.compare("dry", Path("/nowhere.wav"), s), FileNotFoundError, ["/nowhere.wav"]),
        (lambda s: isotherm.compare("dry", "saturator", s, limits=5), TypeError, ["limits", "int"]),
        (lambda s: isotherm.compare("dry", "saturator", s, limits=[None]), TypeError, ["limits", "NoneType"]),
        (lambda s: isotherm.compare("dry", "saturator", (noise() * 0, RATE)), ValueError, ["silent"]),
        (lambda s: isotherm.compare("dry", (noise(), 44_100), s), ValueError, ["44100 Hz", "48000 Hz"]),
        (lambda s: isotherm.compare("dry", (noise(1000), RATE), s), ValueError, ["90 %"]),
        (lambda s: isotherm.compare("dry", s, [s, (noise(), RATE)]), ValueError, ["one sound"]),
        (lambda s: isotherm.compare("dry", (noise(), RATE)), ValueError, ["no sound was named"]),
        (lambda s: isotherm.compare("dry", "saturator", s, limits=["esrr=1"]), ValueError, ["esrr", "esr,"]),
        (lambda s: isotherm.compare("dry", "saturator", s, limits={"rtf": 1}), ValueError, ["rtf", "cost_seconds=0"]),
        (lambda s: isotherm.compare("dry", "saturator", s, cost_seconds=-1), ValueError, ["-1"]),
    ],
)
def test_what_cannot_be_compared_is_an_error_that_says_why(
    sound: AudioSamples, call: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        call(sound)
    assert all(word in str(caught.value) for word in words), caught.value


def test_progress_is_told_and_an_error_of_the_function_ends_the_work(sound: AudioSamples) -> None:
    shares: list[float] = []
    isotherm.compare("saturator", "clipper", sound, cost_seconds=0.5, progress=shares.append)
    assert len(shares) > 1 and shares == sorted(shares) and shares[0] >= 0 and shares[-1] == 1

    def fail(share: float) -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        isotherm.compare("saturator", "clipper", sound, cost_seconds=5, progress=fail)


def test_a_bar_of_tqdm_shows_the_share_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar:
        n = 0.0

        def __init__(self, **settings: Any) -> None:
            bars.append(self)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *error: object) -> None:
            self.is_closed = True

        def update(self, by: float) -> None:
            assert by >= 0
            self.n += by

    bars: list[Any] = []
    module = types.ModuleType("tqdm.auto")
    module.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    isotherm.bench("clipper", blocks=64, seconds=0.2, progress=True)
    assert bars[0].n == pytest.approx(100) and bars[0].is_closed
    isotherm.bench("clipper", blocks=64, seconds=0.05, progress=False)
    assert len(bars) == 1


def test_the_figures_are_those_of_the_program(comparison: isotherm.Comparison, sound: AudioSamples, tmp_path: Path) -> None:
    program = os.environ.get("ISOTHERM_PROGRAM")
    if not program or not Path(program).exists():
        pytest.skip("ISOTHERM_PROGRAM names no isotherm program")
    path = tmp_path / "sound.wav"
    isotherm.io.save(str(path), sound)
    command = [program, "compare", str(path), "--a", "saturator drive=24", "--b", "saturator drive=20", "--cost-seconds", "0", "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    for key in ("verdict", "worst", "alone", "rulers", "warnings", "measures"):
        assert report[key] == comparison[key], key


# Timing.


def test_bench_gives_flat_rows_for_a_data_frame() -> None:
    effects = [Saturator(oversampling=1), "clipper", Bitcrusher()]
    rows = isotherm.bench(effects, blocks=[64, (16, 256)], channels=[1, 2], seconds=0.2, max_blocks=200)
    assert len(rows) == 3 * 2 * 2
    costs = {row["id"] for row in ROWS if row["kind"] == "cost"}
    for row in rows:
        assert costs <= row.keys() and all(isinstance(value, (int, float, str)) for value in row.values())
        assert row["ns_per_sample"] > 0
    assert {row["effect"] for row in rows} == {"saturator oversampling=1x", "clipper", "bitcrusher"}
    assert {row["block"] for row in rows} == {64, "16-256"} and {row["channels"] for row in rows} == {1, 2}
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(rows).shape == (12, len(rows[0])) and len(pandas.DataFrame(table())) == len(ROWS)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: isotherm.bench([]), ValueError, ["no effects"]),
        (lambda: isotherm.bench(Chain([Saturator()])), TypeError, ["chain"]),
        (lambda: isotherm.bench("saturator", blocks=2**40), ValueError, ["blocks", "1 to 1048576"]),
        (lambda: isotherm.bench("saturator", blocks=2**70), ValueError, ["blocks"]),
        (lambda: isotherm.bench("saturator", load=300_000), ValueError, ["load", "0 to 1024"]),
        (lambda: isotherm.bench("saturator", max_blocks=10**12), ValueError, ["max_blocks"]),
        (lambda: isotherm.bench("saturator", channels=1000), ValueError, ["channels", "1 to 128"]),
        (lambda: isotherm.bench([3]), TypeError, ["effect 0", "int"]),
        (lambda: isotherm.bench("saturatr"), ValueError, ["saturatr"]),
        (lambda: isotherm.bench("saturator", blocks=0), ValueError, ["blocks", "0"]),
        (lambda: isotherm.bench("saturator", blocks=[(64, 16)]), ValueError, ["64-16"]),
        (lambda: isotherm.bench("saturator", channels=0), ValueError, ["channels", "0"]),
        (lambda: isotherm.bench("saturator", max_blocks=0), ValueError, ["max_blocks", "0"]),
        (lambda: isotherm.bench("saturator", seconds=float("nan")), ValueError, ["nan"]),
    ],
)
def test_what_cannot_be_timed_is_an_error_that_says_why(call: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


# Stubs.


def test_the_stubs_are_what_the_generator_gives() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("stubs", ROOT / "python" / "stubs.py")
    assert spec is not None and spec.loader is not None
    stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stubs)
    for path, text in stubs.stubs().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python python/stubs.py"


def test_a_row_may_leave_its_unit_out_only_where_no_other_row_has_the_name() -> None:
    assert names_of(next(row for row in ROWS if row["id"] == "nmr_db")) == ["nmr_db", "nmr"]
    assert names_of(next(row for row in ROWS if row["id"] == "esr_a_weighted_db")) == ["esr_a_weighted_db"]
