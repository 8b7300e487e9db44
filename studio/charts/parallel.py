"""All objectives at once: one upright axis each, one line a point. Up is better on every objective.

    points ──► parallel ──► ui/components/parallel.js: lines, ranges, order, under a hand

A scale whose lower values are better runs downwards, so that a line that stays high is a good point
and crossings between two axes are the trade-off. The lines are drawn on a canvas of our own:
plotly's parallel coordinates need WebGL, know no click, no hover and no thick line, and take
seconds without a GPU.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from engine.front.bounds import FREE, Bounds, Pair, sides
from studio.decide.bounds import ends
from studio.points.view import Axis, Measured

KINDS = ("measured", "unmerged model", "front")
"""What a line is of; a model on the front is on the front."""

COEFFICIENT = "c:"
"""Before a coefficient's name, where it is an axis."""

STEP = 0.01
"""Of a range on the axis of a coefficient."""


def _scale(name: str, label: str, values: np.ndarray, up: bool, step: float, pair: Pair) -> Any:
    """An upright axis: its ends are the extremes of the points and of what is bound."""
    there = [*values.tolist(), *(each.value for each in sides(pair))]
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    if low == high:  # a line through the middle
        low, high = low - 0.5, high + 0.5
    bottom, top = (low, high) if up else (high, low)
    return {
        "name": name, "label": label, "bottom": bottom, "top": top, "bound": list(pair),
        "step": step, "values": values.tolist(),
    }  # fmt: skip


def _complete(measured: Measured, axes: Sequence[Axis], names: Collection[str]) -> np.ndarray:
    """bool [points]: with a score on every axis and each of the coefficients."""
    columns = [measured.column(axis.name) for axis in axes]
    shown = np.isfinite(measured.mean[:, columns]).all(axis=1)
    if names:
        wanted = set(names)
        shown &= np.array([wanted <= each.coefficients.keys() for each in measured.recipes], bool)
    return shown


def parallel(
    measured: Measured,
    axes: Sequence[Axis],
    front: np.ndarray,
    *,
    coefficients: Sequence[str] = (),
    bounds: Bounds | None = None,
    hide_dominated: bool = False,
) -> dict[str, Any]:
    """Every objective as an upright axis, every point as a line across them.

    Args:
        measured: the points to show; those outside the bounds are not among them.
        axes: the objectives, in any order.
        front: bool [points], which are on the front.
        coefficients: names shown as further axes; points without them are left out.
        bounds: marked on their axes.
        hide_dominated: leave only the front and the unmerged models.

    Returns:
        {"axes": [{"name", "label", "bottom" and "top" (values at its ends), "bound", "step",
        "values": [lines]}], "ids", "texts" and "kinds" (places in `KINDS`) by line, "scores": axis
        -> texts by line, "missing": points that lack a value}. A coefficient's axis is called
        `c:` and its name.
    """
    complete = _complete(measured, axes, coefficients)
    rows = np.flatnonzero(complete & (front | measured.singles) if hide_dominated else complete)
    scales = []
    for axis in axes:
        pair = (bounds or {}).get(axis.name, FREE)
        values = measured.mean[rows, measured.column(axis.name)]
        step = ends(values, axis.unit, pair)[2] if len(values) else STEP
        scales.append(_scale(axis.name, axis.label, values, axis.maximize, step, pair))
    recipes = [measured.recipes[row] for row in rows.tolist()]
    for name in coefficients:
        values = np.array([each.coefficients[name] for each in recipes], dtype=float)
        label = f"coefficient of {name}"
        scales.append(_scale(COEFFICIENT + name, label, values, True, STEP, FREE))
    kinds = np.where(front[rows], 2, np.where(measured.singles[rows], 1, 0))
    return {
        "axes": scales,
        "ids": [measured.ids[row] for row in rows.tolist()],
        "texts": [measured.text(row) for row in rows.tolist()],
        "kinds": kinds.tolist(),
        "scores": {axis.name: measured.score_texts(rows, axis.name) for axis in axes},
        "missing": int((~complete).sum()),
    }


def coefficients_of(names: Sequence[str]) -> list[str]:
    """The coefficients among the names of axes, as recipes have them."""
    return [each.removeprefix(COEFFICIENT) for each in names if each.startswith(COEFFICIENT)]


def arranged(
    asked: Sequence[str], objectives: Collection[str], coefficients: Sequence[str] = ()
) -> list[str]:
    """The axes from left to right: those asked for in their order, all objectives where none of
    them is there; coefficients that were not asked for stand last.

    Args:
        asked: names of axes, of which some may be none of these.
        coefficients: names of coefficients, as recipes have them.
    """
    others = [COEFFICIENT + name for name in coefficients]
    known = [name for name in dict.fromkeys(asked) if name in objectives or name in others]
    if not any(name in objectives for name in known):
        known = [*objectives, *known]
    return [*known, *(name for name in others if name not in known)]


def chosen_anew(before: Sequence[str], objectives: Sequence[str]) -> list[str]:
    """The axes after other objectives were chosen: these in their order in the places of
    objectives, coefficients where they stood, what is new at the end."""
    left = [name for name in before if name in objectives or name.startswith(COEFFICIENT)]
    left += [name for name in objectives if name not in left]
    order = iter(objectives)
    return [next(order) if name in objectives else name for name in left]
