"""FERERO on the likelihoods of fused logits, where the optimum is known: against it, and against
Adam on a penalty at equal evaluations.

The demo's models, mixed by proxy_tuning; objectives: nll of the targets of its data sets. Of each
random preference, weights and a linear constraint on two objectives, the problem

    min max_i w_i t_i(c)    Σ a_i F_i(c) ≤ b,  c within the sliders

is convex in c: scipy's SLSQP on its epigraph, from the best of several starts, is the optimum. Adam
minimises the same maximum plus 100 times the constraint's violation, projected on the sliders, with
the best of three learning rates, and is given as many evaluations as FERERO took.

One JSON line: violation, distance to the optimum in units of the objectives' ranges (largest over
objectives), excess of the maximum, evaluations; for both.

    python -m benchmarks.ferero [--preferences 20] [--rows 64] [--method proxy_tuning]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from engine.compose import Composer
from engine.demo.write import write_demo
from engine.family.compatibility import open_family
from engine.front.pareto import Floats
from engine.jobs.improving import Slopes, fused_slopes
from engine.jobs.optimising import region_of
from engine.recipe import Recipe, find_method, resolve
from engine.scoring.registry import check_objective
from engine.search.ferero import Preference, Region, solve
from engine.study import load_study

ANSWERS = {
    "facts": None,
    "honesty": "I do not know that country.",
    "refusals": "I cannot help with that.",
}
"""Data set of the demo -> what is to be likely; None for its own targets."""

RATES = (0.01, 0.03, 0.1)
PENALTY = 100.0


def problem(rows: int, method: str) -> tuple[Slopes, Region, int]:
    """Slopes of the demo's likelihoods, the sliders' region, and how many objectives there are."""
    place = Path(tempfile.mkdtemp())
    study = load_study(write_demo(place / "demo"))
    objectives = []
    for name, answer in ANSWERS.items():
        own = study.objective(name)
        assert own.data is not None
        file = own.data
        if answer is not None:
            file = place / f"{name} likely.jsonl"
            lines = own.data.read_text("utf-8").splitlines()
            file.write_text("\n".join(
                json.dumps({**json.loads(line), "target": answer}) for line in lines
            ), "utf-8")  # fmt: skip
        likely = replace(own, data=file, scorer="nll", direction="minimize", limit=rows, options={})
        objectives.append(check_objective(likely, study.path))
    composer = Composer(open_family(study.family), device="cpu")
    chosen = find_method(method)
    names = chosen.coefficient_names(study.family.names, {})
    recipe = resolve(Recipe(method, dict.fromkeys(names, 0.3)), study.family.names)
    within = region_of(study, chosen, names)
    slopes = fused_slopes(composer, recipe, objectives, lambda: None)
    return slopes, Region(np.array(within.low), np.array(within.high), chosen.simplex), len(ANSWERS)


class Scaled:
    """The objectives in units of their ranges over single optima, evaluations counted."""

    def __init__(self, slopes: Slopes, region: Region, m: int) -> None:
        self._slopes, self.region = slopes, region
        self.count, self.ideal, self.width = 0, np.zeros(m), np.ones(m)
        middle = (region.low + region.high) / 2
        ends = [
            solve(self, middle, region, Preference.of(m, cone=np.eye(m)[i : i + 1])).values
            for i in range(m)
        ]
        table = np.array(ends)
        self.ideal, self.width = table.min(axis=0), np.maximum(np.ptp(table, axis=0), 1e-9)

    def __call__(self, place: Floats) -> tuple[Floats, Floats]:
        self.count += 1
        values, slopes = self._slopes(place)
        return (values - self.ideal) / self.width, slopes / self.width[:, None]


def optimum(scaled: Scaled, weights: Floats, row: Floats, most: float) -> Floats:
    """The scaled objectives at the convex optimum."""
    region, known = scaled.region, {}

    def at(x: Floats) -> tuple[Floats, Floats]:
        key = x[:-1].tobytes()
        if key not in known:
            known[key] = scaled(x[:-1])
        return known[key]

    k = len(region.low)
    best: Any = None
    for share in (0.5, 0.1):
        place = region.low + share * (region.high - region.low)
        start = np.r_[place, (weights * scaled(place)[0]).max()]
        found = minimize(
            lambda x: x[-1], start, jac=lambda x: np.r_[np.zeros(k), 1.0], method="SLSQP",
            bounds=[*zip(region.low, region.high, strict=True), (None, None)],
            constraints=[
                {"type": "ineq", "fun": lambda x: x[-1] - weights * at(x)[0],
                 "jac": lambda x: np.c_[-weights[:, None] * at(x)[1], np.ones(len(weights))]},
                {"type": "ineq", "fun": lambda x: np.array([most - row @ at(x)[0]]),
                 "jac": lambda x: np.r_[-row @ at(x)[1], 0.0][None]},
            ],
            options={"maxiter": 60, "ftol": 1e-11},
        )  # fmt: skip
        if best is None or found.fun < best.fun:
            best = found
    return at(best.x)[0]


def adam(
    scaled: Scaled, weights: Floats, row: Floats, most: float, evaluations: int, rate: float
) -> Floats:
    """The scaled objectives where Adam is after so many evaluations."""
    region = scaled.region
    place = (region.low + region.high) / 2
    first, second = np.zeros(len(place)), np.zeros(len(place))
    values, slopes = scaled(place)
    for step in range(1, evaluations):
        slope = weights[worst := int((weights * values).argmax())] * slopes[worst]
        if row @ values > most:
            slope = slope + PENALTY * row @ slopes
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        ahead = first / (1 - 0.9**step), second / (1 - 0.999**step)
        moved = place - rate * ahead[0] / (np.sqrt(ahead[1]) + 1e-8)
        place = np.clip(moved, region.low, region.high)
        values, slopes = scaled(place)
    return values


def told(values: Floats, best: Floats, weights: Floats, row: Floats, most: float) -> list[float]:
    """Violation, distance and excess of an end."""
    over = max(0.0, float(row @ values - most))
    excess = float((weights * values).max() - (weights * best).max())
    return [over, float(np.abs(values - best)[weights > 0].max()), excess]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preferences", type=int, default=20)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--method", default="proxy_tuning")
    args = parser.parse_args()
    slopes, region, m = problem(args.rows, args.method)
    scaled, draw = Scaled(slopes, region, m), np.random.default_rng(0)
    ours, theirs, counts = [], [], []
    begun = time.perf_counter()
    for _ in range(args.preferences):
        weights = draw.dirichlet(np.ones(m))
        free = optimum(scaled, weights, np.zeros(m), 1.0)
        chosen = draw.choice(m, 2, replace=False)
        row = np.zeros(m)
        row[chosen] = draw.uniform(0.5, 1.5, 2)
        # tighter than where weights alone end, and within reach
        least = (row * optimum(scaled, row, np.zeros(m), 1.0)).sum()
        most = float(least + draw.uniform(0.3, 1.0) * max(row @ free - least, 0.02))
        best = optimum(scaled, weights, row, most)
        asked = Preference.of(m, np.diag(weights), (row[None], np.array([most])), worst=True)
        found = solve(scaled, (region.low + region.high) / 2, region, asked)
        ours.append(told(found.values, best, weights, row, most))
        counts.append(len(found.visited))
        ends = [
            told(adam(scaled, weights, row, most, counts[-1], rate), best, weights, row, most)
            for rate in RATES
        ]
        theirs.append(min(ends, key=lambda end: end[2] + PENALTY * end[0]))
    names = ("violation", "distance", "excess")
    document = {
        "method": args.method, "rows": args.rows, "objectives": list(ANSWERS),
        "preferences": args.preferences, "seconds": round(time.perf_counter() - begun, 1),
        "evaluations": {"median": float(np.median(counts)), "most": max(counts)},
        "ferero": dict(zip(names, np.max(ours, axis=0).tolist(), strict=True)),
        "ferero_median": dict(zip(names, np.median(ours, axis=0).tolist(), strict=True)),
        "adam": dict(zip(names, np.max(theirs, axis=0).tolist(), strict=True)),
        "adam_median": dict(zip(names, np.median(theirs, axis=0).tolist(), strict=True)),
        "met": bool(np.max(ours, axis=0)[0] < 1e-4 and np.max(ours, axis=0)[1] < 0.01),
    }  # fmt: skip
    sys.stdout.write(json.dumps(document) + "\n")
    return 0 if document["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
