"""From a preference to one measured point: the pick. Pure; no widget.

The front is found once for the points there are; when a weight moves only the scalarisation is
computed again (engine.front.preference says which).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.front.bounds import Bounds, Unmet, unmet
from engine.front.cone import front_under
from engine.front.criteria import NONE, Criteria
from engine.front.preference import (
    Range,
    choose,
    most_useful,
    nearest_to_bounds,
    ranges_of,
    scale_weights,
    spreads_of,
)
from studio.decide.bounds import bound_on, mask
from studio.decide.front import Front, front_over
from studio.decide.preference import Preference
from studio.points.view import Axis, Measured
from studio.shared import once


@dataclass(frozen=True)
class Pick:
    """The point that suits a preference best, or has the largest utility.

    Attributes:
        row: its row in `Measured`.
        place: its place among the front's members.
        unmet: bounds and constraints that it misses, each with the value it has.
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
    criteria: Criteria = NONE,
) -> Front:
    """What a preference over these axes chooses among, whatever its weights; made once.

    The front, accepted trades counted, of the points that meet every bound and constraint. Where no
    such point has all its scores, those of the front of all points that miss them least, in units
    of each objective's range.

    Args:
        ranges: frozen ones; None takes those of the front of all points, so that a bound does not
            change what a weight means.
        every: the study's axes, on any of which a bound may lie; without them those compared.
        criteria: constraints and trades; a utility changes nothing here.
    """
    axes, every, bounds = tuple(axes), tuple(every or axes), bounds or {}
    frozen = None if ranges is None else tuple(ranges.items())
    asked = criteria.without_utility()
    key = ("candidates", axes, tuple(sorted(bounds.items())), frozen, every, asked)
    found: Front = once(
        measured, key, lambda: _candidates(measured, axes, bounds, ranges, every, asked)
    )
    return found


def _candidates(
    measured: Measured,
    axes: tuple[Axis, ...],
    bounds: Bounds,
    ranges: Mapping[str, Range] | None,
    every: Sequence[Axis],
    criteria: Criteria,
) -> Front:
    whole = front_over(measured, axes, ranges)
    asked = bound_on(every, bounds)
    if not asked and not criteria.constraints:
        return _traded(whole, criteria)
    ones = dict.fromkeys(measured.names, 1.0)
    allowed = mask(measured, every, bounds)
    allowed &= criteria.violation(measured.names, measured.mean, ones) == 0.0
    met = front_over(measured.only(allowed), axes, whole.ranges)
    if len(met.rows):
        return _traded(replace(met, rows=np.flatnonzero(allowed)[met.rows]), criteria)
    whole = _traded(whole, criteria)
    named = {*asked, *(name for each in criteria.constraints for name in each.names)}
    bound = [axis for axis in every if axis.name in named]
    values = measured.mean[whole.rows][:, [measured.column(axis.name) for axis in bound]]
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not len(known):
        return replace(whole, rows=whole.rows[:0], values=whole.values[:0])
    names, values = [axis.name for axis in bound], values[known]
    own = ranges_of(names, values, [axis.maximize for axis in bound]) | dict(whole.ranges)
    beside = criteria.violation(names, values, spreads_of(names, values, own))
    places = known[nearest_to_bounds(names, values, asked, own, beside)]
    return replace(whole, rows=whole.rows[places], values=whole.values[places])


def _traded(front: Front, criteria: Criteria) -> Front:
    """Those members that none is better than once the trades are accepted."""
    if not criteria.trades:
        return front
    kept = front_under(front.names, front.values, front.maximize, criteria.trades)
    return replace(front, rows=front.rows[kept], values=front.values[kept])


def pick(
    measured: Measured,
    axes: Sequence[Axis],
    preference: Preference,
    bounds: Bounds | None = None,
    ranges: Mapping[str, Range] | None = None,
    every: Sequence[Axis] = (),
    criteria: Criteria = NONE,
) -> Pick | None:
    """The candidate that suits the weights best, or has the largest utility; arguments as for
    `candidates`.

    Returns:
        None if no point has a score for each of the axes compared.

    Raises:
        BadInput: the utility has no value at any candidate.
    """
    front = candidates(measured, axes, bounds, ranges, every, criteria)
    if not len(front.rows):
        return None
    every_place = np.arange(len(front.rows))
    if criteria.utility is not None:
        place = most_useful(criteria, measured.names, measured.mean[front.rows], every_place)
    else:
        place = choose(front.terms, scale_weights(front.names, preference.weights), every_place)
    row = int(front.rows[place])
    missed = unmet(measured.names, measured.mean[row], bound_on(every or axes, bounds or {}))
    missed += criteria.unmet(measured.names, measured.mean[row])
    return Pick(row, place, missed, front)
