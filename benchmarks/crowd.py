"""A workspace with many points, for the benchmarks of the app: made-up scores of real recipes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from cache.store import Store
from engine.jobs.local import LocalExecutor
from engine.recipe import Recipe, find_method, resolve
from studio.opening import read_study
from studio.workbench import Workbench

METHOD = "task_arithmetic"


def fill(study: Path, home: Path, count: int) -> None:
    """Have the models scored as they are, where they are not, then journal points until there are
    `count`."""
    parts = read_study(study)
    with Store.open(home) as store, LocalExecutor(home, on_rows=store.append) as executor:
        bench = Workbench(*parts, home, store, executor)
        limit = time.monotonic() + 300
        while bench.known is None or not scored(bench):
            bench.advance()
            if bench.worker().name == "failed" or time.monotonic() > limit:
                raise SystemExit(f"the study does not open: {bench.worker().reason}")
            time.sleep(0.1)
        missing = count - len(bench.measured())
        for start in range(0, missing, 5000):
            store.append(made_up(bench, min(5000, missing - start), seed=start))


def scored(bench: Workbench) -> bool:
    """Whether every model as it is has all its scores."""
    measured = bench.measured()
    whole = [
        row for row, single in enumerate(measured.singles) if single and measured.complete(row)
    ]
    return len(whole) == len(bench.names.models)


def made_up(bench: Workbench, count: int, seed: int = 0) -> list[dict[str, object]]:
    """Score rows of random recipes: smooth in the coefficients, with noise."""
    opened, names = bench.known, bench.names
    assert opened is not None
    random = np.random.default_rng(seed)
    experts = find_method(METHOD).coefficient_names(names)
    rows: list[dict[str, object]] = []
    for place in random.uniform(0, 1.5, (count, len(experts))):
        c = {name: float(round(value, 4)) for name, value in zip(experts, place, strict=True)}
        recipe = resolve(Recipe(METHOD, c), names)
        point, written = bench.point_id(recipe), recipe.as_dict()
        for column, (objective, fingerprint) in enumerate(opened.objectives.items()):
            own = place[column % len(experts)]
            mean = 1 / (1 + np.exp(-(2 * own - 0.9 * (place.sum() - own)))) + random.normal(0, 0.02)
            rows.append(
                {
                    "kind": "score", "point": point, "recipe": written,
                    "family": opened.family, "objective": objective,
                    "objective_fingerprint": fingerprint, "split": "explore",
                    "numerics": opened.numerics, "n": 300, "mean": mean, "stderr": 0.02,
                    "low": mean - 0.04, "high": mean + 0.04, "seconds": 0.1,
                }
            )  # fmt: skip
    return rows
