"""The pictures of the guide: starts the app on a scratch workspace, drives it and looks.

Writes docs/images/<name>-light.png and <name>-dark.png, 1280 × 720, with few colours so that they
stay small. Recipes, seeds and places are fixed; times and dates are what they are. What is pressed
is found by its key in the pages' code, so words on the screens may change.

    make screenshots          or: python -m docs.screenshots [NAME …]
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser import hands
from tests.browser.driver import Served, browser, wait_for_chart

IMAGES = Path(__file__).parent / "images"
HOME = Path("/tmp/paretoscope")
"""Seen in the pictures, so the same on every machine."""
RECIPE = "/?method=task_arithmetic&c=helpful:0.90,harmless:0.05,honest:0.60"
BALANCED = "/?method=pcb&c=helpful:1.4715,harmless:0.0325,honest:1.2852&p=ratio:0.8,variant:vision"
"""A shipped point, which is exported."""
THREE = "facts,honesty,refusals"
"""Objectives of the front where the pad is shown, which has three corners."""
LONG = 600_000
"""Milliseconds for what models do, on a busy machine too."""
AWAY = (800, 20)
"""Where the pointer rests: nothing reacts there."""


class Camera:
    """Takes each picture twice, in the light and in the dark theme.

    Attributes:
        url: where the app is served.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url

    def take(self, name: str) -> None:
        self.page.mouse.move(*AWAY)
        for scheme in ("dark", "light"):
            self._wear(scheme)
            image = Image.open(io.BytesIO(self.page.screenshot(animations="disabled")))
            small = image.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
            small.save(IMAGES / f"{name}-{scheme}.png", optimize=True)

    def _wear(self, scheme: str) -> None:
        """Change the theme as the system's settings would, and let the page follow."""
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        self.page.wait_for_function(
            "dark => { const [r] = getComputedStyle(document.querySelector('.stApp'))"
            ".backgroundColor.match(/\\d+/g).map(Number); return (r < 128) === dark; }",
            arg=scheme == "dark",
        )
        self.page.wait_for_timeout(1200)
        self.page.wait_for_function("!document.querySelector('[data-stale=true]')")


def scroll(page: Page, selector: str, above: int = 68) -> None:
    """Bring an element to the top of the window."""
    page.locator(selector).first.evaluate(
        "(e, above) => { const box = document.querySelector('[data-testid=stMain]');"
        " box.scrollTop += e.getBoundingClientRect().top - above; }",
        above,
    )


def keyed(page: Page, key: str, inner: str = "") -> Locator:
    """What has a key in the pages' code, or `inner` in it."""
    return page.locator(f".st-key-{re.sub('[^a-zA-Z0-9_-]', '-', key)} {inner}".strip())


def press(page: Page, key: str) -> None:
    """The button of a key."""
    button = keyed(page, key, "button").first
    expect(button).to_be_enabled()
    button.click()


def fill(page: Page, key: str, text: str) -> None:
    field = keyed(page, key).locator("input, textarea").first
    field.fill(text)
    field.press("Enter" if field.evaluate("e => e.tagName") == "INPUT" else "Control+Enter")


def tab(page: Page, place: int) -> None:
    """The tab at a place of the page's own row of tabs."""
    page.locator("[data-testid=stTabs]").first.get_by_role("tab").nth(place).click()


def explore(page: Page, camera: Camera) -> None:
    """The trade-off, a surface, parallel axes."""
    page.locator(".mark.here:not([hidden])").wait_for(state="attached")
    camera.take("explore")
    press(page, "dismiss")
    for view in ("Surface", "Parallel"):
        before = wait_for_chart(page)
        page.get_by_role("radio", name=view).click()
        page.wait_for_function(
            "old => { const now = document.querySelector('.tradeoff, .parallel')?.dataset.drawn;"
            " return now && now !== old; }",
            arg=before,
        )
        page.wait_for_timeout(2000)
        camera.take(view.lower())
    page.get_by_role("radio", name="Trade-off").click()


def preference(page: Page, camera: Camera) -> None:
    """The pad over three objectives, and why this one; the pick goes into the tray."""
    page.goto(f"{camera.url}{RECIPE}&z=refusals&over={THREE}")
    wait_for_chart(page)
    tab(page, 1)
    page.locator(".pad[data-point]").wait_for()
    hands.press(hands.weight(page, "refusals"), "ArrowRight", 7)
    page.wait_for_timeout(2500)
    camera.take("preference")
    keyed(page, "why", "summary").click()
    page.wait_for_timeout(1500)
    scroll(page, ".pad")
    camera.take("why")
    press(page, "take")
    page.locator(".readout .title.whole").wait_for(state="attached")
    tab(page, 1)
    press(page, "compare_pick")
    page.wait_for_timeout(1500)


def compare(page: Page, camera: Camera) -> None:
    """The pick, in the tray, beside the base and an expert, with the words that differ."""
    hands.turn_to(page, "Compare")
    hands.add_to_tray(page, ("base", "helpful"))
    hands.choose(page, "Objective", "refusals")
    page.wait_for_timeout(2000)
    hands.answer(page)
    hands.choose(page, "Differences", "against B")
    page.locator(".answers ins").first.wait_for()
    scroll(page, ".st-key-ask_line")
    camera.take("compare")


def sweeps(page: Page, camera: Camera) -> None:
    """An estimate, the sweep as it runs, and its end."""
    hands.turn_to(page, "Sweeps")
    fill(page, "sweep_points", "6")
    fill(page, "sweep_seed", "11")
    expect(keyed(page, "sweep_method:task_arithmetic")).to_contain_text("6 points")
    press(page, "estimate")
    keyed(page, "start", "button").wait_for(timeout=LONG)
    camera.take("sweep-estimate")
    press(page, "start")
    expect(keyed(page, "sweep_running")).to_contain_text("2 of 6", timeout=LONG)
    camera.take("sweep-running")
    keyed(page, "sweep_running", "button").wait_for(state="detached", timeout=LONG)
    page.wait_for_timeout(2500)
    scroll(page, ".st-key-sweep_running", -40)
    camera.take("sweep-done")


def models(page: Page, camera: Camera) -> None:
    """The family, its task vectors, an objective's preview, a study from directories."""
    hands.turn_to(page, "Models")
    page.locator("[data-testid=stTabs]").first.wait_for()
    page.wait_for_timeout(2500)
    camera.take("models")
    tab(page, 1)
    press(page, "measure_vectors")
    keyed(page, "cosines", ".main-svg").first.wait_for()
    page.wait_for_timeout(2500)
    camera.take("vectors")

    tab(page, 2)
    fill(page, "objective:0:name", "brevity")
    hands.choose(page, "Scorer", "regex")
    fill(page, "objective:0:data", "data/facts.jsonl")
    fill(page, "objective:0:regex:pattern", r"^[^.]{1,30}\.$")
    keyed(page, "objective:0:chat", "label").first.click()
    press(page, "preview")
    page.get_by_text("Example 2").wait_for()
    page.wait_for_timeout(1500)
    scroll(page, ".st-key-preview", 330)
    camera.take("objective")

    tab(page, 3)
    demo = HOME / "demo" / "models"
    fill(page, "new_name", "duo")
    fill(page, "new_base", str(demo / "base"))
    for place, name in enumerate(("helpful", "harmless")):
        fill(page, f"expert_name:{place}", name)
        fill(page, f"expert_place:{place}", str(demo / name))
    press(page, "check_study")
    page.wait_for_timeout(6000)
    scroll(page, ".st-key-new_study", -300)
    camera.take("open")


def export(page: Page, camera: Camera) -> None:
    """What will be written; then what was, verified."""
    page.goto(f"{camera.url}{BALANCED}")
    page.locator(".readout .title.whole").wait_for(state="attached")
    hands.to_export(page)
    files = page.locator("[data-testid=stExpander] summary").first
    files.click()
    page.wait_for_timeout(1500)
    camera.take("export")
    files.click()
    hands.export(page)
    page.wait_for_timeout(2000)
    camera.take("export-done")


LEGS: tuple[Callable[[Page, Camera], None], ...] = (
    explore,
    preference,
    compare,
    sweeps,
    models,
    export,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [each.__name__ for each in LEGS]
    parser.add_argument("legs", nargs="*", help=f"some of {', '.join(names)}; all by default")
    asked = parser.parse_args().legs or names
    if HOME.exists():
        raise SystemExit(f"{HOME} is needed for a workspace of its own: move it away")
    IMAGES.mkdir(exist_ok=True)
    try:
        with browser() as chrome, Served(None, HOME) as app:
            page = app.open(chrome, RECIPE)
            wait_for_chart(page)
            expect(keyed(page, "evaluate", "button")).to_be_enabled(timeout=LONG)
            for leg in LEGS:
                if leg.__name__ in asked:
                    leg(page, Camera(page, app.url))
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main()
