"""What hands feel, in real Chromium: sliders, pad, pages, first token; beside the stock chart.

Starts the app on a workspace of its own whose journal holds the points, and takes times inside the
page: from the event to the frame after what it changed. The baseline, a page of one stock slider
and one stock `st.plotly_chart` with as many points, runs in the same call. Milliseconds, medians
and 95th percentiles; one line of JSON a number of points.

    python -m benchmarks.ui_latency [--points 10000 100000] [--moves 40] [--sweep] [--study PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, Page

from benchmarks.crowd import fill
from benchmarks.in_page import FRAMES, SWITCH, TOKEN, WATCH, WATCH_STOCK
from engine.demo import demo_in
from tests.browser.driver import ROOT, Served, browser, chromium, free_port, slider, wait_for_chart

TURNS = 20
"""Of what takes a second or more each."""


def summary(times: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(times), 1),
        "p95": round(float(np.percentile(times, 95)), 1),
        "n": len(times),
    }


def presses(page: Page, handles: list[Locator], moves: int) -> list[float]:
    """Milliseconds from each key to the repainted page, over several sliders in turn."""
    for move in range(moves):
        handle = handles[move // 5 % len(handles)]
        handle.focus()
        before = page.evaluate("window.repaints.length")
        page.keyboard.press("ArrowRight" if move // 20 % 2 == 0 else "ArrowLeft")
        page.wait_for_function(f"window.repaints.length > {before}")
        page.wait_for_timeout(300)  # Python has answered, too: its answer is no repaint of the next
    return [float(each) for each in page.evaluate("window.repaints")]


def recipe_slider(page: Page, moves: int) -> dict[str, Any]:
    """Until mark and words say what the browser predicts, and until Python has answered."""
    page.evaluate(WATCH)
    names = page.locator(".st-key-controls [data-testid=stSlider] label").all_inner_texts()
    shown = summary(presses(page, [slider(page, name) for name in names], moves))
    answered = [float(each) for each in page.evaluate("window.answers")]
    return {"recipe_slider_ms": shown, "recipe_slider_answered_ms": summary(answered)}


def preference_slider(page: Page, moves: int) -> dict[str, float]:
    page.get_by_role("tab", name="Preference").click()
    sliders = page.locator(".st-key-weights input[type=range]")
    sliders.first.wait_for()
    page.evaluate(WATCH)
    handles = [sliders.nth(place) for place in range(sliders.count())]
    return summary(presses(page, handles, moves))


def pad(page: Page) -> dict[str, float]:
    """Frames a second while the handle is dragged in circles; the median is a frame's."""
    page.get_by_role("tab", name="Preference").click()
    page.locator(".pad .triangle").wait_for()
    box = page.locator(".pad .triangle").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    started = time.perf_counter()
    step = 0
    while time.perf_counter() - started < 4:
        step += 1
        page.mouse.move(x + 40 * np.cos(step / 15), y + 30 * np.sin(step / 15))
    frames = page.evaluate("() => { window.frames_on = false; return window.frames_seen; }")
    page.mouse.up()
    gaps = np.diff(frames)
    return {
        "frames_per_second": round(1000 / float(np.mean(gaps)), 1),
        "median": round(float(np.median(gaps)), 1),
        "slowest_frame_p95_ms": round(float(np.percentile(gaps, 95)), 1),
        "moves": step,
    }


def page_switch(page: Page, times: int) -> dict[str, Any]:
    """Between Explore and Compare, both ways; "newest": points that came meanwhile are drawn."""
    away, back, newest = [], [], []
    for _ in range(times):
        away += page.evaluate(SWITCH, ["Compare", "input[aria-label*='Add a model']"])
        page.wait_for_timeout(300)
        chart = ".tradeoff .main-svg", ".tradeoff[data-drawn]"
        shown, drawn = page.evaluate(SWITCH, ["Explore", *chart])
        back.append(shown)
        newest.append(drawn)
        page.wait_for_timeout(600)
    named = {"to_compare": away, "to_explore": back, "to_explore_newest": newest}
    return {f"{name}_ms": summary(times) for name, times in named.items()}


def first_token(app: Served, chrome: Browser, times: int) -> dict[str, float]:
    """From the click on Answer to the first painted text, three models and three prompts; on a page
    without answers each time, since the same ones again are nothing to paint."""
    place = "/compare?points=base,helpful,harmless"
    page, times_found = app.open(chrome, place), []
    for _ in range(times):
        page.goto(f"{app.url}{place}")
        page.get_by_role("button", name="Answer").wait_for()
        page.get_by_text("worker ready").wait_for()
        page.wait_for_timeout(500)
        times_found.append(page.evaluate(TOKEN, 30_000))
        page.wait_for_selector(".answers[data-writing=false]")
        page.wait_for_timeout(500)
    page.context.close()
    return summary(times_found)


def stock(chrome: Browser, points: int, moves: int) -> dict[str, float]:
    """The stock elements with as many points."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "benchmarks/stock_chart.py"]
    process = subprocess.Popen(
        [*command, "--server.port", str(port)], cwd=ROOT,
        env=os.environ | {"POINTS": str(points)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert time.monotonic() < limit, "the stock page does not answer"
                time.sleep(0.1)
        page = chrome.new_context(viewport={"width": 1280, "height": 720}).new_page()
        page.goto(f"http://127.0.0.1:{port}")
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=90_000)
        page.wait_for_timeout(2000)
        page.evaluate(WATCH_STOCK)
        found = summary(presses(page, [page.locator("input[type=range]").first], moves))
        page.context.close()
        return found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


@contextmanager
def sweeping(study: Path, home: Path) -> Iterator[None]:
    """A real sweep by the command line beside the app, on the same workspace."""
    command = [sys.executable, "-m", "engine", "sweep", str(study), "--workspace", str(home)]
    command += ["--method", "task_arithmetic", "--points", "4000", "--strategy", "sobol"]
    process = subprocess.Popen(
        [*command, "--seed", "7"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # the first point is measured
        yield
        assert process.poll() is None, "the sweep ended before the measurement did"
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait(30)


def opened(app: Served, chrome: Browser, path: str = "/") -> Page:
    """Explore, drawn and at rest."""
    page = app.open(chrome, path)
    wait_for_chart(page)
    page.get_by_text("worker ready").wait_for()
    page.wait_for_timeout(3000)
    return page


def hands(app: Served, chrome: Browser, moves: int) -> dict[str, Any]:
    """Every measurement of the app; for those while a sweep runs, once more."""
    page = opened(app, chrome)
    result = recipe_slider(page, moves)
    result["preference_slider_ms"] = preference_slider(page, moves)
    page.context.close()
    page = opened(app, chrome, "/?x=facts&y=refusals&z=honesty&over=facts,refusals,honesty")
    result["pad_frame_ms"] = pad(page)
    page.context.close()
    page = opened(app, chrome)
    result |= page_switch(page, TURNS)
    page.context.close()
    result["first_token_ms"] = first_token(app, chrome, TURNS)
    return result


def run(place: Path, points: int, moves: int, sweep: bool, given: Path | None) -> dict[str, Any]:
    home = place / "home"
    study = given or demo_in(home)
    fill(study, home, points)
    result: dict[str, Any] = {"points": points, "machine": machine()}
    # the demo's own points were measured on the CPU
    with Served(study, home, device="auto" if given else "cpu") as app, browser() as chrome:
        quiet = hands(app, chrome, moves)
        result |= quiet
        if sweep:
            with sweeping(study, home):
                busy = hands(app, chrome, moves)
            result["while_sweeping"] = busy
            result["sweeping_to_quiet"] = {
                name: round(busy[name]["median"] / quiet[name]["median"], 2) for name in quiet
            }
        result["stock_chart_ms"] = stock(chrome, points, TURNS)
    result["stock_to_ours"] = round(
        result["stock_chart_ms"]["median"] / result["recipe_slider_ms"]["median"], 2
    )
    return result


def machine() -> str:
    return f"{os.cpu_count()} × {platform.processor() or platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--sweep", action="store_true", help="again while a sweep runs")
    options = parser.parse_args()
    if chromium() is None:
        raise SystemExit("this benchmark needs Chromium")
    with tempfile.TemporaryDirectory() as place:
        for points in sorted(options.points):  # one workspace grows
            found = run(Path(place), points, options.moves, options.sweep, options.study)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
