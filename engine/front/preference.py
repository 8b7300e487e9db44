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
from engine.front.cone import front_under
from engine.front.criteria import NONE, Criteria
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
    """Index of the recommended point among `values`, and what it does not meet: bounds first, then
    constraints; its utility where that was asked for."""

    index: int
    unmet: tuple[Unmet, ...]
    utility: float | None = None


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
    beside: Floats | None = None,
) -> NDArray[np.intp]:
    """Rows of `values` [n, m] that meet every bound; where none does, those of least violation,
    summed over the bounds, each in units of its objective's range.

    Args:
        beside: float64 [n], by how much each row violates what else is asked of it.

    Raises:
        BadInput: a bound on an unknown objective, or one that is not finite.
    """
    check_bounds(names, bounds)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    violation = np.zeros(len(points)) if beside is None else beside.copy()
    for name, side in sides_of(bounds):
        spread = abs(ranges[name].nadir - ranges[name].ideal) or 1.0
        violation += side.violation(points[:, names.index(name)]) / spread
    least = violation.min(initial=np.inf)
    if len(points) and math.isinf(least):
        raise bad(
            "constraint",
            "no point of the front has a score for each objective that it names",
            "Evaluate the missing ones first.",
        )
    return np.flatnonzero(violation <= (least + TIE if least else 0.0))


def choose(scaled: Floats, weights: Floats, candidates: NDArray[np.intp]) -> int:
    """The candidate, a row of the terms [n, m], that suits the weights [m] best.

    Ties go to the smaller weighted sum, then to the earlier point.
    """
    measure = chebyshev(scaled[candidates], weights)
    candidates = candidates[measure <= measure.min() + TIE]
    total = weighted_sum(scaled[candidates], weights)
    return int(candidates[total <= total.min() + TIE][0])


def spreads_of(
    names: Sequence[str], values: ArrayLike, ranges: Mapping[str, Range]
) -> dict[str, float]:
    """What a violation counts in, for each objective: its range, else what `values` [n, m] span,
    NaN passed over; 1 where that is nothing."""
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    found = {}
    for name, column in zip(names, points.T, strict=True):
        known = column[np.isfinite(column)]
        own = float(np.ptp(known)) if len(known) else 0.0
        each = ranges.get(name)
        found[name] = (own if each is None else abs(each.nadir - each.ideal)) or 1.0
    return found


def most_useful(
    criteria: Criteria, names: Sequence[str], values: ArrayLike, candidates: NDArray[np.intp]
) -> int:
    """The candidate, a row of `values` [n, m], of largest utility; the earlier one among equals.

    Raises:
        BadInput: it has no value at any of them, or overflows at one.
    """
    assert criteria.utility is not None
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(names))
    found = criteria.utility.bounded(names, points[candidates])
    if np.isnan(found).all():
        what = f"{criteria.utility.text!r} has no value at any point that is left"
        fix = "It may divide by 0, take a logarithm of 0, or need a score that is missing."
        raise bad("utility", what, fix)
    return int(candidates[int(np.nanargmax(found))])


def recommend(
    names: Sequence[str],
    values: ArrayLike,
    maximize: ArrayLike,
    weights: Mapping[str, float],
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
    criteria: Criteria = NONE,
    whole: tuple[Sequence[str], ArrayLike] | None = None,
) -> Recommendation:
    """The point of the front that suits the weights best, or has the largest utility, among those
    that meet every bound and constraint.

    Ties go to the smaller weighted sum, then to the earlier point. Where no point of the front
    meets all of them, the one of least violation is taken (summed, each in units of its objective's
    range), and what it misses is returned with its value: moved there it would be met. Accepted
    trades leave fewer points on the front; they do not change the ranges.

    Args:
        values: float64 [n ≥ 1, m], finite.
        weights: not looked at where the criteria have a utility.
        ranges: frozen ranges; by default those of the front.
        whole: the objectives, and [n, ·] their values, NaN for a missing one, that constraints and
            utility may name; by default `names` and `values`.

    Raises:
        BadInput: weights, bounds or criteria that cannot be used.
    """
    flip = np.asarray(maximize, dtype=bool)
    points = np.asarray(values, dtype=np.float64).reshape(-1, len(flip))
    bounds = bounds or {}
    scaled_weights = None if criteria.utility else scale_weights(names, weights)
    mask = front_mask(points, flip)
    ranges = ranges if ranges is not None else ranges_of(names, points[mask], flip)
    front = np.flatnonzero(mask)
    front = front[front_under(names, points[front], flip, criteria.trades)]
    members = points[front]
    known, every = whole if whole is not None else (names, points)
    rows = np.asarray(every, dtype=np.float64).reshape(-1, len(known))[front]

    beside = criteria.violation(known, rows, spreads_of(known, rows, ranges))
    candidates = nearest_to_bounds(names, members, bounds, ranges, beside)
    utility = None
    if scaled_weights is None:
        chosen = most_useful(criteria, known, rows, candidates)
        assert criteria.utility is not None
        utility = float(criteria.utility.at(known, rows[chosen])[0])
    else:
        chosen = choose(terms(names, members, flip, ranges), scaled_weights, candidates)
    missed = (*unmet(names, members[chosen], bounds), *criteria.unmet(known, rows[chosen]))
    return Recommendation(int(front[chosen]), missed, utility)
