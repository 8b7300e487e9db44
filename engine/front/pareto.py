"""Non-dominated points, their ranks and the volume they dominate.

A point dominates another if it is at least as good on every objective and better on one. Equal
points do not dominate each other, so every duplicate of a front point is on the front; ties are
common with accuracies.

Throughout, `values` is float64 [n points, m objectives] in the objectives' own units, without NaN
or infinity (`engine.front.table` sets failed points aside first); `maximize` is bool [m].
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import unknown
from engine.front.peeling import peel

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MARGIN = 0.1

DIRECTIONS = {"max": True, "maximize": True, "min": False, "minimize": False}


def as_maximize(directions: Sequence[str], where: str = "directions") -> Bools:
    """bool [m] from max, min, maximize, minimize; raises `BadInput` for another word."""
    for each in directions:
        if each not in DIRECTIONS:
            raise unknown(where, "direction", each, DIRECTIONS)
    return np.array([DIRECTIONS[each] for each in directions], dtype=bool)


def to_minimize(values: ArrayLike, maximize: ArrayLike) -> Floats:
    """float64 [n, m], maximised columns with their signs flipped: smaller is better everywhere.

    Raises:
        ValueError: a value is not finite, or the shapes do not fit.
    """
    flip = np.asarray(maximize, dtype=bool)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(flip))
    if not np.isfinite(points).all():
        raise ValueError("a value is not finite: first set aside points that lack a score")
    # + 0.0 turns -0.0 into 0.0, which is the same score
    return np.where(flip, -points, points) + 0.0


def front_mask(values: ArrayLike, maximize: ArrayLike) -> Bools:
    """Which points no other dominates, bool [n]; duplicates of a front point are on it."""
    points = to_minimize(values, maximize)
    if not len(points):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), dtype=bool)


def ranks(values: ArrayLike, maximize: ArrayLike) -> NDArray[np.int64]:
    """Rank of each point, int64 [n]: 1 on the front, 2 on the front of the rest, and so on."""
    points = to_minimize(values, maximize)
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    if points.shape[1] < 3:  # there moocore is O(n log n)
        return np.asarray(moocore.pareto_rank(points), dtype=np.int64) + 1
    return peel(points)


def reference_point(values: ArrayLike, maximize: ArrayLike) -> Floats:
    """The default reference of the hypervolume, float64 [m].

    Each objective's worst value over `values` (the front, at least one point), moved out by 10 % of
    its range there.

    An objective on which all of them agree has no range, so its reference stays at that value and
    the hypervolume is 0: state a reference to compare such fronts.
    """
    flip = np.asarray(maximize, dtype=bool)
    points = to_minimize(values, flip)
    worst, best = points.max(axis=0), points.min(axis=0)
    reference = worst + MARGIN * (worst - best)
    return np.where(flip, -reference, reference) + 0.0


def hypervolume(values: ArrayLike, maximize: ArrayLike, reference: ArrayLike) -> float:
    """Volume that the points dominate up to `reference`, float64 [m], in the objectives' own units.

    Exact. A point that is not better than the reference in every objective adds nothing; no points
    have volume 0.
    """
    points = to_minimize(values, maximize)
    corner = to_minimize(reference, maximize)[0]
    points = points[(points < corner).all(axis=1)]
    return float(moocore.hypervolume(points, ref=corner)) if len(points) else 0.0
