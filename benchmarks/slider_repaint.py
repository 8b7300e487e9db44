"""From a key on a slider to the repainted page, with 10,000 points on the chart.

Starts the app on a workspace of its own whose journal holds the points, drives Chromium, and takes
times inside the page: from the key event to the frame after the readout and the ring have moved.
A busy process runs beside, as a worker would. One line of JSON, milliseconds.

    python -m benchmarks.slider_repaint [--study PATH] [--points 10000] [--moves 60] [--busy 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cache.store import Store
from engine.demo import write_demo
from engine.recipe import Recipe, find_method, resolve
from engine.run.local import LocalExecutor
from pages.parts.backend import Backend
from pages.parts.opening import read_study
from tests.browser.driver import Served, browser, chromium, slider, wait_for_chart

METHOD = "task_arithmetic"
SPIN = "import os\nos.nice(10)\nwhile True: sum(range(10000))"

WATCH = """() => {
    window.repaints = [];
    let pressed = null;
    document.addEventListener('keydown', () => { pressed ??= performance.now(); }, true);
    new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => {
        if (pressed === null) return;
        const ring = document.querySelector('.mark.here');
        window.repaints.push([performance.now() - pressed, ring.style.transform]);
        pressed = null;
    }, 0))).observe(document.body,
        { subtree: true, attributes: true, attributeFilter: ['data-recipe'] });
}"""


def fill(study: Path, home: Path, count: int) -> None:
    """Have the models scored as they are, then journal `count` points with made-up scores."""
    parts = read_study(study)
    with Store.open(home) as store, LocalExecutor(home, on_rows=store.append) as executor:
        backend = Backend(*parts, home, store, executor)
        limit = time.monotonic() + 300
        while len(backend.measured()) < len(backend.names.models):
            backend.advance()
            if backend.worker().name == "failed" or time.monotonic() > limit:
                raise SystemExit(f"the study does not open: {backend.worker().reason}")
            time.sleep(0.1)
        store.append(made_up(backend, count))


def made_up(backend: Backend, count: int) -> list[dict[str, object]]:
    """Score rows of random recipes: smooth in the coefficients, with noise."""
    opened, names = backend.opened, backend.names
    assert opened is not None
    random = np.random.default_rng(0)
    experts = find_method(METHOD).coefficient_names(names)
    rows: list[dict[str, object]] = []
    for place in random.uniform(0, 1.5, (count, len(experts))):
        c = {name: float(round(value, 4)) for name, value in zip(experts, place, strict=True)}
        recipe = resolve(Recipe(METHOD, c), names)
        for column, (objective, fingerprint) in enumerate(opened.objectives.items()):
            own = place[column % len(experts)]
            mean = 1 / (1 + np.exp(-(2 * own - 0.9 * (place.sum() - own)))) + random.normal(0, 0.02)
            rows.append(
                {
                    "kind": "score", "point": backend.point_id(recipe), "recipe": recipe.as_dict(),
                    "family": opened.family, "objective": objective,
                    "objective_fingerprint": fingerprint, "split": "explore",
                    "numerics": opened.numerics, "n": 300, "mean": mean, "stderr": 0.02,
                    "low": mean - 0.04, "high": mean + 0.04, "seconds": 0.1,
                }
            )  # fmt: skip
    return rows


def measure(app: Served, moves: int) -> tuple[list[float], int, float]:
    """Milliseconds of each move, places of the ring, seconds until the first chart."""
    with browser() as chrome:
        start = time.perf_counter()
        page = app.open(chrome)
        wait_for_chart(page)
        first = time.perf_counter() - start
        page.get_by_text("worker ready").wait_for()
        page.wait_for_timeout(2000)
        page.evaluate(WATCH)
        names = page.locator(".st-key-controls [data-testid=stSlider] label").all_inner_texts()
        for move in range(moves):
            handle = slider(page, names[move // 5 % len(names)])
            handle.focus()
            before = page.evaluate("window.repaints.length")
            page.keyboard.press("ArrowRight" if move // 20 % 2 == 0 else "ArrowLeft")
            page.wait_for_function(f"window.repaints.length > {before}")
            page.wait_for_timeout(40)
        found = page.evaluate("window.repaints")
    return [each[0] for each in found], len({each[1] for each in found}), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--busy", type=int, default=1, help="busy processes beside the app")
    options = parser.parse_args()
    if chromium() is None:
        raise SystemExit("this benchmark needs Chromium")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        study = options.study or write_demo(Path(place) / "demo")
        fill(study, home, options.points)
        beside = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(options.busy)]
        try:
            with Served(study, home) as app:
                times, places, first = measure(app, options.moves)
        finally:
            for each in beside:
                each.kill()
                each.wait()
    result = {
        "points": options.points,
        "moves": len(times),
        "busy": options.busy,
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
        "max_ms": round(max(times), 1),
        "ring_places": places,
        "first_chart_s": round(first, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
