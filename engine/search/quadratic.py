"""The full quadratic in a method's coefficients, and the positions that determine it.

    1, c_i, c_i c_j (i ≤ j)        (K + 1)(K + 2) / 2 parameters; K − 1 shares on a simplex

`simplex` is the number of sums of which only the shares matter: 0, 1, or one for each of b bands of
layers. With b of them a position is model by model, the b coefficients of each side by side.

A new position is of use to a fit as far as its row of the basis is not a sum of the rows that are
there. `informative` takes the position with most of that, again and again (Gram–Schmidt with
pivoting, the greedy way to a D-optimal design), so every one taken raises the rank until the
quadratic is determined. Farthest points alone would not: in three coefficients they are corners
first, where no square differs from another.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import ParetoscopeError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

DECIMALS = 2
"""Of a position proposed: what a slider and a user can repeat."""

DETERMINED = 1e-8
"""A direction of the design shorter than this share of the longest is not determined."""

NOTHING = 1e-12
"""Coefficients of a sum nearer to 0 have no proportions."""

LEVELS = 3
CORNERS = 729
RANDOM = 512
"""Candidates: a grid of three levels as long as it has no more than `CORNERS` positions, and
`RANDOM` ones. A seed other than 0 leaves out a third of the grid, so that another seed is another
answer where corners would always come first."""


class TooFew(ParetoscopeError):
    """The positions measured do not determine the surface.

    Attributes:
        have: how many of them tell something that the others do not.
        need: how many such positions a fit takes.
    """

    def __init__(self, have: int, need: int) -> None:
        self.have, self.need = have, need
        super().__init__(f"{have} independent positions of the {need} that a fit needs")


def parameters_needed(k: int, simplex: int = 0) -> int:
    """Parameters of a full quadratic in k coefficients, on one share less for each sum."""
    free = max(0, k - simplex)
    return (free + 1) * (free + 2) // 2


@lru_cache(maxsize=64)
def _pairs(k: int) -> tuple[Indices, Indices]:
    first, second = np.triu_indices(k)
    return first, second


def by_model(positions: Floats, simplex: int) -> Floats:
    """Positions [n, K] as [n, models, sums], a view."""
    sums = max(1, simplex)
    return positions.reshape(len(positions), positions.shape[1] // sums, sums)


def shares(positions: ArrayLike, simplex: int = 1) -> Floats:
    """Positions [n, K] scaled so that each sum is one; NaN where it is 0."""
    flat = np.asarray(positions, dtype=np.float64)
    found = by_model(flat, simplex)
    total = found.sum(axis=1, keepdims=True)
    return (found / np.where(np.abs(total) < NOTHING, np.nan, total)).reshape(flat.shape)


def features(positions: ArrayLike, simplex: int = 0) -> Floats:
    """The basis at positions [n, K]: 1, c_i, c_i c_j (i ≤ j), float64 [n, p].

    On a simplex c are the shares of all models but the last.
    """
    found = np.asarray(positions, dtype=np.float64)
    if simplex:
        found = shares(found, simplex)[:, : -int(simplex)]
    first, second = _pairs(found.shape[1])
    return np.hstack((np.ones((len(found), 1)), found, found[:, first] * found[:, second]))


def informative(
    positions: ArrayLike, candidates: ArrayLike, count: int, simplex: int = 0
) -> Indices:
    """Which candidates to measure so that the quadratic is determined.

    Args:
        positions: [n, K] measured, n may be 0.
        candidates: [m, K].
        count: how many at most.

    Returns:
        int [≤ count]: rows of `candidates`, the one that adds most first; fewer once the rank is
        full or no candidate adds anything.
    """
    rows = features(candidates, simplex)
    known = features(positions, simplex)
    lengths = np.sqrt((np.vstack((rows, known)) ** 2).sum(axis=0))
    lengths[lengths == 0.0] = 1.0
    rows, known = rows / lengths, known / lengths
    if len(known):
        _, long, across = np.linalg.svd(np.linalg.qr(known, mode="r"), full_matrices=False)
        across = across[long > DETERMINED * long.max()]
        rows = rows - (rows @ across.T) @ across
    least = 1e-6 * np.sqrt((1.0 / lengths**2).sum())
    chosen: list[int] = []
    while len(chosen) < min(count, len(rows)):
        norms = np.sqrt((rows**2).sum(axis=1))
        best = int(norms.argmax())
        if norms[best] < least:
            break
        chosen.append(best)
        along = rows[best] / norms[best]
        rows = rows - (rows @ along)[:, None] * along
    return np.array(chosen, dtype=np.intp)


def _candidates(ranges: Floats, seed: int, simplex: int) -> Floats:
    """Distinct rounded positions within the ranges; proportions on a simplex."""
    rng = np.random.default_rng(seed)
    k = len(ranges)
    steps = np.linspace(0.0, 1.0, LEVELS)
    if LEVELS**k <= CORNERS:
        grid = np.array(list(itertools.product(steps, repeat=k)))
    else:
        grid = rng.choice(steps, size=(CORNERS, k))
    if seed:
        grid = grid[rng.uniform(size=len(grid)) < 2 / 3]
    low, high = ranges.T
    found = low + (high - low) * np.vstack((grid, rng.uniform(size=(RANDOM, k))))
    if simplex:
        total = by_model(found, simplex).sum(axis=1)
        # far from the zeros of the sums, where proportions run away
        most = np.abs(ranges).max(axis=1)[None]
        found = shares(found[(total > 0.05 * by_model(most, simplex).sum(axis=1)).all(1)], simplex)
    found = np.round(found, DECIMALS)
    if simplex:  # the largest share of each sum takes what rounding lost
        each = by_model(found, simplex)
        lost = 1.0 - each.sum(axis=1, keepdims=True)
        largest = each.argmax(axis=1)[:, None]
        np.put_along_axis(each, largest, np.take_along_axis(each, largest, 1) + lost, 1)
        found = np.round(found, DECIMALS)
    else:
        found = found[((found >= low - 1e-9) & (found <= high + 1e-9)).all(axis=1)]
    found += 0.0  # −0.0 is 0.0
    _, first = np.unique(found, axis=0, return_index=True)
    return found[np.sort(first)]


def _distance(candidates: Floats, positions: Floats) -> Floats:
    """Squared distance of each candidate to the nearest position; infinite if there is none."""
    found = np.full(len(candidates), np.inf)
    for start in range(0, len(positions), 256):
        block = positions[start : start + 256]
        gaps = ((candidates[:, None, :] - block[None, :, :]) ** 2).sum(axis=2)
        found = np.minimum(found, gaps.min(axis=1))
    return found


def fill(
    ranges: ArrayLike, positions: ArrayLike, count: int, seed: int = 0, simplex: int = 0
) -> Floats:
    """Where to measure next: first what determines the quadratic, then the largest gaps.

    Args:
        ranges: [K, 2] low and high of each slider.
        positions: [n, K] measured so far, n may be 0.
        count: how many are wanted.
        seed: another one gives other positions, 0 those easiest to repeat.
        simplex: sums of which only the shares matter; what comes back then sums to one.

    Returns:
        float64 [count, K], two decimals, all different and none measured yet; fewer where the
        ranges hold no more of the positions looked at.
    """
    limits = np.asarray(ranges, dtype=np.float64).reshape(-1, 2)
    known = np.asarray(positions, dtype=np.float64).reshape(-1, len(limits))
    if simplex:
        known = shares(known, simplex)
    known = known[np.isfinite(known).all(axis=1)]
    candidates = _candidates(limits, seed, simplex)
    width = np.ones(len(limits)) if simplex else limits[:, 1] - limits[:, 0]
    width = np.where(width > 0.0, width, 1.0)
    gap = _distance(candidates / width, known / width)
    free = _distance(candidates, known) > (0.5 * 10.0**-DECIMALS) ** 2
    candidates, gap = candidates[free], gap[free]
    # about the middle and in units of the ranges, so that no direction counts for its size
    middle = np.zeros(len(limits)) if simplex else limits.mean(axis=1)
    chosen = informative(
        (known - middle) / width, (candidates - middle) / width, count, simplex
    ).tolist()
    for row in chosen:
        gap = np.minimum(gap, (((candidates - candidates[row]) / width) ** 2).sum(axis=1))
    while len(chosen) < min(count, len(candidates)):
        row = int(gap.argmax())
        chosen.append(row)
        gap = np.minimum(gap, (((candidates - candidates[row]) / width) ** 2).sum(axis=1))
    return candidates[chosen]
