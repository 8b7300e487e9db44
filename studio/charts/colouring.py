"""Marks coloured by a number: an objective's score or a coefficient, with a colour bar.

    figure ── coloured(…) ──► the same figure, each measured mark in the colour of its point

The shape of a mark still shows its method, its size and outline the front. A point without the
value is grey.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studio.charts.marks import FRONT, MEASURED, TEXT, shortened
from studio.charts.optima import NAME as OPTIMUM
from studio.charts.surface import SCALE
from studio.points.view import Axis, Measured


@dataclass(frozen=True, eq=False)
class Colouring:
    """What the colours say.

    Attributes:
        title: over the colour bar, and before a value on hover.
        values: float64 [points], NaN where a point has none.
        up: whether higher is brighter.
    """

    title: str
    values: np.ndarray
    up: bool = True


def by_objective(measured: Measured, axis: Axis) -> Colouring:
    """The score on an objective; brighter is better."""
    return Colouring(axis.label, measured.mean[:, measured.column(axis.name)], axis.maximize)


def by_coefficient(measured: Measured, name: str) -> Colouring:
    """The coefficient as recipes say it; those of other methods have none."""
    values = [each.coefficients.get(name, np.nan) for each in measured.recipes]
    return Colouring(f"coefficient of {name}", np.array(values, dtype=float))


def coefficient_names(measured: Measured) -> list[str]:
    """The coefficients that any point has, in the order in which they come."""
    return list(dict.fromkeys(name for each in measured.recipes for name in each.coefficients))


def coloured(figure: dict[str, Any], measured: Measured, by: Colouring) -> dict[str, Any]:
    """The figure with its measured marks in these colours; no other part of it changes.

    Args:
        measured: the points of the figure; a mark knows its own by the id in `customdata`.
    """
    known = by.values[np.isfinite(by.values)]
    if not len(known):
        return figure
    low, high = float(known.min()), float(known.max())
    high = high if high > low else low + 1.0
    data = [_coloured(trace, measured, by, low, high) for trace in figure["data"]]
    kind = data[0]["type"] if data else "scatter"
    bar = {
        "type": kind, "mode": "markers", "x": [None], "y": [None], "showlegend": False,
        "hoverinfo": "skip",
        "marker": {
            "color": [low], "cmin": low, "cmax": high, "colorscale": SCALE,
            "reversescale": not by.up, "showscale": True,
            "colorbar": {
                "title": {"text": html.escape(shortened(by.title, 30)), "font": {"size": 12},
                          "side": "right"},
                "thickness": 12, "tickfont": {"size": 11}, "outlinewidth": 0,
            },
        },
    }  # fmt: skip
    if kind == "scatter3d":
        bar["z"] = [None]
    return {**figure, "data": [*data, bar]}


def shades(values: np.ndarray, low: float, high: float, up: bool) -> list[str]:
    """The colours of finite values on the scale, as plotly's own colour bar has them."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    share = share if up else 1.0 - share
    stops = np.array([each for each, _ in SCALE])
    parts = np.array([[int(text[k : k + 2], 16) for k in (1, 3, 5)] for _, text in SCALE])
    found = np.stack([np.interp(share, stops, channel) for channel in parts.T], axis=1)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.round(found).astype(int).tolist()]


def _coloured(
    trace: dict[str, Any], measured: Measured, by: Colouring, low: float, high: float
) -> dict[str, Any]:
    ids: Sequence[Any] = trace.get("customdata") or ()
    if not ids or "marker" not in trace or trace.get("name") == OPTIMUM:
        return trace
    rows = [measured.row_of[each[0]] for each in ids]
    values = by.values[rows]
    there = np.isfinite(values)
    known = iter(shades(values[there], low, high, by.up))
    colours = [next(known) if each else MEASURED for each in there.tolist()]
    front = trace.get("name", "").startswith("front")
    edge = {"color": FRONT, "width": 2} if front else {"color": TEXT, "width": 0.5}
    marker = {**trace["marker"], "color": colours, "opacity": 1.0}
    if trace["type"] != "scatter3d" and "models" not in trace.get("name", ""):
        marker["line"] = edge
    said = [f"{each:.3f}" if some else "none" for each, some in zip(values, there, strict=True)]
    place = len(ids[0])
    line = f"<br>{html.escape(by.title)} %{{customdata[{place}]}}<extra></extra>"
    template = trace["hovertemplate"]
    each_line = (
        [each.replace("<extra></extra>", line) for each in template]
        if isinstance(template, list)
        else template.replace("<extra></extra>", line)
    )
    more = [(*each, text) for each, text in zip(ids, said, strict=True)]
    return {**trace, "marker": marker, "customdata": more, "hovertemplate": each_line}
