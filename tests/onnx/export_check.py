"""Exports the example's models and plays a sound through them with PyTorch: export_check.py FOLDER

FOLDER/input.f32 is the sound, one channel; NAME.onnx and NAME.f32 are written beside it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from export_example import Lstm, Tcn, export

# What the network is prewarmed with is longer than this, and these models have come to rest by then.
SILENCE = 24_000

folder = Path(sys.argv[1])
sound = torch.from_numpy(np.fromfile(folder / "input.f32", np.float32))
torch.manual_seed(1)
for name, model in {"lstm": Lstm(), "tcn": Tcn()}.items():
    export(model, folder / f"{name}.onnx", sample_rate=48000, name=name)
    states = [state.narrow(state.shape.index(2), 0, 1) for state in model.states.values()]
    with torch.no_grad():
        output = model(torch.cat([torch.zeros(SILENCE), sound])[None], *states)[0][0, SILENCE:]
    output.numpy().tofile(folder / f"{name}.f32")
