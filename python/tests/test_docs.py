"""The examples on the pages about Python, run as they stand."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = ["python.md", "python-migration.md"]
MODELS = ["saturator-24db-lstm16.nam"]


def examples(page: str) -> str:
    """The page with its fences taken out, so that no output ends in one. Lines keep their numbers."""
    return re.sub(r"^```.*$", "", (REPOSITORY / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_the_page_gives_what_the_page_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in MODELS:
        copy = tmp_path / "assets" / "models" / model
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "assets" / "models" / model, copy)
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(examples(page), {}, page, page, 0)
    assert len(test.examples) > 10
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("page", PAGES)
def test_all_python_of_the_page_is_run(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        assert block.startswith(">>> "), block


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_an_example_is_longer_than_a_line_of_code(page: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        assert max(map(len, block.splitlines())) <= 128, block


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
