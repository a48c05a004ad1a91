"""Settings of all Python tests."""

import os

import hypothesis

# Plots are drawn without a display.
os.environ["MPLBACKEND"] = "Agg"

# Shared machines stall: a slow example is no error.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.load_profile("default")
