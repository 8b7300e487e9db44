"""The one front of a page: its objectives, its members, and the scale of a preference.

    points that meet the bounds ─┐
    a chosen set of objectives ──┴─► members ──► chart, table, Parallel, pick, Why, tray, sweeps

The axes of a chart only show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.front.preference import Range, frozen_ranges, ranges_of, terms
from studio.points.numbers import number
from studio.points.view import Axis, Measured
from studio.shared import once

SAID = 30
"""Letters up to which the names of the objectives are all said."""


@dataclass(frozen=True)
class Front:
    """The members of a front.

    Attributes:
        axes: over which it is.
        rows: its k members, in the order measured.
        values: float64 [k, axes] means in the objectives' own units.
        ranges: objective -> what its terms are scaled by.
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


def varying(measured: Measured, axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The objectives a front is over where none were chosen: those that are not the same at every
    point measured; all of them where none differs."""

    def make() -> tuple[Axis, ...]:
        found = []
        for axis in axes:
            values = measured.mean[:, measured.column(axis.name)]
            values = values[np.isfinite(values)]
            if len(values) and values.min() < values.max():
                found.append(axis)
        return tuple(found or axes)

    known: tuple[Axis, ...] = once(measured, ("varying", tuple(axes)), make)
    return known


def front_over(
    measured: Measured, axes: Sequence[Axis], ranges: Mapping[str, Range] | None = None
) -> Front:
    """The front of these points over these axes; points that lack a score of them are set aside.

    Args:
        ranges: None for those of the front itself.
    """
    axes = tuple(axes)
    rows = np.flatnonzero(measured.front_of(axes))
    values = measured.mean[rows][:, [measured.column(axis.name) for axis in axes]]
    if ranges is None:
        names, maximize = [axis.name for axis in axes], [axis.maximize for axis in axes]
        ranges = ranges_of(names, values, maximize) if len(rows) else {}
    return Front(axes, rows, values, ranges)


def frozen(measured: Measured, axes: Sequence[Axis], models: int) -> dict[str, Range] | None:
    """The ranges a study freezes: over so many unmerged models, once each has every score of these
    axes; None before."""
    values = measured.mean[measured.singles][:, [measured.column(axis.name) for axis in axes]]
    names, maximize = [axis.name for axis in axes], [axis.maximize for axis in axes]
    return frozen_ranges(names, values, maximize, models)


def names_text(axes: Sequence[Axis]) -> str:
    """The objectives in words, as many as fit."""
    said = [axis.name for axis in axes]
    while len(said) > 1 and len(", ".join(said)) > SAID:
        said.pop()
    left = len(axes) - len(said)
    return ", ".join(said) + (f" and {left} more" if left else "")


def elsewhere(over: Sequence[Axis], shown: Sequence[Axis]) -> tuple[Axis, ...]:
    """The objectives of the front that are not among those shown."""
    names = {axis.name for axis in shown}
    return tuple(axis for axis in over if axis.name not in names)


def through(measured: Measured, over: Sequence[Axis], shown: Sequence[Axis]) -> np.ndarray:
    """bool [points]: on the front, and not on it over those of its objectives that are shown: only
    what is not shown brings them there."""
    front = measured.front_of(over)
    rest = elsewhere(over, shown)
    if not rest:
        return np.zeros_like(front)
    seen = [axis for axis in over if axis not in rest]
    return front & ~measured.front_of(seen) if seen else front.copy()


def scale_words(front: Front, models: bool) -> str:
    """On which scale weights count.

    Args:
        models: whether the ranges are those of the unmerged models.
    """
    whose = "of the unmerged models" if models else "on the front"
    parts = [
        f"{name} {number(each.nadir)} to {number(each.ideal)}"
        for name, each in front.ranges.items()
        if name in front.names
    ]
    return (
        f"Weights are relative to the range from the worst to the best score {whose}: "
        f"{', '.join(parts)}."
    )
