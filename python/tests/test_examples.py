"""The notebooks run as programs, and make what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_the_saturator_and_its_twin_are_measured_compared_and_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    run = subprocess.run(
        [sys.executable, EXAMPLES / "dsp_against_twin.py", folder],
        capture_output=True,
        text=True,
        # The same packages as here, wherever they come from.
        env=os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path)},
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    pictures = {"waveform.png", "spectrum.png", "transfer_curve.png", "response.png", "live_spectrum.gif"}
    assert {path.name for path in folder.iterdir()} == pictures | {"report"}
    assert all((folder / name).stat().st_size > 5000 for name in pictures)
    report = json.loads((folder / "report" / "report.json").read_text())
    assert len(report["sounds"]) == 2
    assert (folder / "report" / "index.html").exists()
    # The twin's card says 1.7e-5 on what was held out.
    words = next(line for line in run.stdout.splitlines() if line.startswith("ESR")).split()
    assert float(words[1].rstrip(",")) < 1e-4


def test_every_cell_of_a_notebook_has_a_mark() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert path.read_text().startswith("# %% [markdown]\n"), path
