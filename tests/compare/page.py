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
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce")
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
        "shown": page.locator(".plot:visible").count(),
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


# Controls that the Tab key stops at.
STOPS = """scope => [...scope.querySelectorAll('a[href], button, select, input, summary, [tabindex]')]
    .filter(e => e.tabIndex >= 0 && e.checkVisibility()).length"""


def stops_before_play(page):
    """Presses of the Tab key from the top of the page to the first *Play*."""
    for presses in range(1, 100):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('play')"):
            return presses
    return None


def wait_for_sound(page, element):
    """Waits until the element plays, which its place shows by moving."""
    places = set()
    for _ in range(100):
        places.add(element.get_attribute("data-place"))
        if element.get_attribute("data-state") == "playing" and len(places) > 3:
            return True
        page.wait_for_timeout(50)
    return False


def use_player_keys(page):
    """The keys of a player, with the focus on the place and on the list."""
    player = page.locator(".player").first
    position, choice = player.locator(".position"), player.locator(".region")
    heard = lambda: player.get_attribute("data-heard")
    place = lambda: float(player.get_attribute("data-place"))
    position.focus()
    position.press("Home")
    seen = {"heard_at_place": []}
    for key in "1234":
        page.keyboard.press(key)
        seen["heard_at_place"].append(heard())
    before = place()
    page.keyboard.press("ArrowRight")
    seen["step"] = place() - before
    choice.focus()
    page.keyboard.press("2")
    seen["heard_at_list"] = heard()
    page.keyboard.press(" ")
    page.wait_for_timeout(300)
    seen["state_after_space_at_list"] = player.get_attribute("data-state")
    page.keyboard.press("Escape")
    position.focus()
    page.keyboard.press(" ")
    seen["space_plays"] = wait_for_sound(page, player)
    seen["moves"] = []
    for _ in range(4):
        before = place()
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(60)
        seen["moves"].append(place() - before)
    page.keyboard.press(" ")
    seen["state_after_space"] = player.get_attribute("data-state")
    # The worst windows have to begin with A, although the difference is chosen here.
    page.keyboard.press("4")
    return seen


def hear_windows(page):
    """Plays the first of the worst windows where it stands, with the keyboard."""
    worst = page.locator(".worst:visible").first
    button = worst.locator(".hear").first
    button.focus()
    scroll = page.evaluate("scrollY")
    seen = {"focused": page.evaluate("document.activeElement.textContent")}
    page.keyboard.press("Enter")
    seen.update(plays=wait_for_sound(page, worst), text=button.text_content(), name=button.get_attribute("aria-label"))
    seen.update(heard=worst.get_attribute("data-heard"), player=page.locator(".player").first.get_attribute("data-state"))
    page.keyboard.press("3")
    seen["heard_after_key"] = worst.get_attribute("data-heard")
    seen["moved"] = page.evaluate("scrollY") - scroll
    page.keyboard.press("Enter")
    seen.update(stopped=worst.get_attribute("data-state"), text_again=button.text_content())
    return seen


def plots_of(page):
    """Smallest text of the plots in pixels, their horizontal numbers, and name, colour and line of their curves."""
    text = page.locator(".plot:visible .field svg").evaluate_all(
        """plots => Math.min(...plots.map(svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
            * Math.min(...[...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize)))))"""
    )
    below = "plot => [...plot.querySelectorAll('.field text[text-anchor=middle]:not([transform])')].map(t => t.textContent)"
    ticks = page.locator(".plot:visible").evaluate_all(f"plots => plots.map(plot => [plot.dataset.plot, ({below})(plot)])")
    curves = page.evaluate(
        """Object.entries(JSON.parse(document.getElementById('plots').textContent))
            .flatMap(([id, plot]) => plot.series.map(curve => [id, curve.name, curve.colour, curve.dash]))"""
    )
    return {"text": text, "ticks": dict(ticks), "curves": curves}


def tables_of(page):
    """Tables that are wider than their place, those of them without a hint or a way for keys, and the right edge of the first figures."""
    return page.evaluate(
        """() => {
            const shown = [...document.querySelectorAll('.scroll')].filter(scroll => scroll.checkVisibility());
            const wide = shown.filter(scroll => scroll.scrollWidth > scroll.clientWidth + 1);
            const hint = scroll => getComputedStyle(scroll, '::before').content;
            return {
                wide: wide.map(scroll => scroll.getAttribute('aria-label')),
                silent: wide.filter(scroll => scroll.tabIndex < 0 || !hint(scroll).includes('More columns')).length,
                first: Math.max(...[...document.querySelectorAll('#ruler thead th:nth-child(2)')].map(th => th.getBoundingClientRect().right)),
                heads: [...document.querySelectorAll('#ruler table')].map(table => table.querySelector('thead th:nth-child(2)').textContent),
                costs: [...document.querySelectorAll('#cost table.costs')].map(table => table.tHead.rows[0].cells.length - 1),
            };
        }"""
    )


def print_page(page):
    """State of the page while it is printed, and afterwards."""
    state = """() => ({
        sounds: [...document.querySelectorAll('.sound')].filter(part => part.checkVisibility()).length,
        definitions: [...document.querySelectorAll('#definitions dd')].filter(definition => definition.checkVisibility()).length,
        folded: document.querySelectorAll('details.printed:not([open])').length,
        drawn: document.querySelectorAll('.plot .field svg').length,
    })"""
    page.evaluate(f"window.addEventListener('beforeprint', () => {{ window.printed = ({state})(); }})")
    page.pdf()
    printed = page.evaluate("window.printed")
    page.emulate_media(media="print")
    printed["broken_heads"] = page.evaluate(
        "[...document.querySelectorAll('thead th')].filter(th => getComputedStyle(th).overflowWrap !== 'normal').length"
    )
    page.emulate_media(media="screen")
    return {"printed": printed, "again": page.evaluate(state)}


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
            seen["views"][name].update(plots_of(page), tables=tables_of(page))
            if name == "wide":
                seen["sections"] = page.locator("main > section").evaluate_all("parts => parts.map(part => part.id)")
                seen["stops_before_play"] = stops_before_play(page)
                seen["ruler_stops"] = page.locator("#ruler").evaluate(STOPS)
                seen["rulers"] = page.locator("#ruler table").count()
                seen["cost"] = page.locator("#verdict .time").text_content()
                seen["cost_link"] = page.locator("#verdict .time a").get_attribute("href")
                seen["reproduce"] = page.locator("#reproduce").text_content()
                seen["player"] = play(page)
                seen["keys"] = use_keys(page)
                seen["player_keys"] = use_player_keys(page)
                seen["windows"] = hear_windows(page)
                seen["print"] = print_page(page)
                page.locator("#ruler thead button.term").first.click()
                seen["definition_open"] = page.locator(".about:popover-open").count() == 1
                page.keyboard.press("Escape")
                page.locator("#ruler .meaning button").first.press("Enter")
                seen["definitions_of_table"] = page.locator(".about:popover-open dd").count()
                page.keyboard.press("Escape")
                page.locator("#sound").select_option("1")
                seen["sound_shown"] = page.locator(".sound:visible").count()
            page.context.close()
        browser.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
