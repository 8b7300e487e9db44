"""Ranks of many points: one front after the other, each sought among the few that may be on it.

    values ──► cells of a grid ──► while a cell below on every side holds a point without a rank,
                                   no point here is on the front

A side of the grid holds about as many points in each of its steps, so that objectives of any scale
and distribution can be compared. Peeling all that is left again for each front looks at a point as
often as its rank says; this looks at it 4 times (100,000 points, 4 objectives, 41 fronts).
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

CELLS = 1 << 15
"""Of the grid, at most."""


def peel(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of each point, int64 [n]: 1 on the front, 2 on the front of the rest, and so on.

    Args:
        points: float64 [n ≥ 1, m ≥ 2], finite, smaller is better; equal points have one rank.
    """
    order = np.argsort(points[:, 0], kind="stable")  # moocore is faster on points in some order
    sorted_points = np.ascontiguousarray(points[order])
    cells, shape = _cells(sorted_points)
    left = np.bincount(cells, minlength=int(np.prod(shape)))
    ranks = np.zeros(len(points), dtype=np.int64)
    waiting, rank = np.arange(len(points), dtype=np.int32), 0
    while len(waiting):
        rank += 1
        free = np.flatnonzero(_open(left, shape)[cells[waiting]])
        pool = waiting[free]
        on_front = np.asarray(moocore.is_nondominated(sorted_points[pool], keep_weakly=True), bool)
        ranks[pool[on_front]] = rank
        left -= np.bincount(cells[pool[on_front]], minlength=len(left))
        kept = np.ones(len(waiting), dtype=bool)
        kept[free[on_front]] = False
        waiting = waiting[kept]
    given = np.empty(len(points), dtype=np.int64)
    given[order] = ranks
    return given


def _cells(points: NDArray[np.float64]) -> tuple[NDArray[np.int32], tuple[int, ...]]:
    """The cell of each point, int32 [n], and how many steps the grid has on each side: one cell
    alone where there are more objectives than a grid can have sides."""
    count, m = points.shape
    steps = int(CELLS ** (1 / m) + 1e-9)
    cells = np.zeros(count, dtype=np.int32)
    if steps < 2:
        return cells, (1,)
    for values in points.T:
        order = np.argsort(values)
        ordered = values[order]
        level = np.zeros(count, dtype=np.int64)  # equal values have the same
        np.cumsum(ordered[1:] != ordered[:-1], out=level[1:])
        step = np.empty(count, dtype=np.int32)
        step[order] = level * steps // (level[-1] + 1)
        cells = cells * steps + step
    return cells, (steps,) * m


def _open(left: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool [cells]: where no point of another cell, below on every side, is left."""
    found = np.ones(shape, dtype=bool)
    if len(shape) == 1:
        return found
    there = (left > 0).reshape(shape)
    for side in range(len(shape)):
        there = np.logical_or.accumulate(there, axis=side)
    found[(slice(1, None),) * len(shape)] = ~there[(slice(None, -1),) * len(shape)]
    return found.reshape(-1)
