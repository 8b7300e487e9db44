"""What a user asks for beside bounds, over two objectives: contours of a utility, and a line where
a constraint is just met. Plain functions from data to plotly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.front.criteria import Constraint, Criteria
from studio.charts.marks import TEXT, rounded
from studio.points.view import Axis, Measured

GRID = 60
"""Lines of the grid that contours are drawn from, each way."""

LEVELS = 9
"""Contours, about."""

AROUND = 0.04
"""How far contours go beyond the points, in their ranges: less than the axes do."""


def drawn(
    figure: dict[str, Any], measured: Measured, axes: Sequence[Axis], criteria: Criteria
) -> dict[str, Any]:
    """A figure of two objectives with contours and lines below its points; as it is where there is
    nothing over just these two."""
    if len(axes) != 2:
        return figure
    values = measured.mean[:, [measured.column(axis.name) for axis in axes]]
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return figure
    low, high = values.min(axis=0), values.max(axis=0)
    span = np.where(high > low, high - low, 0.1 * np.maximum(np.abs(high), 1e-9))
    low, high = low - AROUND * span, high + AROUND * span
    names = [axis.name for axis in axes]
    below = _contours(names, low, high, criteria) + [
        trace
        for each in criteria.constraints
        if set(each.names) <= set(names)
        for trace in _line(names, low, high, each)
    ]
    return {**figure, "data": [*below, *figure["data"]]} if below else figure


def _contours(
    names: Sequence[str], low: np.ndarray, high: np.ndarray, criteria: Criteria
) -> list[dict[str, Any]]:
    """Where the utility is the same; none where it depends on what is not drawn."""
    utility = criteria.utility
    if utility is None or not set(utility.names) <= set(names) or not utility.names:
        return []
    x, y = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    found = utility.at(names, places).reshape(GRID, GRID)
    if np.isnan(found).all():
        return []
    return [
        {
            "type": "contour",
            "name": "utility",
            "x": rounded(x),
            "y": rounded(y),
            "z": [[None if np.isnan(each) else float(f"{each:.5g}") for each in row]
                  for row in found],
            "ncontours": LEVELS,
            "contours": {"coloring": "none", "showlabels": True,
                         "labelfont": {"size": 10, "color": TEXT}},
            "line": {"color": TEXT, "width": 1, "dash": "dot"},
            "opacity": 0.55,
            "hoverinfo": "skip",
            "showscale": False,
            "showlegend": True,
        }
    ]  # fmt: skip


def _line(
    names: Sequence[str], low: np.ndarray, high: np.ndarray, constraint: Constraint
) -> list[dict[str, Any]]:
    """Where a constraint is just met, within the box; none where that is outside."""
    a, b = (dict(constraint.coefficients).get(name, 0.0) for name in names)
    along, across = (0, 1) if abs(b) * (high[1] - low[1]) >= abs(a) * (high[0] - low[0]) else (1, 0)
    slope, by = (a, b) if along == 0 else (b, a)
    ends = np.array([low[along], high[along]])
    if slope:  # where it leaves the box across
        cut = np.sort((constraint.side.value - by * np.array([low[across], high[across]])) / slope)
        ends = np.array([max(ends[0], cut[0]), min(ends[1], cut[1])])
    other = (constraint.side.value - slope * ends) / by
    margin = 1e-9 * (high[across] - low[across])
    inside = (other >= low[across] - margin) & (other <= high[across] + margin)
    if ends[0] > ends[1] or not inside.all():
        return []
    pair = (ends, other) if along == 0 else (other, ends)
    return [
        {
            "type": "scatter", "mode": "lines", "name": str(constraint),
            "x": rounded(pair[0]), "y": rounded(pair[1]),
            "line": {"color": TEXT, "width": 1.5, "dash": "dash"},
            "hoverinfo": "skip", "showlegend": True,
        }
    ]  # fmt: skip
