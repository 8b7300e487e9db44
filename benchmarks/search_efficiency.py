"""Evaluations until 95 % of the dense hypervolume: `suggest` and what people use today.

On the demo's front of facts, honesty and refusals by task arithmetic, as search_truth.py measured
it once (search_truth.npz). Reference: the worst of the unmerged models moved out by 10 % of their
range, as in the app; the dense hypervolume is that of the grid's own front. Every search gets the
same scores, between the grid's points too; one that has not arrived within the budget counts as
budget + 1.

One line of JSON a search (median, quartiles, how often it arrived, seconds of its own for 100
evaluations), then the ratios to random.

    python -m benchmarks.search_efficiency [--seeds 20] [--budget 300] [--batch 4]
        [--searches suggest,suggest_gp,random,…]

The rivals need requirements-bench.txt, suggest_gp the extra requirements-bo.txt.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_rivals import RIVALS
from benchmarks.search_truth import EXPERTS, FILE, HIGHEST, OBJECTIVES, Truth, load
from engine.front.pareto import front_mask, hypervolume, reference_point
from engine.search.suggest import Arm, Draw, Goal, begun, by_quadratic, suggest

Floats = NDArray[np.float64]
SHARE = 0.95


class Arrived(Exception):
    """The front is dense enough, or the budget is spent."""


class Race:
    """One search on the truth.

    Attributes:
        places: coefficients measured, in order; scores: theirs.
        arrived: evaluations until the share of the dense hypervolume; None while it is less.
    """

    def __init__(self, truth: Truth, reference: Floats, dense: float, budget: int) -> None:
        self.truth, self.reference, self.wanted = truth, reference, SHARE * dense
        self.budget = budget
        self.places = np.empty((0, len(EXPERTS)))
        self.scores = np.empty((0, len(OBJECTIVES)))
        self.arrived: int | None = None
        self.front, self.volume = self.scores, 0.0

    def _volume(self, score: Floats) -> float:
        """The hypervolume of all scores, with this one."""
        if not (self.front >= score).all(axis=1).any():
            front = np.vstack((self.front, score))
            self.front = front[front_mask(front, [True] * len(score))]
            self.volume = hypervolume(self.front, [True] * len(score), self.reference)
        return self.volume

    def ask(self, units: Floats) -> Floats:
        """Scores at positions in the unit box, each counted."""
        answers = []
        for unit in units:
            place = HIGHEST * unit
            answers.append(self.truth.scores(place)[0])
            self.places = np.vstack((self.places, place))
            self.scores = np.vstack((self.scores, answers[-1]))
            if self._volume(answers[-1]) >= self.wanted:
                self.arrived = len(self.places)
                raise Arrived
            if len(self.places) >= self.budget:
                raise Arrived
        return np.array(answers)


def corners(truth: Truth) -> Floats:
    """Scores of base and experts, which every study has first."""
    return truth.scores(np.vstack((np.zeros(3), np.eye(3))))


def search(race: Race, seed: int, batch: int, draw: Draw) -> None:
    """`suggest` as a sweep runs it."""
    from torch.quasirandom import SobolEngine

    truth = race.truth
    alone = corners(truth)
    scales = alone.max(axis=0) - alone.min(axis=0)
    goals = [
        Goal(name, True, "logit", 0.0, False, float(reference), float(scale))
        for name, reference, scale in zip(OBJECTIVES, race.reference, scales, strict=True)
    ]
    ranges = np.array([[0.0, HIGHEST]] * len(EXPERTS))
    anchors = np.vstack((np.zeros(3), np.eye(3)))

    def arm() -> Arm:
        places = np.vstack((anchors, race.places))
        mean = np.vstack((alone, race.scores))
        rows = np.broadcast_to(truth.rows.astype(np.float64), mean.shape)
        return Arm(
            "task_arithmetic", {}, EXPERTS, ranges, 0, places, mean, truth.errors(mean), rows
        )

    start = begun(arm())
    race.ask(SobolEngine(3, scramble=True, seed=seed).draw(start).double().numpy())
    while True:
        found = suggest([arm()], alone, goals, batch, (seed, len(race.places)), draw)
        race.ask(np.array([place for _, place in found.positions]) / HIGHEST)


def run(name: str, truth: Truth, seeds: int, budget: int, batch: int) -> dict[str, object]:
    """Evaluations of one search over the seeds."""
    reference = reference_point(corners(truth), [True] * 3)
    dense = hypervolume(truth.grid.reshape(-1, len(OBJECTIVES)), [True] * 3, reference)
    counts, spent, asked = [], 0.0, 0
    for seed in range(seeds):
        race = Race(truth, reference, dense, budget)
        begin = time.process_time()
        try:
            if name == "suggest_gp":
                from engine.search.gp import by_processes

                search(race, seed, batch, by_processes)
            elif name == "suggest":
                search(race, seed, batch, by_quadratic)
            else:
                RIVALS[name](race.ask, seed, budget)
        except Arrived:
            pass
        spent += time.process_time() - begin
        asked += len(race.places)
        counts.append(race.arrived if race.arrived is not None else budget + 1)
    low, middle, high = np.quantile(counts, [0.25, 0.5, 0.75])
    return {
        "search": name, "median": float(middle), "quartiles": [float(low), float(high)],
        "arrived": sum(each <= budget for each in counts), "seeds": seeds,
        "cpu_s_per_100": round(100 * spent / max(1, asked), 2), "counts": counts,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--searches", default=",".join(["suggest", *RIVALS]))
    parser.add_argument("--truth", type=Path, default=FILE)
    args = parser.parse_args()
    truth = load(args.truth)
    medians = {}
    for name in args.searches.split(","):
        line = run(name, truth, args.seeds, args.budget, args.batch)
        medians[name] = statistics.median(line["counts"])  # type: ignore[arg-type]
        print(json.dumps(line), flush=True)
    if "random" in medians:
        print(json.dumps({n: round(m / medians["random"], 3) for n, m in medians.items()}))


if __name__ == "__main__":
    main()
