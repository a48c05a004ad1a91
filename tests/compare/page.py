"""Opens the page of a report in Chromium and prints what it sees as JSON. Arguments: the report's folder, the schema."""

import json
import pathlib
import shutil
import sys

import jsonschema
from playwright.sync_api import sync_playwright

NAMES = ["chromium", "chromium-browser", "google-chrome"]
# Roles of controls, which need a name.
CONTROLS = {"button", "link", "combobox", "slider", "textbox", "checkbox", "radio", "application", "listbox", "DisclosureTriangle"}
FLAGS = ["--no-sandbox", "--disable-background-networking", "--autoplay-policy=no-user-gesture-required"]


def unnamed(page):
    """Controls that a screen reader has no name for."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    found = []
    for node in tree["nodes"]:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in CONTROLS:
            continue
        if not node.get("name", {}).get("value", "").strip():
            found.append(role)
    return found


def open_page(browser, address, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    view = {
        "width": width,
        "errors": errors,
        "requests": requests,
        "unnamed": unnamed(page),
        "scroll_width": page.evaluate("document.documentElement.scrollWidth"),
        "paper": page.evaluate("getComputedStyle(document.body).backgroundColor"),
        "plots": page.locator(".plot:visible").count(),
        "drawn": page.locator(".plot .field path").evaluate_all("paths => new Set(paths.map(p => p.closest('.plot'))).size"),
    }
    return page, view


def place_and_clock(player):
    return player.evaluate("element => [Number(element.dataset.place), performance.now() / 1000]")


def play(page):
    player = page.locator(".player").first
    player.locator(".play").click()
    before, clock_before = place_and_clock(player)
    for _ in range(100):
        if before > 0.2:
            break
        page.wait_for_timeout(100)
        before, clock_before = place_and_clock(player)
    player.locator(".track.b").click()
    page.wait_for_timeout(300)
    after, clock_after = place_and_clock(player)
    seen = {"state": player.get_attribute("data-state"), "heard": player.get_attribute("data-heard")}
    player.locator(".play").click()
    seen.update(before=before, after=after, clock_before=clock_before, clock_after=clock_after)
    seen["stopped"] = player.get_attribute("data-state")
    return seen


def use_keys(page):
    """Moves the cursor of the first plot and zooms, with keys."""
    field = page.locator(".field").first
    labels = lambda: field.locator("text").all_text_contents()
    field.focus()
    whole = labels()
    page.keyboard.press("ArrowRight")
    readout = page.locator(".readout").first.text_content()
    page.keyboard.press("+")
    page.keyboard.press("+")
    zoomed = labels()
    page.keyboard.press("0")
    return {"whole": whole, "zoomed": zoomed, "again": labels(), "readout": readout}


def main():
    folder, schema = map(pathlib.Path, sys.argv[1:])
    report = json.loads((folder / "report.json").read_text())
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    seen = {"schema_errors": [f"{list(e.absolute_path)}: {e.message}"[:300] for e in validator.iter_errors(report)], "views": {}}
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        sys.exit("no chromium; `cargo xtask setup` installs it")
    address = (folder / "index.html").resolve().as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, width, scheme in [("wide", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 375, "light")]:
            page, seen["views"][name] = open_page(browser, address, width, scheme)
            if name == "wide":
                seen["player"] = play(page)
                seen["keys"] = use_keys(page)
                page.locator("#ruler button.term").first.click()
                seen["definition_open"] = page.locator(".about:popover-open").count() == 1
                page.keyboard.press("Escape")
                page.locator("#sound").select_option("1")
                seen["sound_shown"] = page.locator(".sound:visible").count()
            page.context.close()
        browser.close()
    print(json.dumps(seen))


main()
