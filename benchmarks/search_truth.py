"""The dense truth that searches are compared on: a grid over the demo's sliders, measured once.

Every point of a grid of task arithmetic (or another method of three coefficients) over [0, 1.5]³ is
measured on facts, honesty and refusals, `--limit` rows of each. Between the grid's points a search
is told the trilinear interpolation: deterministic, of the same rows everywhere, as the app's scores
are. The standard errors are those of the rows.

    python -m benchmarks.search_truth [--levels 7] [--limit 64] [--method task_arithmetic]

writes benchmarks/search_truth.npz: scores float32 [levels, levels, levels, 3] and the rows of each
objective. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OBJECTIVES = ("facts", "honesty", "refusals")
EXPERTS = ("helpful", "harmless", "honest")
HIGHEST = 1.5
FILE = Path(__file__).with_suffix(".npz")


@dataclass(frozen=True)
class Truth:
    """Scores over the sliders.

    Attributes:
        grid: float64 [levels, levels, levels, objectives], shares of rows, more is better.
        rows: of each objective.
    """

    grid: Floats
    rows: NDArray[np.int64]

    def scores(self, places: Floats) -> Floats:
        """float64 [n, objectives] at coefficients [n, 3] within [0, HIGHEST]."""
        levels = len(self.grid)
        at = np.clip(np.atleast_2d(places) / HIGHEST, 0.0, 1.0) * (levels - 1)
        low = np.minimum(at.astype(np.int64), levels - 2)
        part = at - low
        found = np.zeros((len(at), self.grid.shape[-1]))
        for corner in itertools.product((0, 1), repeat=3):
            weight = np.where(np.array(corner) == 1, part, 1.0 - part).prod(axis=1)
            found += weight[:, None] * self.grid[tuple((low + corner).T)]
        return found

    def errors(self, scores: Floats) -> Floats:
        """Standard errors of proportions [n, objectives], √(p (1 − p) / (n − 1))."""
        return np.sqrt(scores * (1.0 - scores) / (self.rows - 1))


def load(file: Path = FILE) -> Truth:
    """The truth that was written."""
    found = np.load(file)
    return Truth(found["grid"].astype(np.float64), found["rows"])


def build(levels: int, limit: int, method: str, file: Path) -> None:
    """Measure the grid and write it."""
    import torch

    from benchmarks.method_fronts import Bench
    from engine.demo.write import FAMILY
    from engine.recipe import Recipe, resolve
    from engine.study import load_study

    torch.set_num_threads(1)
    study = load_study(FAMILY / "study.yaml")
    bench = Bench(study, OBJECTIVES)
    bench.objectives = [replace(each, limit=limit) for each in bench.objectives]
    kept = file.with_suffix(".jsonl")
    done = [json.loads(each) for each in kept.read_text().splitlines()] if kept.exists() else []
    steps = np.linspace(0.0, HIGHEST, levels)
    places = list(itertools.product(steps, repeat=3))
    start = time.perf_counter()
    with kept.open("a") as out:
        for number, place in enumerate(places[len(done) :]):
            recipe = Recipe(method, dict(zip(EXPERTS, map(float, place), strict=True)))
            values = bench.measured([resolve(recipe, study.family.names)])
            row = [[float(each.mean()), each.shape[1]] for each in values]
            out.write(json.dumps(row) + "\n")
            out.flush()
            done.append(row)
            if number % 50 == 49:
                spent = time.perf_counter() - start
                sys.stderr.write(f"{len(done)} of {len(places)}, {spent:.0f} s\n")
    scores = np.array(done)
    grid = scores[:, :, 0].reshape(levels, levels, levels, len(OBJECTIVES))
    rows = scores[0, :, 1].astype(np.int64)
    np.savez_compressed(file, grid=grid.astype(np.float32), rows=rows)
    kept.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=int, default=7)
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--method", default="task_arithmetic")
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    build(args.levels, args.limit, args.method, args.out)


if __name__ == "__main__":
    main()
