"""A workspace with many points, for the benchmarks of the app: made-up scores of real recipes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from cache.store import Store
from engine.recipe import Recipe, find_method, resolve
from engine.run.local import LocalExecutor
from pages.parts.backend import Backend
from pages.parts.opening import read_study

METHOD = "task_arithmetic"


def fill(study: Path, home: Path, count: int) -> None:
    """Have the models scored as they are, where they are not, then journal points until there are
    `count`."""
    parts = read_study(study)
    with Store.open(home) as store, LocalExecutor(home, on_rows=store.append) as executor:
        backend = Backend(*parts, home, store, executor)
        limit = time.monotonic() + 300
        while backend.known is None or not scored(backend):
            backend.advance()
            if backend.worker().name == "failed" or time.monotonic() > limit:
                raise SystemExit(f"the study does not open: {backend.worker().reason}")
            time.sleep(0.1)
        missing = count - len(backend.measured())
        for start in range(0, missing, 5000):
            store.append(made_up(backend, min(5000, missing - start), seed=start))


def scored(backend: Backend) -> bool:
    """Whether every model as it is has all its scores."""
    measured = backend.measured()
    whole = [
        row for row, single in enumerate(measured.singles) if single and measured.complete(row)
    ]
    return len(whole) == len(backend.names.models)


def made_up(backend: Backend, count: int, seed: int = 0) -> list[dict[str, object]]:
    """Score rows of random recipes: smooth in the coefficients, with noise."""
    opened, names = backend.known, backend.names
    assert opened is not None
    random = np.random.default_rng(seed)
    experts = find_method(METHOD).coefficient_names(names)
    rows: list[dict[str, object]] = []
    for place in random.uniform(0, 1.5, (count, len(experts))):
        c = {name: float(round(value, 4)) for name, value in zip(experts, place, strict=True)}
        recipe = resolve(Recipe(METHOD, c), names)
        point, written = backend.point_id(recipe), recipe.as_dict()
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
