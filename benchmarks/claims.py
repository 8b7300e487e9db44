"""What it costs a sweep that other processes may measure the same: seconds a point of a worker that
computes nothing, asking before each point and not.

    python -m benchmarks.claims [POINTS]

One JSON line: milliseconds a point without and with asking, alone and beside a second process that
sweeps the same (then for the points of both, each measured once), and what asking adds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cache.rows import score_id
from cache.store import Store
from engine.jobs.claiming import Turns
from engine.jobs.local import LocalExecutor
from engine.jobs.served import Emit
from engine.worker.messages import Job

SERVICE = "benchmarks.claims:Idle"
KEY = ("explore", "cpu/float32/1")
ROUNDS = 3


class Idle:
    """Gives three rows a point at once."""

    on_cpu = True

    def __init__(self, workspace: Path, device: str, compute_dtype: str | None) -> None: ...

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        points = [f"{index:012x}" for index in range(job.payload["points"])]
        missing = {place: [row["id"] for row in rows(point)] for place, point in enumerate(points)}
        if not job.payload["ask"]:
            for point in points:
                tick()
                for row in rows(point):
                    emit("result", {"row": row})
            return {}
        for turn in Turns(missing, emit, tick):
            for row in rows(points[turn.key]):
                turn.tick()
                emit("result", {"row": row})
                turn.measured(row["id"])
        return {}

    def park(self) -> Callable[[], None]:
        return lambda: None

    def rest(self) -> None: ...

    def close(self) -> None: ...


def rows(point: str) -> list[dict[str, Any]]:
    return [
        {
            "kind": "score",
            "id": score_id(point, objective, *KEY),
            "point": point,
            "family": "f" * 64,
            "objective": objective,
            "objective_fingerprint": objective,
            "split": KEY[0],
            "numerics": KEY[1],
            "mean": 0.5,
            "values": [0.0, 1.0] * 50,
        }
        for objective in ("a" * 64, "b" * 64, "c" * 64)
    ]


def swept(workspace: Path, points: int, ask: bool) -> float:
    """Seconds of a sweep, the worker's start not counted."""
    with (
        Store.open(workspace) as store,
        LocalExecutor(
            workspace, on_rows=store.append, claims=store.claims, service=SERVICE
        ) as executor,
    ):
        executor.submit(Job("sweep", {"points": 0, "ask": False})).result()
        start = time.perf_counter()
        executor.submit(Job("sweep", {"points": points, "ask": ask}, "s", "sweep")).result()
        return time.perf_counter() - start


def alone(points: int, ask: bool) -> float:
    with tempfile.TemporaryDirectory() as directory:
        return swept(Path(directory), points, ask)


def together(points: int) -> tuple[float, int]:
    """(seconds of two processes that sweep the same, rows there are)."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.claims", str(points), directory]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        seconds = [float(each.communicate()[0]) for each in both]
        with Store.open(directory) as store:
            found = store.scores("f" * 64, values=False)
        return max(seconds), len(found)


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    if len(sys.argv) > 2:
        print(swept(Path(sys.argv[2]), points, True))
        return
    without, with_ = [], []
    for _ in range(ROUNDS):
        without.append(alone(points, False))
        with_.append(alone(points, True))
    each = 1000.0 / points
    two, there = together(points)
    assert there == 3 * points
    found = {
        "points": points,
        "milliseconds_without": round(min(without) * each, 3),
        "milliseconds_with": round(min(with_) * each, 3),
        "milliseconds_added": round((min(with_) - min(without)) * each, 3),
        "points_a_second_with": round(points / min(with_), 1),
        "milliseconds_two_processes": round(two * each, 3),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
