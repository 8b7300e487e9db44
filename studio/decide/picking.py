"""From a preference to one measured point: the pick. Pure; no widget.

The front is found once for the points there are; when a weight moves only the scalarisation is
computed again (engine.front.preference says which).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.front.bounds import Bounds, Unmet, unmet
from engine.front.preference import (
    Range,
    choose,
    nearest_to_bounds,
    ranges_of,
    scale_weights,
)
from studio.decide.bounds import bound_on, mask, within
from studio.decide.front import Front, front_over
from studio.decide.preference import Preference
from studio.points.view import Axis, Measured
from studio.shared import once


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


def candidates(
    measured: Measured,
    axes: Sequence[Axis],
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
    every: Sequence[Axis] = (),
) -> Front:
    """What a preference over these axes chooses among, whatever its weights; made once.

    The front of the points that meet every bound. Where no such point has all its scores, those of
    the front of all points that miss the bounds least, in units of each objective's range.

    Args:
        ranges: frozen ones; None takes those of the front of all points, so that a bound does not
            change what a weight means.
        every: the study's axes, on any of which a bound may lie; without them those compared.
    """
    axes, every, bounds = tuple(axes), tuple(every or axes), bounds or {}
    frozen = None if ranges is None else tuple(ranges.items())
    key = ("candidates", axes, tuple(sorted(bounds.items())), frozen, every)
    found: Front = once(measured, key, lambda: _candidates(measured, axes, bounds, ranges, every))
    return found


def _candidates(
    measured: Measured,
    axes: tuple[Axis, ...],
    bounds: Bounds,
    ranges: Mapping[str, Range] | None,
    every: Sequence[Axis],
) -> Front:
    whole = front_over(measured, axes, ranges)
    asked = bound_on(every, bounds)
    if not asked:
        return whole
    met = front_over(within(measured, every, bounds), axes, whole.ranges)
    if len(met.rows):
        return replace(met, rows=np.flatnonzero(mask(measured, every, bounds))[met.rows])
    bound = [axis for axis in every if axis.name in asked]
    values = measured.mean[whole.rows][:, [measured.column(axis.name) for axis in bound]]
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not len(known):
        return replace(whole, rows=whole.rows[:0], values=whole.values[:0])
    names, values = [axis.name for axis in bound], values[known]
    own = ranges_of(names, values, [axis.maximize for axis in bound])
    places = known[nearest_to_bounds(names, values, asked, own | dict(whole.ranges))]
    return replace(whole, rows=whole.rows[places], values=whole.values[places])


def pick(
    measured: Measured,
    axes: Sequence[Axis],
    preference: Preference,
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
    every: Sequence[Axis] = (),
) -> Pick | None:
    """The candidate that suits the weights best; arguments as for `candidates`.

    Returns:
        None if no point has a score for each of the axes compared.
    """
    front = candidates(measured, axes, bounds, ranges, every)
    if not len(front.rows):
        return None
    weights = scale_weights(front.names, preference.weights)
    place = choose(front.terms, weights, np.arange(len(front.rows)))
    row = int(front.rows[place])
    missed = unmet(measured.names, measured.mean[row], bound_on(every or axes, bounds or {}))
    return Pick(row, place, missed, front)
