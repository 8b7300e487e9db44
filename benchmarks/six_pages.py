"""Six pages of one app, open for a while beside a sweep in its worker, a hand going from one to the
next and moving sliders.

Real Chromium, six tabs on a workspace of many points. Milliseconds from a key to the repainted
page, and to Python's own answer (an answer that the next key overtook is not there). Beside them
the CPU-seconds of the app's process a second, and how many points arrived meanwhile.

One JSON line. With an earlier build's checkout the two take turns, each round on a new workspace;
`ratio` is the median of the rounds' ratios of ours to the earlier one's.

    python -m benchmarks.six_pages [EARLIER] [--seconds 90] [--points 10000] [--rounds 1]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
INSIDE = "--inside"
PAGES = 6
PRESSES = 5
"""Keys in a row on one slider before the hand goes to the next page."""


def cpu_of(pid: int) -> float:
    """CPU-seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_sweep(page: Any) -> None:
    """A sweep that lasts, by the page's own buttons."""
    from tests.browser.hands import choose

    page.locator(".st-key-sweep_running").get_by_text("No sweep runs.").wait_for()
    choose(page, "Design", "sobol")
    field = page.get_by_role("spinbutton", name="Points a method")
    field.fill("4000")
    field.press("Enter")
    page.get_by_text("4000 points over").wait_for()
    page.get_by_role("button", name="Estimate", exact=True).click()
    page.get_by_text("already). About").wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator(".st-key-sweep_running").get_by_text("of 4000 points").first.wait_for()


def points_of(page: Any) -> int:
    """How many points the header tells."""
    text = page.locator(".st-key-study_header").inner_text()
    return next(int(each.split()[0]) for each in text.split("\n") if " point" in each)


def hands(pages: list[Any], seconds: float) -> tuple[list[float], list[float], int]:
    """Repaints and answers over all pages, in milliseconds, and how many keys there were."""
    from benchmarks.in_page import WATCH
    from tests.browser.driver import slider

    for page in pages:
        page.evaluate(WATCH)
    names = pages[0].locator(".st-key-controls [data-testid=stSlider] label").all_inner_texts()
    limit, turn, keys = time.monotonic() + seconds, 0, 0
    while time.monotonic() < limit:
        page = pages[turn % len(pages)]
        page.bring_to_front()
        handle = slider(page, names[turn // len(pages) % len(names)])
        handle.focus()
        for _ in range(PRESSES):
            before = page.evaluate("window.repaints.length")
            forward = turn // (len(pages) * len(names)) % 2 == 0
            page.keyboard.press("ArrowRight" if forward else "ArrowLeft")
            page.wait_for_function(f"window.repaints.length > {before}")
            page.wait_for_timeout(300)
            keys += 1
        turn += 1
    repaints = [each for page in pages for each in page.evaluate("window.repaints")]
    answers = [each for page in pages for each in page.evaluate("window.answers")]
    return repaints, answers, keys


def summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1),
        "n": len(ordered),
    }


def inside(points: int, seconds: float) -> None:
    """One build, in its own checkout; prints its figures."""
    from benchmarks.crowd import fill
    from engine.demo import demo_in
    from tests.browser.driver import Served, browser, wait_for_chart

    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        study = demo_in(home)
        fill(study, home, points)
        with Served(study, home, device="cpu") as app, browser() as chrome:
            pages = []
            for _ in range(PAGES):
                page = app.open(chrome, "/")
                wait_for_chart(page)
                pages.append(page)
            pages[0].get_by_text("worker ready").wait_for()
            starter = app.open(chrome, "/sweeps")
            start_sweep(starter)
            starter.context.close()
            pages[0].wait_for_timeout(5000)  # the first point, and all that it changes
            assert app._process is not None
            pid, before = app._process.pid, points_of(pages[0])
            start, used = time.monotonic(), cpu_of(app._process.pid)
            repaints, answers, keys = hands(pages, seconds)
            spent, wall = cpu_of(pid) - used, time.monotonic() - start
            found = {
                "repaint_ms": summary(repaints),
                "answer_ms": summary(answers),
                "keys": keys,
                "arrived": points_of(pages[-1]) - before,
                "app_cpu_a_second": round(spent / wall, 3),
            }
    print(json.dumps(found))


def run(checkout: Path, points: int, seconds: float) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), INSIDE, str(points), str(seconds)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("earlier", type=Path, nargs="?", help="another checkout of this project")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    builds = {"ours": HERE} | ({"earlier": options.earlier.resolve()} if options.earlier else {})
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    for _ in range(options.rounds):
        for name, checkout in builds.items():
            runs[name].append(run(checkout, options.points, options.seconds))
            sys.stderr.write(f"{name}: {runs[name][-1]}\n")
    result: dict[str, Any] = {"benchmark": "six_pages", "points": options.points, **runs}
    if options.earlier:
        result["ratio"] = {
            f"{what}_{part}": round(
                statistics.median(
                    ours[what][part] / theirs[what][part]
                    for ours, theirs in zip(runs["ours"], runs["earlier"], strict=True)
                ),
                3,
            )
            for what in ("repaint_ms", "answer_ms")
            for part in ("median", "p95")
        }
    print(json.dumps(result))


if __name__ == "__main__":
    if INSIDE in sys.argv[1:]:
        place = sys.argv.index(INSIDE)
        inside(int(sys.argv[place + 1]), float(sys.argv[place + 2]))
    else:
        main()
