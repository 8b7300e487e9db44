"""From nothing to a verified export, as someone who sees the app for the first time goes.

A workspace that does not exist yet, the shipped demo, real Chromium. Each leg is timed from the
start of the server to what a person waits for:

    start        the demo's points are on the chart
    preference   three axes, a weight moved by keys, the pad dragged
    take         the pick's recipe is in the sliders
    compare      the pick beside the base and an expert, three prompts answered
    export       written, loaded again and compared with the live model

One line of JSON, seconds; `load` is how many wait for each processor. Exits with 1 where something
on the way is missing, or the whole takes as long as the limit.

    python -m benchmarks.newcomer [--limit 90]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Error, Page, expect

from tests.browser import hands
from tests.browser.driver import Served, browser, chromium, wait_for_chart

EXPERT = "helpful"
PROMPTS = 3


class Clock:
    """Seconds of each leg, one after the other."""

    def __init__(self) -> None:
        self.legs: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._at = time.perf_counter()

    def lap(self, leg: str) -> None:
        now = time.perf_counter()
        self.legs[leg] = round(now - self._at, 1)
        self._at = now


def walk(home: Path, clock: Clock) -> None:
    """The whole way.

    Raises:
        AssertionError, playwright's Error: something is missing.
    """
    with browser() as chrome:
        clock.start()
        with Served(None, home) as app:
            to_the_end(app.open(chrome), home, clock)


def to_the_end(page: Page, home: Path, clock: Clock) -> None:
    wait_for_chart(page)
    assert hands.count_points(page) > 0, "the demo has no points"
    clock.lap("start")

    hands.show_depth(page, "honesty")
    page.get_by_role("tab", name="Preference").click()
    page.locator(".pad[data-point]").wait_for()
    hands.press(hands.weight(page, "refusals"), "ArrowRight", 10)
    handle = page.locator(".pad .handle")
    before = handle.get_attribute("aria-valuetext")
    hands.drag_pad(page, 0.45, 0.6)
    expect(handle).not_to_have_attribute("aria-valuetext", before or "")
    pick = page.locator(".pad").get_attribute("data-point") or ""
    expect(page.locator(".picked")).to_have_attribute("data-point", pick)
    clock.lap("preference")

    point = hands.take_pick(page)
    clock.lap("take")

    page.get_by_role("tab", name="Preference").click()
    beside = page.locator(".st-key-compare_pick").get_by_role("button")
    beside.click()
    expect(beside).to_contain_text("tray")
    hands.turn_to(page, "Compare")
    hands.add_to_tray(page, ("base", EXPERT))
    hands.answer(page)
    answers = page.locator(".answers td .text").all_inner_texts()
    assert len(answers) == 3 * PROMPTS and all(answers), f"answers are missing: {answers}"
    clock.lap("compare")

    hands.turn_to(page, "Explore")
    hands.to_export(page)
    hands.export(page)
    assert list((home / "exports").glob(f"demo-{point}/*.safetensors")), "nothing was written"
    clock.lap("export")
    assert not page.complaints, page.complaints  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=float, default=90, help="seconds that it may not reach")
    options = parser.parse_args()
    if chromium() is None:
        raise SystemExit("this benchmark needs Chromium")
    clock, missing = Clock(), ""
    with tempfile.TemporaryDirectory() as place:
        try:
            walk(Path(place) / "home", clock)
        except (AssertionError, Error) as error:
            missing = str(error)
    total = round(sum(clock.legs.values()), 1)
    result = {
        "seconds": clock.legs,
        "total_s": total,
        "limit_s": options.limit,
        "missing": missing,
        "load": round(os.getloadavg()[0] / (os.cpu_count() or 1), 1),
    }
    print(json.dumps(result))
    sys.exit(1 if missing or total >= options.limit else 0)


if __name__ == "__main__":
    main()
