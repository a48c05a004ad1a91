# %% [markdown]
# # A saturator against its neural twin
#
# The twin is a small recurrent network (LSTM with 16 units) that the project trained on the saturator at 24 dB of drive. Which of
# the two is better, and can it be heard? This notebook measures both, compares them on sounds and draws what differs.
#
# Run it cell by cell in an editor that knows `# %%`, or as a program: `python dsp_against_twin.py FOLDER` writes the pictures and the
# report into the folder.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt

import isotherm as aus
from isotherm import plot

folder = Path(sys.argv[1] if __name__ == "__main__" and len(sys.argv) > 1 else "dsp_against_twin")
folder.mkdir(parents=True, exist_ok=True)
models = Path(__file__).resolve().parents[2] / "assets" / "models"
RATE = 48_000

# %% [markdown]
# ## Two effects
# Both are values: they can be compared, stored as text and called on sounds. The network has no knobs of its own.

# %%
saturator = aus.Saturator(drive=24)
twin = aus.Neural(models / "saturator-24db-lstm16.nam")
print(saturator, "| latency in frames:", saturator.latency(RATE))
print(twin, "| latency in frames:", twin.latency(RATE))

# %% [markdown]
# ## A sound through both
# Calling an effect renders a whole sound and removes the latency, so that the outputs lie on each other. The error-to-signal ratio
# (ESR) is the energy of the difference over that of the reference.

# %%
guitar = aus.guitar(RATE)[:RATE]
a, b = saturator(guitar), twin(guitar)
print(f"ESR {aus.esr(a, b):.2g}, null {aus.null_db(a, b):.1f} dB, MR-STFT {aus.mrstft(a, b):.3g}")
print(f"loudness {aus.lufs(a):.2f} and {aus.lufs(b):.2f} LUFS, true peak {aus.true_peak(a):.2f} and {aus.true_peak(b):.2f} dBTP")

# %%
ax = plot.waveform(guitar[:4800], label="input")
plot.waveform(a[:4800], ax=ax, label="saturator")
plot.waveform(b[:4800], ax=ax, label="twin", linestyle="--")
plt.savefig(folder / "waveform.png")

# %%
ax = plot.spectrum(a, label="saturator")
plot.spectrum(b, ax=ax, label="twin", linestyle="--")
plot.spectrum(b - a, ax=ax, label="difference")
plt.savefig(folder / "spectrum.png")

# %% [markdown]
# ## Each on its own
# `characteristics` measures an effect with its own test signals. The saturator oversamples, the network does not: its harmonics
# beyond half the sample rate come back as aliasing.

# %%
told = {"saturator": aus.characteristics(saturator, RATE), "twin": aus.characteristics(twin, RATE)}
for name, effect in (("saturator", saturator), ("twin", twin)):
    print(f"{name}: THD {aus.thd(effect):.1f} %, aliasing {aus.aliasing(effect):.1f} dB")

# %%
ax = plot.transfer_curve(told["saturator"], label="saturator")
plot.transfer_curve(told["twin"], ax=ax, label="twin", linestyle="--")
plt.savefig(folder / "transfer_curve.png")

# %%
ax = plot.response(told["saturator"], label="saturator")
plot.response(told["twin"], ax=ax, label="twin", linestyle="--")
plt.savefig(folder / "response.png")

# %% [markdown]
# ## The whole comparison
# `compare` is what the command line's `isotherm compare` does: the same figures, the same verdict, the same page.

# %%
comparison = aus.compare(saturator, twin, [guitar, aus.drums(RATE)[:RATE]])
comparison.report(folder / "report", force=True)
print(comparison)

# %% [markdown]
# ## What each costs
# Rows for `pandas.DataFrame`. On a machine that has other work to do the figures are too high, but their ratio holds.

# %%
for row in aus.bench([saturator, twin], blocks=256, seconds=0.2):
    print({name: row[name] for name in ("effect", "block", "ns_per_sample", "latency_frames", "weights_bytes")})

# %% [markdown]
# ## Both while they play
# The animation runs at the speed of the sound. It is stored as a GIF here.

# %%
animation = plot.live_spectrum(saturator, twin, guitar[: RATE // 2])
animation.save(folder / "live_spectrum.gif", writer="pillow", dpi=60)
