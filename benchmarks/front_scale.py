"""A front of many points: what the engine takes, and `front --csv` beside an earlier build.

    filter_pick    milliseconds: non-dominated points of 100,000 × 4, and a preference's pick
    ranks          seconds: their ranks
    probabilities  seconds: 500 points × 4 on 300 rows, in 1,000 draws; results in memory
    csv            seconds of the command on 100,000 × 4, and the earlier build's; ratio below 1 is
                   this build taking less (the median of the rounds' ratios)

In process: CPU time, the median of the rounds. The command: a process of its own checkout, the two
take turns; the first run of each, which writes bytecode, does not count, and both have to say the
same. One JSON line.

    git worktree add /tmp/earlier COMMIT
    python -m benchmarks.front_scale [/tmp/earlier] [--points 100000] [--rounds 9]
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.front.noise import Kind, Results, errors
from engine.front.pareto import ranks
from engine.front.preference import recommend
from engine.front.sure import sureness

HERE = Path(__file__).parents[1]
NAMES, MAXIMIZE = ("a", "b", "c", "d"), np.array([True, True, False, False])
ROWS = 300


def timed(work: Callable[[], object], rounds: int) -> float:
    """CPU-seconds, the median of the rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def scored(points: int) -> list[Results]:
    """What points that trade one objective for another have on rows: two proportions, two means."""
    random = np.random.default_rng(0)
    along = random.normal(0.0, 0.6, points)
    truth = np.stack([along, -along, *random.normal(0.0, 0.3, (2, points))], axis=1)
    found = []
    for column, name in enumerate(NAMES):
        answer = truth[:, [column]] + random.normal(size=(1, ROWS))
        answer = answer + 0.6 * random.normal(size=(points, ROWS))
        kind: Kind = "proportion" if column < 2 else "mean"
        values = (answer > 0).astype(float) if column < 2 else answer
        stderr = values.std(axis=1, ddof=1) / np.sqrt(ROWS)
        found.append(Results(kind, values.mean(axis=1), stderr, values, name))
    return found


def probabilities(rounds: int, points: int = 500) -> float:
    """CPU-seconds of the probabilities of so many points."""
    results = scored(points)
    mean, stderr = (
        np.stack([getattr(each, name) for each in results], axis=1) for name in ("mean", "stderr")
    )
    error = errors([each.kind for each in results], mean, stderr, np.full(mean.shape, ROWS))

    def work() -> object:
        return sureness(
            NAMES, MAXIMIZE, mean, error, lambda rows: [each.only(rows) for each in results]
        )

    return timed(work, rounds)


def command(checkout: Path, file: Path) -> tuple[float, float, Any]:
    """(seconds, CPU-seconds, what it says) of the command in a checkout."""
    words = ["-m", "engine", "front", "--csv", str(file), "--directions", "max,max,min,min"]
    environment = {key: value for key, value in os.environ.items()
                   if key != "PYTHONDONTWRITEBYTECODE"}  # fmt: skip
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words, "--json"], cwd=checkout, env=environment, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    seconds, after = time.perf_counter() - start, os.times()
    used = after.children_user - before.children_user
    used += after.children_system - before.children_system
    found = json.loads(done.stdout)
    return seconds, used, (found["front"], found["ranks"], found["hypervolume"])


def compared(earlier: Path, file: Path, rounds: int) -> dict[str, float]:
    """The command in both checkouts, in turns."""
    ours, theirs = command(HERE, file), command(earlier, file)
    if ours[2] != theirs[2]:
        raise SystemExit("the two builds say different things")
    turns = [(command(HERE, file), command(earlier, file)) for _ in range(rounds)]
    found = {}
    for place, what in enumerate(("seconds", "cpu_seconds")):
        found[what] = statistics.median(mine[place] for mine, _ in turns)
        found[f"earlier_{what}"] = statistics.median(other[place] for _, other in turns)
        found[f"{what}_ratio"] = statistics.median(
            mine[place] / other[place] for mine, other in turns
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", nargs="?", type=Path)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    values = np.random.default_rng(0).random((args.points, len(NAMES)))
    weights = dict.fromkeys(NAMES, 1.0)
    picked = timed(lambda: recommend(NAMES, values, MAXIMIZE, weights), args.rounds)
    found: dict[str, Any] = {
        "points": args.points,
        "filter_pick_ms": 1000 * picked,
        "ranks_s": timed(lambda: ranks(values, MAXIMIZE), args.rounds),
        "probabilities_s": probabilities(args.rounds),
    }
    if args.earlier is not None:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / "points.csv"
            lines = [f"p{row}," + ",".join(f"{each:.6f}" for each in value)
                     for row, value in enumerate(values.tolist())]  # fmt: skip
            file.write_text("\n".join(["id," + ",".join(NAMES), *lines]) + "\n")
            found["csv"] = compared(args.earlier, file, args.rounds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
