"""Figures of a sound or an effect by NumPy and SciPy, for effects.rs: reads a job in JSON, writes the answer in JSON."""

import json
import sys

import numpy as np
from scipy import integrate, interpolate, signal


def db(power):
    return 10 * np.log10(np.maximum(power, 1e-300))


def tone(job):
    """Distortion of a tone from the magnitudes of a transform over the whole sound."""
    x = np.asarray(job["samples"])
    count = len(x)
    power = 2 * np.abs(np.fft.rfft(x) / count) ** 2
    hz = np.arange(len(power)) * job["rate"] / count
    first = int(round(job["hz"] * count / job["rate"]))
    index = np.arange(len(power))
    audible = hz <= 20000
    harmonic = (index % first == 0) & (index > 0)
    over = power[harmonic & audible & (index > first)].sum()
    band = audible & (hz >= 20)
    rest = power[band & (index != first)].sum()
    alias = power[band & ~harmonic].sum() / power[band & harmonic].sum()
    orders = [db(2 * power[first * n]) for n in range(1, 8) if first * n < len(power) and audible[first * n]]
    return {
        "thd_percent": 100 * np.sqrt(over / power[first]),
        "thd_noise_percent": 100 * np.sqrt(rest / power[band].sum()),
        "aliasing_db": db(alias),
        "orders_db": orders,
    }


def response(job):
    """Transfer function from noise: cross-spectrum by spectrum (Welch); the group delay is the slope of its phase."""
    dry, wet = np.asarray(job["dry"]), np.asarray(job["wet"])
    frames = 1 << 14
    f, cross = signal.csd(dry, wet, job["rate"], nperseg=frames)
    _, own = signal.welch(dry, job["rate"], nperseg=frames)
    h = cross / own
    phase = np.unwrap(np.angle(h))
    # The slope over 15 lines, as single ones are noisy.
    omega = 2 * np.pi * f / job["rate"]
    delay = -signal.savgol_filter(phase, 15, 2, deriv=1) / (omega[1] - omega[0])
    return {
        "magnitude_db": list(np.interp(job["hz"], f, db(np.abs(h) ** 2))),
        "group_delay_frames": list(np.interp(job["hz"], f, delay)),
    }


def curve(job):
    """Harmonics of a transfer curve: its Fourier coefficients for a sine, by adaptive quadrature."""
    y = interpolate.PchipInterpolator(job["inputs"], job["outputs"])
    amplitude = job["inputs"][-1]

    def coefficient(n):
        points = np.linspace(0, np.pi, 9)
        parts = [
            integrate.quad(lambda a: y(amplitude * np.cos(a)) * np.cos(n * a), lo, hi, limit=400, epsabs=1e-9)[0]
            for lo, hi in zip(points, points[1:])
        ]
        return 2 / np.pi * sum(parts)

    return {"orders_db": [float(db(coefficient(n) ** 2)) for n in range(1, 8)]}


def welch(job):
    """Mean spectrum of blocks that overlap by half; a sine of amplitude 1 is 0 dB."""
    frames = job["frames"]
    _, power = signal.welch(
        np.asarray(job["samples"]),
        job["rate"],
        window=job["window"],
        nperseg=frames,
        noverlap=frames // 2,
        detrend=False,
        scaling="spectrum",
    )
    return {"level_db": list(db(2 * power))}


job = json.load(sys.stdin)
print(json.dumps({"tone": tone, "response": response, "curve": curve, "welch": welch}[job["kind"]](job)))
