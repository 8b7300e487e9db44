"""How bounds on objectives are drawn: a dashed line across the axis, the excluded side shaded."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.front.bounds import Pair, sides
from studio.charts.marks import TEXT, rounded

STRIP = 0.08
"""How far the axis goes beyond the points and into what a bound excludes, in their ranges."""

NEAR = 0.35
"""A bound further than this from every point, in their ranges, does not stretch the axis."""


def bound_shapes(
    letter: str, bounds: Pair, values: np.ndarray
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Lines and shades of a flat axis, and how far it may reach into what they exclude.

    Args:
        values: float [k], the points on this axis.

    Returns:
        Shapes of plotly's layout; its `autorangeoptions`.
    """
    other = "y" if letter == "x" else "x"
    given = [each.value for each in sides(bounds)]
    low, high = (values.min(), values.max()) if len(values) else (min(given), max(given))
    span = float(high - low) or 0.1 * max(abs(float(high)), 1e-9)
    across: dict[str, Any] = {
        f"{letter}ref": letter,
        f"{other}ref": f"{other} domain",
        f"{other}0": 0,
        f"{other}1": 1,
    }
    shapes: list[dict[str, Any]] = []
    # plotly pads by a share of all it draws, the shade too, so both ends are said
    limits = {"clipmin": low - STRIP * span, "clipmax": high + STRIP * span}
    for side in sides(bounds):
        bound, outwards = side.value, side.outwards
        shade = {f"{letter}0": bound, f"{letter}1": bound + outwards * 20 * span}
        line = {"color": TEXT, "width": 1.5, "dash": "dash"}
        label: dict[str, Any] = {
            "text": f"{side.words} {bound:g}", "textposition": "end", "padding": 4,
            "font": {"color": TEXT, "size": 11},
        }  # fmt: skip
        if letter == "x":  # upright beside the line, on the side that is allowed
            anchor = "left" if outwards < 0 else "right"
            label |= {"textangle": 0, "xanchor": anchor, "yanchor": "top"}
        shapes += [
            across | shade | {"type": "rect", "layer": "below", "line": {"width": 0},
                              "fillcolor": TEXT, "opacity": 0.08},
            across | {f"{letter}0": bound, f"{letter}1": bound, "type": "line",
                      "layer": "below", "line": line, "label": label},
        ]  # fmt: skip
        if outwards < 0:
            limits["clipmin"] = max(bound, low - NEAR * span) - STRIP * span
        else:
            limits["clipmax"] = min(bound, high + NEAR * span) + STRIP * span
    return shapes, {name: float(f"{value:.6g}") for name, value in limits.items()}


def planes(bounds: Pair, values: np.ndarray, place: int) -> list[dict[str, Any]]:
    """The bounds of an axis of a 3-D scene, each a plane across the points' box."""
    return [trace for side in sides(bounds) for trace in _plane(values, place, side.value)]


def _plane(values: np.ndarray, place: int, bound: float) -> list[dict[str, Any]]:
    """A see-through plane with a dashed edge.

    Args:
        values: float [k, 3].
        place: which of the three axes is bounded.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    corners = np.array([[a, b] for a, b in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))])
    box = np.insert(corners.astype(float), place, 0.0, axis=1) * (high - low) + low
    box[:, place] = bound
    x, y, z = (rounded(column) for column in box.T)
    ends = {"hoverinfo": "skip", "showlegend": False}
    return [
        {"type": "mesh3d", "x": x[:4], "y": y[:4], "z": z[:4],
         "i": [0, 0], "j": [1, 2], "k": [2, 3], "color": TEXT, "opacity": 0.12} | ends,
        {"type": "scatter3d", "mode": "lines", "x": x, "y": y, "z": z,
         "line": {"color": TEXT, "width": 3, "dash": "dash"}} | ends,
    ]  # fmt: skip
