"""From a preference to one measured point: the pick. Pure; no widget.

The front over the axes is found once for the points there are; when a weight moves only the
scalarisation is computed again (engine.front.preference says which).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.front.pareto import front_mask
from engine.front.preference import (
    Bound,
    Range,
    Unmet,
    choose,
    nearest_to_bounds,
    ranges_of,
    scale_weights,
    terms,
    unmet,
)
from studio.decide.preference import Bounds, Preference
from studio.points.view import Axis, Measured


@dataclass(frozen=True)
class Front:
    """What is compared: the front over the axes shown and those that a bound lies on.

    An objective with a bound that is not shown takes part with the weight 0: so the points that
    meet its bound are there to be picked.

    Attributes:
        axes: over which the front is.
        rows: its k members, in the order measured.
        values: float64 [k, axes] means in the objectives' own units.
        ranges: objective -> what its terms are scaled by: frozen, else of the front itself.
    """

    axes: tuple[Axis, ...]
    rows: np.ndarray
    values: np.ndarray
    ranges: Mapping[str, Range]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def maximize(self) -> np.ndarray:
        """bool [axes]."""
        return np.array([axis.maximize for axis in self.axes], dtype=bool)

    @cached_property
    def terms(self) -> np.ndarray:
        """Terms of the scalarisation, float64 [k, axes]: 0 at the range's best, 1 at its worst."""
        return terms(self.names, self.values, self.maximize, self.ranges)

    def eligible(self, bounds: Bounds) -> np.ndarray:
        """Places in `rows` that a preference chooses among, whatever its weights: those that meet
        every bound, else those of least violation."""
        return nearest_to_bounds(self.names, self.values, as_bounds(self.axes, bounds), self.ranges)


@dataclass(frozen=True)
class Pick:
    """The point that suits a preference best.

    Attributes:
        row: its row in `Measured`.
        place: its place among the front's members.
        unmet: bounds that it misses, each with the value it has.
        front: what it was chosen from.
    """

    row: int
    place: int
    unmet: tuple[Unmet, ...]
    front: Front


def frozen(
    measured: Measured, axes: Sequence[Axis], models: Sequence[str]
) -> dict[str, Range] | None:
    """The ranges a study freezes: over the models as they are, once each has every score of these
    axes; None before. The same as `engine.front.table.frozen_ranges` of the study's points."""
    values = measured.mean[measured.singles][:, [measured.column(axis.name) for axis in axes]]
    if len(values) != len(models) or not np.isfinite(values).all():
        return None
    return ranges_of([axis.name for axis in axes], values, [axis.maximize for axis in axes])


def mask(measured: Measured, axes: Sequence[Axis], bounds: Bounds) -> np.ndarray:
    """bool [points]: which meet every bound on these axes. One without that score does not."""
    found = np.ones(len(measured), dtype=bool)
    for axis in axes:
        low, high = bounds.get(axis.name, (None, None))
        values = measured.mean[:, measured.column(axis.name)]
        if low is not None:
            found &= values >= low
        if high is not None:
            found &= values <= high
    return found


def as_bounds(axes: Sequence[Axis], bounds: Bounds) -> list[Bound]:
    """The bounds on these axes as the engine takes them."""
    found = []
    for axis in axes:
        low, high = bounds.get(axis.name, (None, None))
        if low is not None:
            found.append(Bound(axis.name, "at_least", low))
        if high is not None:
            found.append(Bound(axis.name, "at_most", high))
    return found


def bounded(axes: Sequence[Axis], every: Sequence[Axis], bounds: Bounds) -> tuple[Axis, ...]:
    """The axes shown, then those of `every` that are not shown but have a bound."""
    shown = {axis.name for axis in axes}
    return (
        *axes,
        *(each for each in every if each.name not in shown and as_bounds([each], bounds)),
    )


def front_over(
    measured: Measured, axes: Sequence[Axis], ranges: Mapping[str, Range] | None = None
) -> Front:
    """The front over these axes, found once for these points; points that lack a score of them are
    set aside. 100,000 points of three objectives take about 30 ms, then nothing.

    Args:
        ranges: what is known of them; the others are those of the front.
    """
    axes, ranges = tuple(axes), ranges or {}
    # beside the points themselves, as their cached properties are: it goes when they go
    kept = measured.__dict__.setdefault("_fronts", {})
    key = axes, tuple(ranges.get(axis.name) for axis in axes)
    if key not in kept:
        names, maximize = [axis.name for axis in axes], [axis.maximize for axis in axes]
        values = measured.mean[:, [measured.column(name) for name in names]]
        complete = np.flatnonzero(np.isfinite(values).all(axis=1))
        rows = complete[front_mask(values[complete], maximize)]
        own = ranges_of(names, values[rows], maximize) if len(rows) else {}
        kept[key] = Front(axes, rows, values[rows], {**own, **ranges})
    found: Front = kept[key]
    return found


def pick(
    measured: Measured,
    axes: Sequence[Axis],
    preference: Preference,
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
    every: Sequence[Axis] = (),
) -> Pick | None:
    """The point of the front that suits the weights best among those that meet every bound.

    Args:
        axes: the objectives shown; the preference is over these.
        ranges: frozen ranges; where there are none, those of the front over the axes shown, so
            that a bound on another objective does not change what a weight means.
        every: the study's axes, so that a bound on one that is not shown counts too.

    Returns:
        None where no point has a score for each of the axes compared.
    """
    bounds = bounds or {}
    shown = front_over(measured, axes, ranges)
    front = front_over(measured, bounded(axes, every, bounds), shown.ranges)
    if not len(front.rows):
        return None
    weights = scale_weights(front.names, preference.weights)
    best = choose(front.terms, weights, front.eligible(bounds))
    missed = unmet(front.names, front.values[best], as_bounds(front.axes, bounds))
    return Pick(int(front.rows[best]), best, missed, front)
