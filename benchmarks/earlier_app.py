"""The app beside an earlier build of it: first start, reload, and the latencies of its pages.

Both builds in turn, in one run, on the same machine and the same Python:

    start    a workspace that does not exist yet → the demo's points are on the chart
    reload   the page loaded again → the chart is drawn
    pages    `benchmarks.ui_latency` of each build, for what both of them time

One line of JSON: medians in seconds (start, reload) and milliseconds (pages), and ratios, ours to
the earlier build's. With --cold every file that Python and the browser read is put out of the
operating system's memory before each start.

    git worktree add ../earlier COMMIT
    python -m benchmarks.earlier_app ../earlier [--rounds 5] [--cold] [--pages 0] [--points 10000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.browser.driver import ROOT, Served, browser, chromium, wait_for_chart

RELOADS = 3


def forget(*places: Path) -> None:
    """Put the files below out of the page cache: clean pages need no right to go."""
    for place in places:
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                file = os.open(path, os.O_RDONLY)
                try:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(file)


def begin(root: Path, cold: bool) -> tuple[float, list[float]]:
    """Seconds of a first start until the chart stands, and of reloads."""
    with tempfile.TemporaryDirectory() as place, browser() as chrome:
        if cold:
            forget(Path(sys.prefix), root, Path(chromium() or "").resolve().parent)
        began = time.perf_counter()
        with Served(None, Path(place) / "home", device="cpu", root=root) as app:
            page = app.open(chrome)
            wait_for_chart(page)
            start = time.perf_counter() - began
            page.get_by_text("worker ready").wait_for()
            reloads = []
            for _ in range(RELOADS):
                again = time.perf_counter()
                page.reload()
                wait_for_chart(page)
                reloads.append(time.perf_counter() - again)
    return start, reloads


def latencies(root: Path, points: int) -> dict[str, float]:
    """Medians in milliseconds that `ui_latency` of this build prints."""
    command = [sys.executable, "-m", "benchmarks.ui_latency", "--points", str(points)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    return {name: value["median"] for name, value in said.items() if "median" in str(value)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", type=Path, help="checkout of the earlier build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--pages", type=int, default=0, help="rounds of ui_latency")
    parser.add_argument("--points", type=int, default=10_000)
    options = parser.parse_args()
    builds = {"ours": ROOT, "earlier": options.earlier.resolve()}
    found: dict[str, dict[str, list[float]]] = {name: {} for name in builds}
    for _ in range(options.rounds):
        for name, root in builds.items():
            start, reloads = begin(root, options.cold)
            found[name].setdefault("start_s", []).append(start)
            found[name].setdefault("reload_s", []).extend(reloads)
    for _ in range(options.pages):
        for name, root in builds.items():
            for what, value in latencies(root, options.points).items():
                found[name].setdefault(what, []).append(value)
    medians = {
        name: {what: round(median(each), 2) for what, each in times.items()}
        for name, times in found.items()
    }
    shared = [what for what in medians["ours"] if what in medians["earlier"]]
    ratio = {what: round(medians["ours"][what] / medians["earlier"][what], 3) for what in shared}
    print(json.dumps({"cold": options.cold, **medians, "ours_to_earlier": ratio}))


if __name__ == "__main__":
    main()
