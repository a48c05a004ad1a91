"""Takes the test of a panel in Chromium and prints what it sees as JSON. Arguments: address, folder for pictures, one token a listener.

Listeners hear by the page's own player: the script reads the buffers that it plays, as ears would the sound. Nothing else of the page
is looked into."""

import json
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

NAMES = ["chromium", "chromium-browser", "google-chrome"]
FLAGS = ["--no-sandbox", "--disable-background-networking", "--autoplay-policy=no-user-gesture-required"]
CONTROLS = {"button", "link", "radio", "textbox", "checkbox", "DisclosureTriangle"}
# The rows of the answer of somebody who hears everything: 0 if X is the first, 1 if it is the second.
HEARD = """() => {
  const samples = (name) => player.buffers.get(name).getChannelData(0);
  const distance = (a, b) => a.reduce((sum, x, frame) => sum + (x - b[frame]) ** 2, 0);
  const [a, b, x] = ["first", "second", "x"].map(samples);
  return distance(x, a) < distance(x, b) ? 0 : 1;
}"""
# Pulses in the sound of the check.
PULSES = """() => {
  const samples = player.buffers.get("pulses").getChannelData(0), slot = Math.floor(0.6 * player.rate);
  let count = 0;
  for (let at = 0; at < samples.length; at += slot) count += samples.subarray(at, at + slot).some((x) => Math.abs(x) > 0.005);
  return count;
}"""
# The player of the page in a context without a device: three constant sounds, presses at given times, every sample that comes out.
DIPS = """async () => {
  const rate = 48000, context = new OfflineAudioContext(1, rate, rate), own = new Player(context);
  const flat = (level) => ({ rate, channels: [new Float32Array(rate / 2).fill(level)] });
  own.load([["first", flat(0.25)], ["second", flat(0.5)]], true);
  const presses = [[0.1, "first"], [0.3, "first"], [0.5, "second"], [0.502, "first"], [0.7, "second"], [0.708, "first"], [0.9, null]];
  for (const [at, name] of presses) context.suspend(at).then(() => { own.play(name); context.resume(); });
  return Array.from((await context.startRendering()).getChannelData(0));
}"""


def unnamed(page):
    """Controls that a screen reader has no name for."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    nodes = [node for node in tree["nodes"] if not node.get("ignored") and node.get("role", {}).get("value") in CONTROLS]
    return [node["role"]["value"] for node in nodes if not node.get("name", {}).get("value", "").strip()]


class Listener:
    """A browser of one listener."""

    def __init__(self, browser, address, token, width, pictures, name, **options):
        self.address, self.token, self.pictures, self.name = address, token, pictures, name
        self.context = browser.new_context(viewport={"width": width, "height": 812 if width < 500 else 900}, **options)
        self.errors, self.foreign, self.wide, self.unnamed, self.steps = [], [], [], [], []
        self.open(f"#{token}")

    def open(self, link):
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        is_foreign = lambda url: not url.startswith((self.address + "/", "data:"))
        self.page.on("request", lambda request: self.foreign.append(request.url) if is_foreign(request.url) else None)
        self.page.goto(f"{self.address}/{link}")
        self.look("start")

    def look(self, name):
        """Waits until the page is ready, and notes what is wrong with it."""
        self.page.wait_for_selector("html[data-ready=true]", timeout=60000)
        sideways = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        if sideways:
            self.wide.append(name)
        if name not in self.steps:
            self.steps.append(name)
            self.unnamed += unnamed(self.page)
            self.page.screenshot(path=str(self.pictures / f"{self.name}-{name}.png"))

    def shows(self):
        return self.page.evaluate("document.documentElement.dataset.shows")

    def press(self, selector):
        if self.context_is_touch():
            self.page.locator(selector).tap()
        else:
            self.page.locator(selector).click()

    def context_is_touch(self):
        return self.page.evaluate("navigator.maxTouchPoints > 0")

    def begin(self):
        self.press("#begin")
        self.look("check")

    def check(self):
        self.press("#hear")
        self.look("check-played")
        self.press(f"#counts button[data-number='{self.page.evaluate(PULSES)}']")
        self.look("introduction")

    def step(self):
        """Does what the page asks for, with the pointer or a finger."""
        shows = self.shows()
        if shows == "next":
            training = self.page.locator("#untrain").is_visible() and "right" in self.page.locator("#heading").text_content()
            self.press("#untrain" if training else "#continue")
        elif shows == "trial":
            for button in ["first", "second", "x"]:
                self.press(f"#sounds button[data-button={button}]")
            self.press(f"#choices label >> nth={self.page.evaluate(HEARD)}")
            self.look("answering")
            self.press("#answer")
        elif shows == "confidence":
            self.press("#levels button[data-number='3']")
        self.look(self.shows())

    def finish(self):
        while self.shows() != "result":
            self.step()

    def seen(self):
        return {"errors": self.errors, "foreign": self.foreign, "wide": self.wide, "unnamed": self.unnamed, "steps": self.steps}


def result(page):
    return {
        "sentences": page.locator("#sentences p").all_text_contents(),
        "receipt": page.evaluate("document.getElementById('receipt').textContent"),
    }


def by_keys(listener):
    """A whole test by keys alone: Tab is not needed after the first button, and every key is one of those that the page names."""
    page = listener.page
    keys = page.keyboard
    keys.press("Tab")
    focused = page.evaluate("document.activeElement.id")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    keys.press("Enter")
    listener.look("check")
    keys.press("p")
    keys.press(str(page.evaluate(PULSES)))
    listener.look("introduction")
    presses = 0
    while listener.shows() != "result":
        shows = listener.shows()
        if shows == "next":
            if page.locator("#untrain").is_visible() and "right" in page.locator("#heading").text_content():
                # The one action without a key of its own is reached by Tab.
                for _ in range(20):
                    keys.press("Tab")
                    if page.evaluate("document.activeElement.id") == "untrain":
                        break
            keys.press("Enter")
        elif shows == "trial":
            for key in ["a", "b", "x", "s"]:
                keys.press(key)
                page.wait_for_timeout(15)
            presses = page.evaluate("trial.presses.length")
            plays = page.locator("#sounds [aria-pressed=true]").get_attribute("data-button")
            keys.press(["ArrowLeft", "ArrowRight"][page.evaluate(HEARD)])
            keys.press("Enter")
        elif shows == "confidence":
            keys.press("4")
        listener.look(listener.shows())
    return {"focused": focused, "outline": outline, "presses": presses, "plays_after_back": plays}


def refused(browser, address, token, script):
    """The words of a browser in which something is missing."""
    context = browser.new_context(viewport={"width": 375, "height": 812})
    page = context.new_page()
    page.add_init_script(script)
    page.goto(f"{address}/#{token}")
    page.locator("#begin").click()
    page.wait_for_selector("#alert:not(:empty)", timeout=60000)
    page.wait_for_selector("html[data-ready=true]", timeout=60000)
    words = page.locator("#alert").text_content()
    shows = page.evaluate("document.documentElement.dataset.shows")
    context.close()
    return [words, shows]


def main():
    address, pictures, *tokens = sys.argv[1:]
    pictures = pathlib.Path(pictures)
    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        sys.exit("no chromium; `cargo xtask setup` installs it")
    seen = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        # Two at once, step by step: one with a finger at 375 px, one with a pointer.
        touch = Listener(browser, address, tokens[0], 375, pictures, "touch", has_touch=True, is_mobile=True, device_scale_factor=2)
        wide = Listener(browser, address, tokens[1], 1280, pictures, "wide")
        for listener in [touch, wide]:
            listener.begin()
            listener.check()
        for _ in range(5):
            touch.step()
            wide.step()
        # A closed tab goes on with the same link, at the same trial, after another sound check.
        at = "() => [view.part, view.number]"
        before = wide.page.evaluate(at)
        wide.page.close()
        wide.open(f"#{wide.token}")
        wide.begin()
        wide.check()
        seen["resumed"] = [before, wide.page.evaluate(at)]
        # So does another device with the link that the page shows; the first one is told, and takes the test back.
        link = touch.page.locator("#link").text_content()
        device = Listener(browser, address, link.split("#")[1], 375, pictures, "device")
        device.begin()
        device.check()
        hidden = device.page.evaluate("location.hash")
        while touch.shows() not in ("next", "confidence"):
            touch.step()
            if touch.shows() == "again":
                break
        if touch.shows() != "again":
            touch.step()
        seen["taken_over"] = [touch.shows(), touch.page.locator("#alert").text_content(), hidden]
        touch.look("again")
        touch.press("#again")
        touch.look("check")
        touch.check()
        wrong = Listener(browser, address, tokens[1], 375, pictures, "wrong")
        wrong.press("#begin")
        wrong.look("refused")
        seen["wrong_browser"] = [wrong.page.locator("#alert").text_content(), wrong.shows()]
        guessed = Listener(browser, address, "0" * 32, 375, pictures, "guessed")
        guessed.press("#begin")
        guessed.look("refused")
        seen["guessed"] = guessed.page.locator("#alert").text_content()
        for listener in [touch, wide]:
            listener.finish()
        seen["results"] = [result(touch.page), result(wide.page)]
        keys = Listener(browser, address, tokens[2], 1280, pictures, "dark", color_scheme="dark")
        seen["keys"] = by_keys(keys)
        seen["results"].append(result(keys.page))
        seen["listeners"] = {listener.name: listener.seen() for listener in [touch, wide, keys, device]}
        seen["dips"] = keys.page.evaluate(DIPS)
        seen["no_audio"] = refused(browser, address, tokens[3], "delete window.AudioContext")
        seen["resampling"] = refused(
            browser, address, tokens[4], "const Real = AudioContext; window.AudioContext = class extends Real { get sampleRate() { return 44100; } }"
        )
        browser.close()
    print(json.dumps(seen))


main()
