"""Opens the page of a study in Chromium and prints what it sees as JSON. Arguments: the study's folder, the schema."""

import json
import pathlib
import shutil
import sys

import jsonschema
from playwright.sync_api import sync_playwright

NAMES = ["chromium", "chromium-browser", "google-chrome"]
FLAGS = ["--no-sandbox", "--disable-background-networking"]


def main():
    folder = pathlib.Path(sys.argv[1])
    jsonschema.validate(json.loads((folder / "study.json").read_text()), json.loads(pathlib.Path(sys.argv[2]).read_text()))
    program = next(filter(None, map(shutil.which, NAMES)))
    errors, requests = [], []
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True).new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
        page.goto((folder / "index.html").as_uri())
        rows = page.locator("table.study tbody tr")
        heads = page.locator("table.study thead th").all_inner_texts()
        column = next(index for index, text in enumerate(heads) if text.startswith("NMR"))

        def values():
            cells = rows.evaluate_all("(rows, column) => rows.map(row => row.cells[column]?.dataset.number ?? '')", column)
            return [float(text) if text else None for text in cells]

        button = page.locator("table.study thead th").nth(column).locator("button")
        button.press("Enter")
        ascending = values()
        button.press("Enter")
        descending = values()
        page.fill("#filter", "lstm-2 nothing")
        none = page.locator("table.study tbody tr:visible").count()
        page.fill("#filter", "lstm-2")
        filtered = page.locator("table.study tbody tr:visible").count()
        page.fill("#filter", "")
        narrow = browser.new_context(viewport={"width": 375, "height": 800}, offline=True).new_page()
        narrow.goto((folder / "index.html").as_uri())
        print(json.dumps({
            "errors": errors, "requests": requests, "ascending": ascending, "descending": descending, "none": none,
            "filtered": filtered, "points": page.locator("section.frontier svg circle").count(),
            "narrow": narrow.evaluate("document.documentElement.scrollWidth"),
        }))
        browser.close()


main()
