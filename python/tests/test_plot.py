"""Laws of the pictures."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import isotherm as aus
import numpy as np
import pytest
from isotherm import plot

plt = pytest.importorskip("matplotlib.pyplot")

RATE = 48_000


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def tone(amplitude: float = 0.5, seconds: float = 1.0) -> aus.AudioSamples:
    return aus.sine_wave(frequency=1500.0, duration_secs=seconds, sample_rate=RATE, amplitude=amplitude)


def points(ax: Any, line: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(ax.lines[line].get_xdata()), np.asarray(ax.lines[line].get_ydata())


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return aus.characteristics(aus.Clipper())


def test_a_waveform_has_every_sample_at_its_time() -> None:
    audio = tone(seconds=0.1)
    ax = plot.waveform(audio)
    times, values = points(ax)
    assert np.array_equal(times, np.arange(4800) / RATE)
    assert np.array_equal(values, audio.to_numpy().astype(np.float32))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time [s]", "Amplitude [full scale = 1]")


def test_a_long_waveform_keeps_every_peak_in_few_points() -> None:
    samples = np.zeros(1_000_000, np.float32)
    samples[[123_456, 999_999]] = 0.9, -0.8
    times, values = points(plot.waveform(samples, RATE))
    assert len(times) == len(values) == 8000
    assert values.max() == np.float32(0.9) and values.min() == np.float32(-0.8)
    assert abs(times[values.argmax()] - 123_456 / RATE) < 250 / RATE


def test_each_channel_has_a_line_with_its_name() -> None:
    stereo = np.stack([np.zeros(100), np.ones(100)])
    for draw in (plot.waveform, plot.spectrum):
        ax = draw(stereo, RATE, label="dry")
        assert [line.get_label() for line in ax.lines] == ["dry channel 1", "dry channel 2"]
    ax = plot.waveform(stereo.T, RATE, frames_first=True)
    assert np.array_equal(points(ax, 1)[1], np.ones(100))


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 1e-4])
def test_a_spectrum_shows_the_level_of_a_sine_at_its_frequency(amplitude: float) -> None:
    ax = plot.spectrum(tone(amplitude), floor_db=-250.0)
    frequencies, levels = points(ax)
    # 1500 Hz is line 256 of 8192 frames.
    assert frequencies[levels.argmax()] == 1500.0
    assert levels.max() == pytest.approx(20 * np.log10(amplitude), abs=0.01)
    assert levels[frequencies > 3000].max() < levels.max() - 100
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("Frequency [Hz]", "Level [dBFS]", "log")


def test_a_spectrum_of_silence_lies_on_the_floor() -> None:
    levels = points(plot.spectrum(np.zeros(1000), RATE, floor_db=-90.0))[1]
    assert np.all(levels == -90.0)


def test_curves_of_an_effect_are_those_of_its_characteristics(measured: dict[str, Any]) -> None:
    ax = plot.transfer_curve(measured, label="clipper")
    inputs, outputs = points(ax)
    curve = measured["transfer"]["up"] + measured["transfer"]["down"][::-1]
    assert (inputs[0], inputs[240], inputs[241], inputs[-1]) == (-1.0, 1.0, 1.0, -1.0)
    assert list(inputs) == [point["input"] for point in curve]
    assert list(outputs) == [point["output"] for point in curve]
    assert "[full scale = 1]" in ax.get_xlabel() and "[full scale = 1]" in ax.get_ylabel()
    ax = plot.response(measured)
    assert list(points(ax)[0]) == measured["response"]["hz"]
    assert list(points(ax)[1]) == measured["response"]["magnitude_db"]
    assert ax.get_xlabel() == "Frequency [Hz]" and ax.get_ylabel().endswith("[dB]")


def test_lines_have_the_style_that_is_asked_for(measured: dict[str, Any]) -> None:
    drawn = [plot.waveform(tone(), linestyle="--"), plot.spectrum(tone(), linestyle="--")]
    drawn += [plot.transfer_curve(measured, linestyle="--"), plot.response(measured, linestyle="--")]
    assert all(ax.lines[0].get_linestyle() == "--" for ax in drawn)


def test_an_effect_is_measured_at_the_rate_that_is_asked_for() -> None:
    ax = plot.response(aus.Clipper(), 96_000)
    assert ax.get_xlim()[1] == 48_000


def test_drawings_share_axes_on_request(measured: dict[str, Any]) -> None:
    ax = plot.spectrum(tone(), label="a")
    assert plot.spectrum(tone(0.1), ax=ax, label="b") is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    first = plot.transfer_curve(measured)
    assert first is not plot.transfer_curve(measured)


def test_a_live_spectrum_shows_both_effects_and_their_difference(tmp_path: Path) -> None:
    audio = tone(seconds=0.2)
    animation = plot.live_spectrum(aus.Saturator(drive=12), aus.Saturator(drive=12, tone=2000), audio)
    animation.save(tmp_path / "spectrum.gif", writer="pillow", dpi=40)
    assert (tmp_path / "spectrum.gif").stat().st_size > 1000
    ax = plt.gcf().axes[0]
    assert [line.get_label() for line in ax.lines] == ["DSP", "network", "difference"]
    # The last window is drawn: 4096 frames of both outputs, of which 1500 Hz is line 128.
    outputs = [aus.Saturator(drive=12)(audio), aus.Saturator(drive=12, tone=2000)(audio)]
    window = np.hanning(4097)[:-1]
    for line, samples in enumerate([*(output.to_numpy() for output in outputs), outputs[1].to_numpy() - outputs[0].to_numpy()]):
        wanted = 20 * np.log10(np.abs(np.fft.rfft(samples[-4096:] * window))[128] * 2 / window.sum())
        assert points(ax, line)[1][127] == pytest.approx(wanted, abs=0.01)


def test_equal_effects_have_no_difference(tmp_path: Path) -> None:
    animation = plot.live_spectrum(aus.Clipper(), aus.Clipper(), tone(seconds=0.05))
    animation.save(tmp_path / "spectrum.gif", writer="pillow", dpi=40)
    ax = plt.gcf().axes[0]
    assert points(ax, 0)[1].max() > -60.0
    assert np.all(points(ax, 2)[1] == -140.0)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: plot.waveform(np.zeros(0), RATE), ValueError),
        (lambda: plot.spectrum(np.zeros((2, 0)), RATE), ValueError),
        (lambda: plot.waveform(np.zeros(10)), TypeError),
        (lambda: plot.waveform([0.0, 1.0], RATE), TypeError),  # type: ignore[arg-type]
        (lambda: plot.transfer_curve("saturator"), TypeError),  # type: ignore[arg-type]
        (lambda: plot.transfer_curve({}), ValueError),
        (lambda: plot.waveform(np.zeros(5), RATE, ax=5), TypeError),  # type: ignore[arg-type]
        (lambda: plot.spectrum(np.full(5, np.nan), RATE), ValueError),
        (lambda: plot.live_spectrum("dry", aus.Clipper(), np.zeros(9), RATE), TypeError),  # type: ignore[arg-type]
        (lambda: plot.live_spectrum(aus.Clipper(), aus.Clipper(), np.zeros(0), RATE), ValueError),
    ],
)
def test_what_cannot_be_drawn_is_told(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        call()


def test_matplotlib_is_needed_only_to_draw() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import isotherm as aus, numpy as np\n"
        "try: aus.plot.waveform(np.zeros(5), 48000)\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "plots need matplotlib: pip install isotherm[plot]"
