"""Independent implementations of the measures of the difference of two sounds, from their definitions.

Reads a list of jobs as JSON from standard input: files of 32-bit floats, channel after channel. Writes a list of figures.
"""

import json
import sys

import numpy as np
import pyloudnorm
from scipy import optimize, signal


def db(ratio):
    return 10 * np.log10(np.maximum(ratio, 1e-30))


def ratio(error, reference):
    return np.sum(error**2) / np.sum(reference**2)


def a_weighting(frequencies):
    """Gains for powers, from the poles and zeros of IEC 61672-1; not normalised."""
    poles = -2 * np.pi * np.array([20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217])
    _, response = signal.freqs_zpk([0, 0, 0, 0], poles, 1, 2 * np.pi * np.asarray(frequencies))
    return np.abs(response) ** 2


def esr_a_weighted(x, y, rate):
    """One transform of the whole sounds."""
    size = 2 * x.shape[1]
    weight = a_weighting(np.fft.rfftfreq(size, 1 / rate))
    power = lambda z: np.sum(weight * np.abs(np.fft.rfft(z, size, axis=1)) ** 2)
    return power(y - x) / power(x)


def frames(x, size, hop, window):
    """Magnitudes of all whole frames of a channel."""
    starts = np.arange(0, len(x) - size + 1, hop)
    pad = (size - len(window)) // 2
    padded = np.zeros(size)
    padded[pad : pad + len(window)] = window
    return np.abs(np.fft.rfft(np.stack([x[s : s + size] * padded for s in starts]), axis=1))


def mr_stft(x, y, scale):
    """Yamamoto et al. 2020 with the sizes of auraloss: spectral convergence and L1 of log magnitudes, eps 1e-8 for powers."""
    total = 0
    for size, hop, length in [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]:
        window = signal.get_window("hann", length * scale)
        a, b = (np.sqrt(np.maximum(frames(z, size * scale, hop * scale, window) ** 2, 1e-8)) for z in (x, y))
        total += np.linalg.norm(a - b) / np.linalg.norm(a) + np.mean(np.abs(np.log(a) - np.log(b)))
    return total / 3


def log_spectral_distance(x, y, rate):
    size = 2 ** int(np.round(np.log2(0.043 * rate)))
    window = signal.get_window("hann", size)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    heard = (frequencies >= 20) & (frequencies <= 20000)
    floor = 1e-10 * (window.sum() / 2) ** 2
    a, b = (db(np.maximum(frames(z, size, size // 4, window)[:, heard] ** 2, floor)) for z in (x, y))
    return np.sqrt(np.mean((a - b) ** 2, axis=1))


def third_octaves(x, y, rate):
    """SciPy's transforms with sine windows that overlap by half, whose squares add up to 1."""
    size = 2 ** int(np.ceil(np.log2(0.3 * rate)))
    window = signal.get_window("cosine", size)
    transform = signal.ShortTimeFFT(window, size // 2, rate, scale_to=None, fft_mode="onesided")
    frequencies = transform.f
    # Mean squares of the bins: all but the first and the last stand for two.
    twice = np.where((frequencies > 0) & (frequencies < rate / 2), 2, 1)
    power = lambda z: twice * np.sum(np.abs(transform.stft(z)) ** 2, axis=(0, 2)) / size / z.size
    reference, error = power(x), power(y - x)
    width = rate / size
    bands = []
    for n in range(-17, 14):
        middle = 1000 * 10 ** (n / 10)
        low, high = middle * 10**-0.05, middle * 10**0.05
        share = np.maximum(np.minimum(high, frequencies + width / 2) - np.maximum(low, frequencies - width / 2), 0) / width
        if high < rate / 2:
            level, rest = share @ reference, share @ error
            bands.append({"hz": middle, "signal_db": db(2 * level), "error_db": db(rest / level)})
    return bands


def bark(hz):
    return 7 * np.arcsinh(hz / 650)


def hertz(z):
    return 650 * np.sinh(z / 7)


def nmr(x, y):
    """ITU-R BS.1387-1, annex 2, basic version: noise to mask of a channel at 48 kHz, frames by bands."""
    rate, size, hop = 48000, 2048, 1024
    window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(size) / (size - 1)))
    # Level: the largest bin of a full-scale sine of 1019.5 Hz is 92 dB.
    sine = np.sin(2 * np.pi * 1019.5 * np.arange(10 * size) / rate)
    strongest = max(np.abs(np.fft.rfft(window * sine[s : s + size])).max() for s in range(0, 9 * size, hop))
    level = 10 ** (92 / 20) / strongest
    khz = np.fft.rfftfreq(size, 1 / rate) / 1000
    khz[0] = 1e-9
    ear = 10 ** ((-0.6 * 3.64 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6) / 20)
    ear[0] = 0
    count = len(x)
    starts = np.arange(0, max(count - hop, 1), hop)
    padded = [np.concatenate([z, np.zeros(size)]) for z in (x, y)]
    spectra = [level * ear * np.abs(np.fft.rfft(np.stack([z[s : s + size] * window for s in starts]), axis=1)) for z in padded]

    low, high = bark(80.0), bark(18000.0)
    bands = int(np.ceil((high - low) / 0.25))
    edges = np.minimum(low + 0.25 * np.arange(bands + 1), high)
    centres = hertz((edges[:-1] + edges[1:]) / 2)
    lower, upper = hertz(edges[:-1]), hertz(edges[1:])
    bins = np.arange(size // 2 + 1) * rate / size
    width = rate / size
    share = np.minimum(upper[:, None], bins + width / 2) - np.maximum(lower[:, None], bins - width / 2)
    share = np.maximum(share, 0) / width

    energies = np.maximum(spectra[0] ** 2 @ share.T, 1e-12) + 10 ** (0.4 * 0.364 * (centres / 1000) ** -0.8)
    noise = (spectra[0] - spectra[1]) ** 2 @ share.T

    distance = 0.25 * (np.arange(bands)[None, :] - np.arange(bands)[:, None])  # from band j to band k, in Bark

    def spread(energy):
        levels = db(energy)
        upper_slope = -24 - 230 / centres + 0.2 * levels
        slopes = np.where(distance < 0, 27 * distance, distance * upper_slope[:, None])
        shape = 10 ** (slopes / 10)
        lines = energy[:, None] * shape / shape.sum(axis=1, keepdims=True)
        return np.sum(lines**0.4, axis=0) ** (1 / 0.4)

    normalisation = spread(np.ones(bands))
    constants = 0.008 + 100 / centres * (0.030 - 0.008)
    factors = np.exp(-hop / rate / constants)
    offsets = np.where(0.25 * np.arange(bands) <= 12, 3.0, 0.25 * 0.25 * np.arange(bands))
    smeared = np.zeros(bands)
    ratios = []
    for energy, difference in zip(energies, noise):
        excitation = spread(energy) / normalisation
        smeared = factors * smeared + (1 - factors) * excitation
        ratios.append(difference / (np.maximum(smeared, excitation) / 10 ** (offsets / 10)))
    return np.array(ratios)


def delay(x, y):
    """The delay with the smallest squared error at the best gain, by the phases of one transform of both channels."""
    size = 2 * x.shape[1]
    turns = np.arange(size // 2 + 1) / size
    spectrum = np.fft.rfft(y, size, axis=1)
    inner = slice(1000, x.shape[1] - 1000)

    def error(frames):
        moved = np.fft.irfft(spectrum * np.exp(2j * np.pi * turns * frames), size, axis=1)[:, : x.shape[1]][:, inner].ravel()
        reference = x[:, inner].ravel()
        moved, reference = moved - moved.mean(), reference - reference.mean()
        return 1 - (moved @ reference) ** 2 / (moved @ moved) / (reference @ reference)

    return optimize.minimize_scalar(error, bounds=(-3, 3), method="bounded", options={"xatol": 1e-6}).x


def worst_window(x, y, rate):
    """The largest error to signal of 400 ms, in steps of 10 ms; the signal is at least 40 dB below its mean."""
    size, hop = round(0.4 * rate), round(0.01 * rate)
    least = 1e-4 * np.sum(x**2) / x.shape[1] * size
    starts = range(0, x.shape[1] - size + 1, hop)
    parts = [slice(start, start + size) for start in starts]
    return db(max(np.sum((y - x)[:, part] ** 2) / max(np.sum(x[:, part] ** 2), least) for part in parts))


def figures(job):
    rate = job["rate"]
    x, y = (np.fromfile(job[name], "<f4").astype(float).reshape(job["channels"], -1) for name in ("reference", "test"))
    emphasised = [signal.lfilter([1, -0.85], [1], z, axis=1) for z in (x, y)]
    bands = third_octaves(x, y, rate)
    a_weighted = [band["signal_db"] + db(a_weighting([band["hz"]])[0]) for band in bands]
    at_48k = [signal.resample(z, z.shape[1] * 48000 // rate, axis=1) for z in (x, y)]
    masked = np.stack([nmr(a, b) for a, b in zip(*at_48k)])
    weighted = esr_a_weighted(x, y, rate)
    answer = {
        "esr": ratio(y - x, x),
        "null_db": db(ratio(y - x, x)),
        "esr_pre_emphasis": ratio(emphasised[1] - emphasised[0], emphasised[0]),
        "esr_pre_emphasis_db": db(ratio(emphasised[1] - emphasised[0], emphasised[0])),
        "esr_a_weighted": weighted,
        "esr_a_weighted_db": db(weighted),
        "mr_stft": np.mean([mr_stft(a, b, 1) for a, b in zip(x, y)]),
        "mr_stft_48k": np.mean([mr_stft(a, b, 2) for a, b in zip(x, y)]),
        "log_spectral_distance_db": np.mean([log_spectral_distance(a, b, rate) for a, b in zip(x, y)]),
        "third_octave_error_db": max(
            band["error_db"] for band, level in zip(bands, a_weighted) if level >= max(a_weighted) - 70
        ),
        "third_octaves": bands,
        "nmr_db": db(masked.mean()),
        "nmr_worst_band_db": db(masked.mean(axis=(0, 1))).max(),
        "disturbed_frames": 100 * np.mean(db(masked.max(axis=(0, 2))) > 1.5),
        "worst_window_db": worst_window(x, y, rate),
        "nmr_bands": list(db(masked.mean(axis=(0, 1)))),
        "lufs": pyloudnorm.Meter(rate).integrated_loudness(y.T),
        "true_peak_dbtp": 2 * db(np.abs(signal.resample_poly(y, 16, 1, axis=1)).max()),
        "delay_frames": delay(x, y),
        "delay_emphasised_frames": delay(*(part[:, 1:] - 0.95 * part[:, :-1] for part in (x, y))),
    }
    return {key: value if isinstance(value, list) else float(value) for key, value in answer.items()}


json.dump([figures(job) for job in json.load(sys.stdin)], sys.stdout)
