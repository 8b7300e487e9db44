"""Every weight-space method's own front on a study: equal budgets, hypervolume with its error.

Each method is swept by the same design over its slider ranges, with its default parameters, and
scored on the `explore` rows. Its hypervolume is that of its own points alone, over `--objectives`,
from the reference that the unmerged models give. The rows are resampled 1,000 times, the same draw
for every point of every method; a hypervolume's standard error is its spread over the draws, and
so is that of its difference from task arithmetic's.

A front is a maximum over noisy scores: it shows more than its points will keep, the more so the
more of them are close. With equal budgets that is much alike for all methods, not exactly.

One line of JSON a method, then the reference.

    python -m benchmarks.method_fronts [--study FILE] [--points 60] [--objectives a,b,c]
        [--methods task_arithmetic,pcb --parameters '{"ratio": 0.8, "variant": "vision"}']
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.compose import Composer
from engine.demo import write_demo
from engine.family.compatibility import open_family
from engine.front.pareto import as_maximize, front_mask, hypervolume, reference_point
from engine.recipe import METHODS, Recipe, unmerged
from engine.scoring.evaluate import evaluate
from engine.scoring.registry import check_objective
from engine.search.designs import design
from engine.study import Objective, Study, load_study

DRAWS = 1000
FIRST = "task_arithmetic"

Values = list[NDArray[np.float64]]
"""One array [points, rows] an objective."""


class Bench:
    """A study's family and the objectives that count."""

    def __init__(self, study: Study, names: Sequence[str]) -> None:
        self.study = study
        self.composer = Composer(open_family(study.family), device="cpu")
        self.objectives: list[Objective] = [check_objective(study.objective(n)) for n in names]
        self.maximize = as_maximize([each.direction for each in self.objectives])

    def measured(self, recipes: Sequence[Recipe]) -> Values:
        """Every row's value of every recipe."""
        found: list[list[tuple[float | None, ...]]] = [[] for _ in self.objectives]
        for recipe in recipes:
            model = self.composer.compose(recipe)
            scores = evaluate(model, self.objectives, base=lambda: self.composer.module("base"))
            for place, (_, score, _) in enumerate(scores):
                found[place].append(score.values)
        return [np.array(each, dtype=np.float64) for each in found]


def means(values: Values, rows: Sequence[NDArray[np.intp]] | None = None) -> NDArray[np.float64]:
    """Means [points, objectives] over all rows, or over those drawn."""
    return np.stack(
        [each.mean(axis=1) if rows is None else each[:, rows[place]].mean(axis=1)
         for place, each in enumerate(values)], axis=1
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--points", type=int, default=60)
    parser.add_argument("--objectives", default="facts,honesty,refusals")
    parser.add_argument("--methods", help="all of weight space, where it is left out")
    parser.add_argument("--parameters", type=json.loads, default={}, help="JSON; not of the first")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        study = load_study(args.study or write_demo(Path(place) / "demo"))
        bench = Bench(study, args.objectives.split(","))
        models = means(bench.measured([unmerged(n) for n in study.family.names.models]))
        reference = reference_point(models, bench.maximize)
        methods = [
            each.name for each in METHODS.values()
            if each.space == "weight" and each.takes_coefficients
            and (args.methods is None or each.name in args.methods.split(","))
        ]  # fmt: skip
        methods.sort(key=lambda name: name != FIRST)
        draws: list[list[NDArray[np.intp]]] = []
        others: NDArray[np.float64] | None = None
        first = 0.0
        for method in methods:
            start = time.perf_counter()
            parameters = {} if method == FIRST else args.parameters
            recipes = design(study, method, args.points, "sobol", 0, parameters)
            values = bench.measured(recipes)
            if not draws:
                random = np.random.default_rng(0)
                counts = [each.shape[1] for each in values]
                draws = [[random.integers(n, size=n) for n in counts] for _ in range(DRAWS)]
            here = means(values)
            volume = hypervolume(here, bench.maximize, reference)
            spread = np.array(
                [hypervolume(means(values, rows), bench.maximize, reference) for rows in draws]
            )
            line = {
                "method": method, "points": len(recipes),
                "front": int(front_mask(here, bench.maximize).sum()),
                "hypervolume": round(volume, 4), "stderr": round(float(spread.std(ddof=1)), 4),
            }  # fmt: skip
            if method == FIRST:
                others, first = spread, volume
            elif others is not None:
                apart = spread - others
                line["more"] = round(volume - first, 4)
                line["more_stderr"] = round(float(apart.std(ddof=1)), 4)
            line["seconds"] = round(time.perf_counter() - start, 1)
            print(json.dumps(line), flush=True)
        shown = dict(zip(args.objectives.split(","), reference.round(4).tolist(), strict=True))
        print(json.dumps({"reference": shown, "rows": [each.shape[1] for each in values]}))


if __name__ == "__main__":
    main()
