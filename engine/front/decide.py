"""Choosing on a front: its knees, the neighbours of a point, and what a step towards them costs.

    t, smaller is better on both axes

    1 ●                       the chord joins the best points of each objective;
      │ ╲ chord               a knee ◆ lies farthest below it: past it a little more of one
      │◆   ╲                  objective costs much of the other
      │  ●    ╲
    0 └────●─────●

Everywhere here `values` is float64 [n points, m objectives] in the objectives' own units, finite,
`maximize` is bool [m], and `ranges` holds a `Range` an objective in the order of the columns
(frozen ones where a study has them; by default those of the front). An objective without a range
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.front.pareto import Bools, Floats, front_mask, to_minimize
from engine.front.preference import TIE, Range, ranges_of, terms

BLOCK = 256


def _terms(
    values: ArrayLike, maximize: ArrayLike, ranges: Sequence[Range] | None, front: ArrayLike
) -> Floats:
    """t, float64 [n, m]: 0 at the ideal, 1 at the nadir, 0 where an objective has no range."""
    flip = np.asarray(maximize, dtype=bool)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(flip))
    names = [str(column) for column in range(len(flip))]
    known = (
        ranges_of(names, points[np.asarray(front)], flip)
        if ranges is None
        else dict(zip(names, ranges, strict=True))
    )
    return terms(names, points, flip, known)


def knees(values: ArrayLike, maximize: ArrayLike, ranges: Sequence[Range] | None = None) -> Bools:
    """Which points of the front are its knees, bool [n]; duplicates of a knee are knees.

    The plane (with two objectives a chord) goes through the best point of each objective: the
    convex hull of individual minima of Das, "On characterizing the knee of the Pareto curve",
    Structural Optimization 18 (1999). A knee lies on the ideal's side of it, and farther from it
    than its neighbours: with two objectives the next points along the front, with more the 2 m
    nearest. So a concave front has none, and a front may have several.

    Where the best points do not span a plane that cuts every axis (one point is best twice, or
    another is far out), all objectives count the same: the plane is Σ t = constant through their
    middle.
    """
    flip = np.asarray(maximize, dtype=bool)
    points = to_minimize(values, flip)
    found = np.zeros(len(points), dtype=bool)
    mask = front_mask(values, flip)
    if mask.sum() < 3 or len(flip) < 2:
        return found
    scaled = _terms(values, flip, ranges, mask)
    members, place = np.unique(scaled[mask], axis=0, return_inverse=True)
    varied = np.ptp(members, axis=0) > 0.0
    if len(members) < 3 or varied.sum() < 2:
        return found
    members = members[:, varied]
    extremes = [int(np.lexsort((members.sum(axis=1), column))[0]) for column in members.T]
    depth = _depth(members, members[extremes])
    depth[extremes] = 0.0
    beside = _beside(members)
    best = depth[beside].max(axis=1)
    knee = (depth > 1e-9) & (depth >= best - TIE)
    found[mask] = knee[place.reshape(-1)]
    return found


def _depth(members: Floats, extremes: Floats) -> Floats:
    """Distance of members [k, m] from the plane through extremes [m, m], > 0 towards the ideal."""
    m = extremes.shape[1]
    _, lengths, across = np.linalg.svd(extremes[1:] - extremes[0])
    normal = across[-1] * np.sign(across[-1].sum() or 1.0)
    if lengths.min() < 1e-9 or normal.min() < 1e-9:
        normal = np.full(m, m**-0.5)
    return (extremes.mean(axis=0) - members) @ normal


def _beside(members: Floats) -> np.ndarray:
    """int [k, ·]: rows of each member's neighbours."""
    count, m = members.shape
    if m == 2:  # np.unique has sorted them along the front
        rows = np.arange(count)
        return np.stack((np.maximum(rows - 1, 0), np.minimum(rows + 1, count - 1)), axis=1)
    near = min(2 * m, count - 1)
    found = np.empty((count, near), dtype=np.intp)
    for start in range(0, count, BLOCK):
        gaps = ((members[start : start + BLOCK, None, :] - members[None, :, :]) ** 2).sum(axis=2)
        gaps[np.arange(len(gaps)), np.arange(start, start + len(gaps))] = np.inf
        found[start : start + BLOCK] = np.argpartition(gaps, near - 1, axis=1)[:, :near]
    return found


def neighbours(
    values: ArrayLike,
    maximize: ArrayLike,
    ranges: Sequence[Range] | None,
    front: ArrayLike,
    pick: int,
    weights: ArrayLike | None = None,
) -> tuple[int | None, int | None]:
    """The points of the front on either side of a pick; with two objectives, the adjacent ones.

    The sides are those of the leading objective, the one of largest weight: of the members that are
    better on it, and of those that are worse, the nearest one in normalised terms. With two
    objectives that is the next one along the front, since a point farther on one objective is
    farther on both.

    Args:
        front: int [k], rows of `values` that are on the front.
        pick: a row of `values`.
        weights: [m]; None lets the first objective lead.

    Returns:
        Rows of `values`: (better, worse) on the leading objective; None if that side is empty.
    """
    rows = np.asarray(front, dtype=np.intp)
    lead = 0 if weights is None else int(np.argmax(np.asarray(weights)))
    points = to_minimize(values, maximize)
    scaled = _terms(values, maximize, ranges, rows)
    gaps = ((scaled[rows] - scaled[pick]) ** 2).sum(axis=1)
    ahead = points[rows, lead] - points[pick, lead]

    def nearest(side: Bools) -> int | None:
        return int(rows[side][gaps[side].argmin()]) if side.any() else None

    return nearest(ahead < 0.0), nearest(ahead > 0.0)


def trade(values: ArrayLike, maximize: ArrayLike, pick: int, other: int) -> Floats:
    """Gain of moving from one point to another, float64 [m] in the objectives' own units: above 0
    where the other is better, below 0 where it is worse, whatever the direction."""
    points = to_minimize(values, maximize)
    return points[pick] - points[other] + 0.0
