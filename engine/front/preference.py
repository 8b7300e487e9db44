"""From weights and bounds to one point of the front: the augmented Chebyshev scalarisation.

With f minimised after sign flips, t_i = (f_i − ideal_i) / (nadir_i − ideal_i) and weights w that
sum to one,

    s = max_i w_i t_i + ρ Σ_i w_i t_i,    ρ = 1e-6,

and the point of least s is recommended. Unlike a weighted sum it reaches the concave parts of a
front (Steuer & Choo 1983). Ideal and nadir are the best and worst values of the whole non-dominated
set, before any bound, or the ranges a study has frozen: a bound must not change what a weight
means. An objective without a range adds 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import bad, unknown
from engine.front.bounds import Bounds, Unmet, check_bounds, sides_of, unmet
from engine.front.pareto import MARGIN, Bools, Floats, front_mask, to_minimize

RHO = 1e-6
# two values nearer than this are a tie: sums of the same terms in another order differ by less
TIE = 1e-12


@dataclass(frozen=True)
class Range:
    """Best and worst value of one objective, in its own units and whatever its direction."""

    ideal: float
    nadir: float

    @property
    def reference(self) -> float:
        """The worst value moved out by 10 % of the range; where that is zero it stays."""
        return self.nadir + MARGIN * (self.nadir - self.ideal)


@dataclass(frozen=True)
class Recommendation:
    """Index of the recommended point among `values`, and the bounds that it does not meet."""

    index: int
    unmet: tuple[Unmet, ...]


def ranges_of(names: Sequence[str], values: ArrayLike, maximize: ArrayLike) -> dict[str, Range]:
    """Range of each objective over `values` [n ≥ 1, m]: a front, or a study's single models."""
    flip = np.asarray(maximize, dtype=bool)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(flip))
    low, high = points.min(axis=0), points.max(axis=0)
    return {
        name: Range(float(high[i]), float(low[i]))
        if flip[i]
        else Range(float(low[i]), float(high[i]))
        for i, name in enumerate(names)
    }


def frozen_ranges(
    names: Sequence[str], values: ArrayLike, maximize: ArrayLike, models: int
) -> dict[str, Range] | None:
    """The ranges that a study freezes: those of its unmerged models, so that later points do not
    change them.

    Args:
        values: [k, m], those of the unmerged models; NaN for a missing score.
        models: how many there are. Nothing is returned before each of them has every score.
    """
    found = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    if not models or len(found) != models or not np.isfinite(found).all():
        return None
    return ranges_of(names, found, maximize)


def scale_weights(names: Sequence[str], weights: Mapping[str, float]) -> Floats:
    """Weights in the order of `names`, float64 [m], scaled to sum one; those not named are 0.

    Raises:
        BadInput: an unknown name, a negative or non-finite weight, or none above 0.
    """
    for name, weight in weights.items():
        if name not in names:
            raise unknown(f"weight {name}", "objective", name, names)
        if not (math.isfinite(weight) and weight >= 0):
            raise bad(
                f"weight {name}", f"{weight:g} is not a weight", "Give a number of 0 or more."
            )
    found = np.array([weights.get(name, 0.0) for name in names], dtype=np.float64)
    if not found.max(initial=0.0) > 0:
        raise bad("weights", "every weight is 0", "Give at least one objective a weight above 0.")
    found /= found.max()  # so that the sum of huge weights stays finite
    return np.asarray(found / np.cumsum(found)[-1])  # one after the other, as in `weighted_sum`


def terms(
    names: Sequence[str], values: ArrayLike, maximize: Bools, ranges: Mapping[str, Range]
) -> Floats:
    """t of the module's formula, float64 [n, m]: 0 at the ideal, 1 at the nadir."""
    points = to_minimize(values, maximize)
    ideal = to_minimize([ranges[name].ideal for name in names], maximize)[0]
    width = to_minimize([ranges[name].nadir for name in names], maximize)[0] - ideal
    flat = width == 0
    return np.where(flat, 0.0, (points - ideal) / np.where(flat, 1.0, width))


def weighted_sum(scaled: Floats, weights: Floats) -> Floats:
    """Σ w_i t_i, float64 [n], from terms [n, m] and weights [m].

    Products are added one after the other, rounded each time, so that the browser, which picks
    while a slider moves (ui/components/picking.js), has the same number to the last bit.
    """
    found = np.zeros(len(scaled))
    for term, weight in zip(scaled.T, weights.tolist(), strict=True):
        found += term * weight
    return found


def chebyshev(scaled: Floats, weights: Floats) -> Floats:
    """s of the module's formula, float64 [n], from terms [n, m] and weights [m]; less is better."""
    largest = np.asarray((scaled * weights).max(axis=1))
    return largest + RHO * weighted_sum(scaled, weights)


def nearest_to_bounds(
    names: Sequence[str],
    values: ArrayLike,
    bounds: Bounds,
    ranges: Mapping[str, Range],
) -> NDArray[np.intp]:
    """Rows of `values` [n, m] that meet every bound; where none does, those of least violation,
    summed over the bounds, each in units of its objective's range.

    Raises:
        BadInput: a bound on an unknown objective, or one that is not finite.
    """
    check_bounds(names, bounds)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    violation = np.zeros(len(points))
    for name, side in sides_of(bounds):
        spread = abs(ranges[name].nadir - ranges[name].ideal) or 1.0
        violation += side.violation(points[:, names.index(name)]) / spread
    least = violation.min(initial=np.inf)
    return np.flatnonzero(violation <= (least + TIE if least else 0.0))


def choose(scaled: Floats, weights: Floats, candidates: NDArray[np.intp]) -> int:
    """The candidate, a row of the terms [n, m], that suits the weights [m] best.

    Ties go to the smaller weighted sum, then to the earlier point.
    """
    measure = chebyshev(scaled[candidates], weights)
    candidates = candidates[measure <= measure.min() + TIE]
    total = weighted_sum(scaled[candidates], weights)
    return int(candidates[total <= total.min() + TIE][0])


def recommend(
    names: Sequence[str],
    values: ArrayLike,
    maximize: ArrayLike,
    weights: Mapping[str, float],
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
) -> Recommendation:
    """The point of the front that suits the weights best among those that meet every bound.

    Ties go to the smaller weighted sum, then to the earlier point. Where no point of the front
    meets every bound, the one of least violation is taken (summed over the bounds, each in units of
    its objective's range), and the bounds it misses are returned with its value: bounds moved there
    would be met.

    Args:
        values: float64 [n ≥ 1, m], finite.
        ranges: frozen ranges; by default those of the front.

    Raises:
        BadInput: weights or bounds that cannot be used.
    """
    flip = np.asarray(maximize, dtype=bool)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(flip))
    bounds, scaled_weights = bounds or {}, scale_weights(names, weights)
    front = np.flatnonzero(front_mask(points, flip))
    members = points[front]
    ranges = ranges if ranges is not None else ranges_of(names, members, flip)
    scaled = terms(names, members, flip, ranges)

    candidates = nearest_to_bounds(names, members, bounds, ranges)
    chosen = choose(scaled, scaled_weights, candidates)
    missed = unmet(names, members[chosen], bounds)
    return Recommendation(int(front[chosen]), missed)
