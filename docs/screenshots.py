"""The pictures of the guide: starts the app on a scratch workspace, drives it and looks.

Writes docs/images/<name>-light.png and <name>-dark.png, 1280 × 720, with few colours so that they
stay small. Recipes, seeds and places are fixed; times and dates are what they are.

    make screenshots          or: python -m docs.screenshots [NAME …]
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser import hands
from tests.browser.driver import Served, browser, wait_for_chart

IMAGES = Path(__file__).parent / "images"
HOME = Path("/tmp/paretoscope")
"""Seen in the pictures, so the same on every machine."""
RECIPE = "/?method=task_arithmetic&c=helpful:0.60,harmless:0.90,honest:0.05"
AWAY = (800, 20)
"""Where the pointer rests: nothing reacts there."""


class Camera:
    """Takes each picture twice, in the light and in the dark theme."""

    def __init__(self, page: Page) -> None:
        self.page = page

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


def fill(page: Page, label: str, text: str) -> None:
    page.get_by_role("textbox", name=label, exact=True).fill(text)


def explore(page: Page, camera: Camera) -> None:
    """The trade-off, a surface, parallel axes."""
    expect(page.locator(".readout")).to_contain_text("Predicted")
    camera.take("explore")
    page.get_by_role("button", name="Dismiss").click()
    for view in ("Surface", "Parallel"):
        before = wait_for_chart(page)
        page.get_by_role("radio", name=view).click()
        page.wait_for_function(
            "old => { const now = document.querySelector('.tradeoff')?.dataset.drawn;"
            " return now && now !== old; }",
            arg=before,
        )
        page.wait_for_timeout(2000)
        camera.take(view.lower())
    page.get_by_role("radio", name="Trade-off").click()


def preference(page: Page, camera: Camera) -> None:
    """The pad over three objectives, and why this one; the pick goes into the tray."""
    hands.show_depth(page, "honesty")
    page.get_by_role("tab", name="Preference").click()
    page.locator(".pad[data-point]").wait_for()
    hands.press(hands.weight(page, "refusals"), "ArrowRight", 7)
    page.wait_for_timeout(2500)
    camera.take("preference")
    page.get_by_text("Why this one").click()
    page.wait_for_timeout(1500)
    scroll(page, ".pad")
    camera.take("why")
    hands.take_pick(page)
    page.get_by_role("tab", name="Preference").click()
    page.locator(".st-key-compare_pick").get_by_role("button").click()
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
    hands.choose(page, "Design", "sobol")
    points = page.get_by_label("Points a method")
    points.fill("6")
    points.press("Enter")
    seed = page.get_by_label("Seed of sobol")
    expect(seed).to_be_enabled()
    seed.fill("11")
    seed.press("Enter")
    page.get_by_text("6 points over 3 coefficients").wait_for()
    page.get_by_role("button", name="Estimate").click()
    start = page.get_by_role("button", name="Start", exact=True)
    start.wait_for()
    camera.take("sweep-estimate")
    start.click()
    page.get_by_text("2 of 6 points").wait_for()
    camera.take("sweep-running")
    page.get_by_text("Sweeps so far").wait_for()
    page.wait_for_timeout(2500)
    scroll(page, ".st-key-sweep_running", -40)
    camera.take("sweep-done")


def models(page: Page, camera: Camera) -> None:
    """The family, its task vectors, an objective's preview, a study from directories."""
    hands.turn_to(page, "Models")
    page.get_by_text("Compatibility", exact=True).wait_for()
    page.wait_for_timeout(1500)
    camera.take("models")
    page.get_by_role("tab", name="Task vectors").click()
    page.get_by_role("button", name="Measure the task vectors").click()
    page.get_by_text("Cosines between task vectors").wait_for()
    page.wait_for_timeout(2500)
    camera.take("vectors")

    page.get_by_role("tab", name="Objectives").click()
    fill(page, "Name of the objective", "brevity")
    hands.choose(page, "Scorer", "regex")
    fill(page, "Data file", "data/facts.jsonl")
    fill(page, "pattern", r"^[^.]{1,30}\.$")
    page.get_by_text("Through the chat template").click()
    page.get_by_role("button", name="Preview five examples").click()
    page.get_by_text("Example 2").wait_for()
    page.wait_for_timeout(1500)
    scroll(page, ".st-key-preview", 330)
    camera.take("objective")

    page.get_by_role("tab", name="Open another study").click()
    demo = HOME / "demo" / "models"
    fill(page, "Name of the study", "duo")
    fill(page, "Directory of the base", str(demo / "base"))
    for place, name in enumerate(("helpful", "harmless"), 1):
        fill(page, f"Name of expert {place}", name)
        fill(page, f"Directory of expert {place}", str(demo / name))
    page.get_by_role("button", name="Check", exact=True).click()
    page.get_by_text("These models fit together.").wait_for()
    page.wait_for_timeout(1500)
    scroll(page, ".st-key-new_study", -300)
    camera.take("open")


def export(page: Page, camera: Camera) -> None:
    """What will be written; then what was, verified."""
    hands.turn_to(page, "Explore")
    hands.to_export(page)
    page.get_by_text("Will write").click()
    page.wait_for_timeout(1500)
    camera.take("export")
    page.get_by_text("Will write").click()
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
            page.get_by_text("worker ready").wait_for()
            for leg in LEGS:
                if leg.__name__ in asked:
                    leg(page, Camera(page))
    finally:
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main()
