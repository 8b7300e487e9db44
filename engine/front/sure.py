"""How sure a front and a pick are: shares of draws.

points ──► those that may be on the front ──► draws ──► shrunk ──┬─► on the front
           (the others: 0)                                       ├─► within each bound
                                                                 └─► the pick of a preference
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.front.bounds import Bounds, Side, sides_of
from engine.front.cone import Trade, ordered
from engine.front.criteria import NONE, Criteria
from engine.front.noise import DRAWS, Places, Results, different, draw
from engine.front.pareto import Bools, Floats, ranks, to_minimize
from engine.front.preference import TIE, Range, chebyshev, spreads_of, terms
from engine.front.shrinking import shrunk

FAR = 2.5
"""Standard errors of each by which a point is worse than another on every objective where it has no
chance left: less than one draw in a thousand for each objective."""

RIVALS = 256
"""Points against which the others are held for that, the best in all objectives together."""

ALL = 500
"""Points up to which all are drawn."""

MOST = 4000
"""Points with a chance for which it is worked out: of more those of the best ranks. Of the others
nothing is known."""

WORK = 1_000_000
"""Draws times points, for which draws are fewer among many points."""

Load = Callable[[Places], Sequence[Results]]
"""Results by row of some points, by their places; one an objective."""


@dataclass(frozen=True)
class Sure:
    """How sure a front of n points over m objectives is.

    Attributes:
        names: the objectives; maximize: bool [m].
        rows: int [k], the points that may be on the front.
        results: of those k, one an objective.
        drawn: float64 [draws, k, m], what their scores may be.
        front: float64 [n], share of draws in which a point is on the front; NaN where it is not
            known how sure its scores are.
    """

    names: tuple[str, ...]
    maximize: Bools
    rows: Places
    results: tuple[Results, ...]
    drawn: NDArray[np.float64]
    front: Floats

    def spread(self, found: Floats) -> Floats:
        """What was found of the k points, of all n: 0 of those without a chance."""
        every = np.where(np.isnan(self.front), np.nan, 0.0)
        every[self.rows] = np.where(np.isnan(self.front[self.rows]), np.nan, found)
        return every

    def meets(self, bounds: Bounds) -> list[tuple[str, Side, Floats]]:
        """Every bound with the share of draws in which each of the k points meets it."""
        return [
            (name, side, side.met(self.drawn[:, :, self.names.index(name)]).mean(axis=0))
            for name, side in sides_of(bounds)
        ]


def contenders(mean: ArrayLike, error: ArrayLike, maximize: ArrayLike) -> Bools:
    """bool [n]: the points that may be on the front.

    The others are worse by more than `FAR` errors of each on every objective than one that is.

    Args:
        mean: float64 [n, m], finite.
        error: float64 [n, m], standard errors; where none is known there is no end to it.
    """
    points = to_minimize(mean, maximize)
    reach = FAR * np.where(np.isfinite(error), error, np.inf)
    best, worst = points - reach, points + reach
    front = np.asarray(moocore.is_nondominated(points, keep_weakly=True), dtype=bool)
    rivals = worst[front]
    rivals = np.unique(rivals[np.isfinite(rivals).all(axis=1)], axis=0)
    found = np.ones(len(points), dtype=bool)
    if not len(rivals):
        return found
    rivals = rivals[np.asarray(moocore.is_nondominated(rivals), dtype=bool)]
    spread = np.ptp(points, axis=0)
    together = (rivals / np.where(spread > 0, spread, 1.0)).sum(axis=1)
    for rival in rivals[np.argsort(together)][:RIVALS]:
        left = np.flatnonzero(found)
        beaten = (rival <= best[left]).all(axis=1) & (rival < best[left]).any(axis=1)
        found[left[beaten]] = False
    return found


def sureness(
    names: Sequence[str],
    maximize: ArrayLike,
    mean: NDArray[np.float64],
    error: NDArray[np.float64],
    load: Load,
    every: bool = False,
    trades: Sequence[Trade] = (),
) -> Sure:
    """How sure the front of n points is.

    Args:
        mean: float64 [n, m], finite; error: float64 [n, m] of `engine.front.noise.errors`.
        load: gives the results by row.
        every: whether to draw all points: for bounds, which those may meet too that are not on the
            front.
        trades: that are accepted.
    """
    flip, n = np.asarray(maximize, dtype=bool), len(mean)
    rows = np.arange(n, dtype=np.intp)
    front = np.zeros(n)
    if n > ALL and not every:
        rows = np.flatnonzero(contenders(mean, error, flip))
    if len(rows) > MOST:
        front[rows] = np.nan
        rows = np.sort(rows[np.argsort(ranks(mean[rows], flip), kind="stable")[:MOST]])
    if not n:
        return Sure(tuple(names), flip, rows, (), np.empty((0, 0, len(flip))), front)
    results = tuple(load(rows))
    first, which = different(results)
    draws = min(DRAWS, max(WORK // len(first), 1))
    narrowed = len(rows) < n
    drawn = shrunk(
        draw([each.only(first) for each in results], draws),
        mean.mean(axis=0) if narrowed else None,
        np.cov(mean.T).reshape(len(flip), len(flip)) if narrowed else None,
    )
    share = on_front(drawn, flip, names, trades)[which]
    known = np.logical_and.reduce([each.known for each in results])
    front[rows] = np.where(known, share, np.nan)
    return Sure(tuple(names), flip, rows, results, drawn[:, which], front)


def fronts(
    drawn: NDArray[np.float64],
    maximize: ArrayLike,
    names: Sequence[str] = (),
    trades: Sequence[Trade] = (),
    within: Bounds | None = None,
    count: int | None = None,
) -> Bools:
    """bool [draws, n]: in which draws each point is on the front; duplicates are on it.

    Args:
        drawn: float64 [draws, n, m], in the objectives' own units.
        names: of the m objectives; trades: that are accepted between them.
        within: bounds; what misses one in a draw is not on its front and keeps nothing off it.
        count: how many of the objectives, the first ones, the front is over; all where None.
    """
    draws, n, m = drawn.shape
    flip, width = np.asarray(maximize, dtype=bool)[:count], m if count is None else count
    own = np.ascontiguousarray(drawn[:, :, :width]).reshape(-1, width)
    points = ordered(names[:width], own, flip, trades).reshape(draws, n, -1)
    met = np.ones((draws, n), dtype=bool)
    for name, side in sides_of(within or {}):
        met &= side.met(drawn[:, :, names.index(name)])
    if not met.all():
        points = np.where(met[:, :, None], points, points.max(axis=(0, 1)) + 1.0)
    found = np.empty((draws, n), dtype=bool)
    for each, row in zip(points, found, strict=True):
        row[:] = moocore.is_nondominated(each, keep_weakly=True)
    return found & met


def on_front(
    drawn: NDArray[np.float64],
    maximize: ArrayLike,
    names: Sequence[str] = (),
    trades: Sequence[Trade] = (),
    within: Bounds | None = None,
    count: int | None = None,
) -> Floats:
    """Share of draws in which each point is on the front, float64 [n]; arguments as `fronts`."""
    return np.asarray(fronts(drawn, maximize, names, trades, within, count).mean(axis=0))


def picked(
    drawn: NDArray[np.float64],
    names: Sequence[str],
    maximize: Bools,
    weights: Floats | None,
    ranges: Mapping[str, Range],
    bounds: Bounds | None = None,
    criteria: Criteria = NONE,
) -> Floats:
    """Share of draws in which each point is the pick of a preference, float64 [n]; of equal ones
    each has what they win.

    In each draw it is chosen as `engine.front.preference.recommend` does it, among the points that
    come closest to the bounds and constraints there. The least scalarised value is that of a point
    on the draw's front, which need not be found; for trades and a utility it is.

    Args:
        drawn: float64 [draws, n, m]; names: the m objectives.
        weights: float64 [m], that sum to one; None for the criteria's utility.
        ranges: of the scores, not of the draws.
    """
    draws, n, m = drawn.shape
    flat = drawn.reshape(-1, m)
    if weights is not None:
        measure = chebyshev(terms(names, flat, maximize, ranges), weights)
    else:
        assert criteria.utility is not None
        measure = np.nan_to_num(-criteria.utility.at(names, flat), nan=np.inf)
    measure = measure.reshape(draws, n)
    if criteria.trades or weights is None:
        measure[~fronts(drawn, maximize, names, criteria.trades)] = np.inf
    if bounds or criteria.constraints:
        spreads = spreads_of(names, flat, ranges)
        missed = criteria.violation(names, flat, spreads)
        for name, side in sides_of(bounds or {}):
            missed += side.violation(flat[:, names.index(name)]) / spreads[name]
        missed = np.where(np.isfinite(measure), missed.reshape(draws, n), np.inf)
        measure[missed > missed.min(axis=1, keepdims=True) + TIE] = np.inf
    least = measure.min(axis=1, keepdims=True)
    won = (measure <= least + TIE) & np.isfinite(measure)
    return np.asarray(won.mean(axis=0))
