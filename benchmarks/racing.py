"""Racing on the demo's stored results: what it saves, and what it loses.

The shipped points of the demo have a value for every row. A race is replayed on them, block by
block as `sweep --race` runs it, and what is left is compared with all of them, by full scores:

    rows     rows scored ÷ those of a plain sweep: each block adds to the one before
    anew     the same where each block is scored anew, as objectives on probabilities are
    picks    share of random preferences, weights of Dirichlet(1), whose pick is the same point
    regret   what the others' picks lose on average, of the range of the scalarised value
    volume   hypervolume of the front of what is left ÷ that of all
    lost     share of the front's points that were stopped. The front by full scores is itself
             partly luck: `expected` is the share of it that would not be there again, 1 − the mean
             probability of its points to be on the front, given all rows
    surely   share that were stopped of the points that are on the front with 50 % at least, given
             all rows

    python -m benchmarks.racing [--over facts,honesty] [--threshold 0.05 …] [--seeds 5]

prints a JSON line a threshold, means over the seeds. A seed draws another order of the rows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.demo.write import FAMILY, POINTS
from engine.front.noise import Kind
from engine.front.pareto import Bools, front_mask, to_minimize
from engine.front.preference import chebyshev, ranges_of, terms
from engine.front.racing import SHARES, block, chances, results_on
from engine.scoring.objectives import prepare
from engine.study import load_study
from studio.decide.results import kind_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stored:
    """Points of which every row is known.

    Attributes:
        values: one an objective, float64 [points, rows].
        mean: float64 [points, objectives].
    """

    names: tuple[str, ...]
    maximize: Bools
    kinds: tuple[Kind, ...]
    values: tuple[Floats, ...]
    mean: Floats

    def chances(self, left: NDArray[np.intp], rows: Sequence[NDArray[np.intp]]) -> Floats:
        """Of some points to be on the front of those, by some rows of each objective."""
        own = [
            results_on(kind, values[np.ix_(left, some)], name)
            for kind, values, some, name in zip(
                self.kinds, self.values, rows, self.names, strict=True
            )
        ]
        return chances(self.names, self.maximize, own)


def demo(over: Sequence[str]) -> Stored:
    """The shipped points on these objectives."""
    chosen = {each.name: each for each in prepare(load_study(FAMILY / "study.yaml"))}
    table, found, means = pq.read_table(POINTS), {}, {}
    for name in over:
        own = table.filter(pc.equal(table["objective"], name)).sort_by("point")
        found[name] = np.array(own["values"].to_pylist(), dtype=np.float64)
        means[name] = own["mean"].to_numpy()
    return Stored(
        tuple(over),
        np.array([chosen[name].direction == "maximize" for name in over]),
        tuple(kind_of(chosen[name]) for name in over),
        tuple(found.values()),
        np.column_stack(list(means.values())),
    )


def race(stored: Stored, threshold: float, seed: int) -> tuple[Bools, float, float]:
    """Which points are left, and the rows that were scored ÷ all: blocks whole, and added."""
    random = np.random.default_rng(seed)
    orders = [random.permutation(values.shape[1]) for values in stored.values]
    left, whole, added = np.arange(len(stored.mean)), 0, 0
    before = [0] * len(orders)
    for share in SHARES:
        sizes = [block(share, len(order)) for order in orders]
        whole += sum(sizes) * len(left)
        added += sum(n - m for n, m in zip(sizes, before, strict=True)) * len(left)
        before = sizes
        rows = [order[:n] for order, n in zip(orders, sizes, strict=True)]
        left = left[~(stored.chances(left, rows) < threshold)]
    every = sum(map(len, orders))
    whole += every * len(left)
    added += (every - sum(before)) * len(left)
    mask = np.zeros(len(stored.mean), dtype=bool)
    mask[left] = True
    return mask, whole / every / len(mask), added / every / len(mask)


def volume(stored: Stored, mask: Bools, reference: Floats) -> float:
    points = to_minimize(stored.mean[mask], stored.maximize)
    return float(moocore.hypervolume(points, ref=reference))


def picks(stored: Stored, mask: Bools, preferences: int) -> tuple[float, float]:
    """Agreement of the picks of what is left with those of all, and their mean regret."""
    front = front_mask(stored.mean, stored.maximize)
    ranges = ranges_of(stored.names, stored.mean[front], stored.maximize)
    measured = terms(stored.names, stored.mean, stored.maximize, ranges)
    random = np.random.default_rng(1)
    same, regret = [], []
    for weights in random.dirichlet(np.ones(len(stored.names)), preferences):
        value = chebyshev(measured, weights)
        best, kept = value.min(), value[mask].min()
        same.append(kept <= best + 1e-12)
        regret.append((kept - best) / np.ptp(value))
    return float(np.mean(same)), float(np.mean(regret))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--over", default="facts,honesty")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--preferences", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    stored = demo(args.over.split(","))
    front = front_mask(stored.mean, stored.maximize)
    rows = [np.arange(values.shape[1]) for values in stored.values]
    known = stored.chances(np.arange(len(stored.mean)), rows)
    points = to_minimize(stored.mean, stored.maximize)
    reference = points.max(axis=0) + 0.1 * np.ptp(points, axis=0)
    whole = volume(stored, np.ones(len(front), dtype=bool), reference)
    for threshold in args.threshold:
        found = []
        for seed in range(args.seeds):
            mask, spent, added = race(stored, threshold, seed)
            same, regret = picks(stored, mask, args.preferences)
            likely = known >= 0.5
            found.append(
                {
                    "rows": added, "anew": spent, "left": float(mask.mean()), "picks": same,
                    "regret": regret, "volume": volume(stored, mask, reference) / whole,
                    "lost": float((front & ~mask).sum() / front.sum()),
                    "expected": float(1 - known[front].mean()),
                    "surely": float((likely & ~mask).sum() / max(1, likely.sum())),
                }
            )  # fmt: skip
        means = {
            name: round(float(np.mean([each[name] for each in found])), 4) for name in found[0]
        }
        print(json.dumps({"over": stored.names, "points": len(front), "front": int(front.sum()),
                          "threshold": threshold, **means}))  # fmt: skip


if __name__ == "__main__":
    main()
