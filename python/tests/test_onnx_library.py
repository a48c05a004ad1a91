"""The place in which ONNX Runtime is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isotherm import _onnx


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The library of a package ``onnxruntime`` that cannot be imported."""
    monkeypatch.delenv(_onnx.VARIABLE, raising=False)
    monkeypatch.setattr(_onnx, "_prepared", False)
    name = {"win32": "onnxruntime.dll", "darwin": "libonnxruntime.1.31.1.dylib"}.get(sys.platform, "libonnxruntime.so.1.31.1")
    library = tmp_path / "onnxruntime" / "capi" / name
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise ImportError('it must not be imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return library


def test_the_library_of_the_installed_package_is_found_without_importing_it(package: Path) -> None:
    assert _onnx.library() == package
    _onnx.prepare()
    assert os.environ[_onnx.VARIABLE] == str(package)


def test_the_variable_of_the_user_wins(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_onnx.VARIABLE, "/mine/libonnxruntime.so")
    _onnx.prepare()
    assert os.environ[_onnx.VARIABLE] == "/mine/libonnxruntime.so"


def test_an_empty_variable_counts_as_none(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_onnx.VARIABLE, "")
    _onnx.prepare()
    assert os.environ[_onnx.VARIABLE] == str(package)


def test_the_import_of_the_package_leaves_the_environment_alone() -> None:
    code = "import os; before = dict(os.environ); import isotherm, audio_writer; assert dict(os.environ) == before"
    subprocess.run([sys.executable, "-c", code], check=True)
