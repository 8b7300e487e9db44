"""How long a workspace of many points takes to open and answer, against reading its lines; and
what a point costs that arrives, against a fresh look at all of them.

The first peer is what a program without an index does: read every line of the journal, keep the
newest score of each point and objective, join them. The second joins the index anew and parses
every recipe, as the first look does. Peer and ours run in turn in one process, on the same rows;
medians of wall-clock milliseconds. Prints one line of JSON: `ratio` is peer ÷ (open + first
columns), `arrival_ratio` first look ÷ the look after one point more.

    python -m benchmarks.store [--points 10000] [--objectives 6] [--examples 64] [--repeat 5]
    python -m benchmarks.store --points 100000 --examples 8
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine  # noqa: F401  (registers the methods)
from cache.columns import Columns
from cache.journal import Journal
from cache.store import Store
from studio.points.arrivals import Arrivals
from studio.points.view import Measured

HERE = ("explore", "cpu/float32/1")


def row(point: int, objective: int, examples: int, dice: random.Random) -> dict[str, Any]:
    values = [dice.random() for _ in range(examples)]
    return {
        "kind": "score",
        "point": f"{point * 2654435761 % (1 << 48):012x}",
        "recipe": {"method": "linear", "coefficients": {"a": point / 100}, "parameters": {}},
        "family": "f" * 64,
        "objective": f"o{objective}",
        "objective_fingerprint": f"{objective:064x}",
        "scorer": "nll",
        "split": HERE[0],
        "numerics": HERE[1],
        "n": examples,
        "mean": statistics.fmean(values),
        "stderr": 0.1,
        "low": None,
        "high": None,
        "values": values,
        "seconds": 1.0,
        "at": float(point),
    }


def naive(journal: Path) -> int:
    """Points joined from the lines alone."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    with open(journal, encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            found = json.loads(line)
            key = found["point"], found["objective_fingerprint"]
            if key not in newest or newest[key]["at"] <= found["at"]:
                newest[key] = found
    points: dict[str, dict[str, Any]] = {}
    for (point, _), found in newest.items():
        points.setdefault(point, {})[found["objective"]] = found["mean"]
    return len(points)


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--objectives", type=int, default=6)
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    dice = random.Random(0)
    objectives = {f"o{each}": f"{each:064x}" for each in range(given.objectives)}
    times: dict[str, list[float]] = {}

    def note(name: str, milliseconds: float) -> None:
        times.setdefault(name, []).append(milliseconds)

    with tempfile.TemporaryDirectory() as home:
        journal = Journal(Path(home) / "journal")
        for point in range(0, given.points, 100):
            journal.append(
                row(each, objective, given.examples, dice)
                for each in range(point, min(point + 100, given.points))
                for objective in range(given.objectives)
            )
        path = journal.path
        assert path is not None
        note("build_index_ms", timed(lambda: Store.open(home).close()))
        for turn in range(given.repeat):
            note("peer_join_ms", timed(lambda: naive(path)))
            start = time.perf_counter()
            store = Store.open(home)
            note("open_ms", 1000 * (time.perf_counter() - start))
            with store:
                arrivals = Arrivals()

                def columns(store: Store = store) -> Columns:
                    return store.columns("f" * 64, objectives, *HERE)

                def look(arrivals: Arrivals = arrivals) -> Measured:
                    return arrivals.measured(columns())

                note("columns_ms", timed(columns))
                note("view_ms", timed(look))
                assert len(look()) == naive(path) if turn == 0 else len(look()) >= given.points
                note("refresh_idle_ms", timed(store.refresh))
                for arrived in range(5):
                    point = given.points + 5 * turn + arrived
                    journal.append(
                        row(point, objective, given.examples, dice)
                        for objective in range(given.objectives)
                    )
                    note("refresh_point_ms", timed(store.refresh))
                    note("arrival_ms", timed(look))
        journal.close()
    medians = {name: round(statistics.median(each), 3) for name, each in times.items()}
    ratio = medians["peer_join_ms"] / (medians["open_ms"] + medians["columns_ms"])
    arrival = (medians["columns_ms"] + medians["view_ms"]) / medians["arrival_ms"]
    print(
        json.dumps(
            {
                "benchmark": "store",
                "points": given.points,
                "objectives": given.objectives,
                "peer": "read every JSON line and join",
                **medians,
                "ratio": round(ratio, 2),
                "arrival_peer": "columns and view of all points, as at the first look",
                "arrival_ratio": round(arrival, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
