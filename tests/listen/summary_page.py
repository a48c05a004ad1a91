"""Opens the page of a summary in Chromium and prints what it sees as JSON. Arguments: the summary's folder, the schema."""

import json
import pathlib
import shutil
import sys

import jsonschema
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "compare"))
from page import FLAGS, NAMES, open_page  # noqa: E402

# Each row's share as its text has it, and the places of dot and margin as shares of the field's width.
ROWS = """() => [...document.querySelectorAll('.forest .track-field')].map(field => {
    const box = field.getBoundingClientRect();
    const inner = box.width - 2;
    const place = element => { const b = element.getBoundingClientRect(); return (b.left + b.width / 2 - box.left - 1) / inner; };
    const margin = field.querySelector('.margin').getBoundingClientRect().left;
    return { share: parseFloat(field.getAttribute('aria-label')), dot: place(field.querySelector('.dot')),
        margin: (margin - box.left - 1) / inner };
})"""


def main():
    folder, schema = map(pathlib.Path, sys.argv[1:])
    summary = json.loads((folder / "summary.json").read_text())
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    seen = {"schema_errors": [f"{list(e.absolute_path)}: {e.message}"[:300] for e in validator.iter_errors(summary)], "views": {}}
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        sys.exit("no chromium; `cargo xtask setup` installs it")
    address = (folder / "index.html").resolve().as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, scheme in [("wide", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 375, "light")]:
            page, view = open_page(browser, address, width, scheme)
            view["bars"] = page.locator(".forest .bar").count()
            view["bold"] = page.locator("main b:not(.bar):not(.dot), header b").count()
            view["rows"] = page.evaluate(ROWS)
            seen["views"][name] = view
            seen["text"] = page.locator("main").text_content()
            page.context.close()
        browser.close()
    print(json.dumps(seen))


main()
