"""The mark of a computed optimum, around the mark of its point.

curve      at its own coefficient, on the line or not
surface    at its own coefficients, on the slice or not
trade-off  at its scores, where what it is the best of is on an axis
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from studio.charts import marks
from studio.points.view import Axis, Measured

NAME = "computed best"
"""Of the trace: a colouring of the points leaves it as it is."""

NO_OPTIMA: Mapping[int, str] = MappingProxyType({})

INK, PAPER = "#0b0d12", "#ffffff"
"""On the colours of a surface, in both themes."""

DEEP = "diamond-open"
"""A scene has no stars."""


def optimum(
    measured: Measured,
    rows: np.ndarray,
    axes: Sequence[Axis],
    texts: Sequence[str],
    kind: str,
) -> dict[str, Any]:
    """The trace of some optima, with their scores on the axes.

    Args:
        rows: int [k], each with a score on every axis.
        texts: what stands beside each.
        kind: plotly's of the other traces.
    """
    deep = kind == "scatter3d"
    return marks.points(
        measured, rows, axes,
        name=NAME, colour=marks.TEXT, kind=kind, with_bars=False,
        marker={
            "symbol": DEEP if deep else "star-open", "size": 11 if deep else 18,
            "color": marks.TEXT, "line": {"width": 2, "color": marks.TEXT},
        },
        mode="markers+text",
        text=[html.escape(each) for each in texts],
        textposition="top center",
        textfont={"color": marks.TEXT, "size": 12},
        **({} if deep else {"cliponaxis": False}),
    )  # fmt: skip


def on_axes(
    measured: Measured, axes: Sequence[Axis], optima: Mapping[int, str], kind: str
) -> list[dict[str, Any]]:
    """The optima of what is on an axis, at their scores; nothing where one of these is missing.

    Args:
        optima: row -> the objective that it is the best of.
    """
    columns = {axis.name: measured.column(axis.name) for axis in axes}
    there = [
        row
        for row, objective in optima.items()
        if objective in columns and np.isfinite(measured.mean[row, [*columns.values()]]).all()
    ]
    texts = [f"best {optima[row]}" for row in there]
    return [optimum(measured, np.array(there), axes, texts, kind)] if there else []


def on_slice(
    measured: Measured, rows: np.ndarray, at: np.ndarray, axis: Axis, text: str, deep: bool
) -> dict[str, Any]:
    """The optimum of a surface, at its own coefficients.

    Args:
        rows: int [1].
        at: float64 [1, 2], where it stands.
    """
    trace = optimum(measured, rows, [axis], [text], "scatter3d" if deep else "scatter")
    if not deep:  # white with a dark edge, as the points are: to be seen in any legend, too
        trace["marker"] |= {"symbol": "star", "color": PAPER, "line": {"width": 2, "color": INK}}
        trace["textfont"] = trace["textfont"] | {"color": INK}
    return upright(trace, at, deep)


def upright(trace: dict[str, Any], at: np.ndarray, deep: bool) -> dict[str, Any]:
    """A trace of points with the score, which `points` puts across, upright; at their places."""
    old, new = "%{x:.3f}%{customdata[1]}", "%{customdata[1]}"
    trace["hovertemplate"] = trace["hovertemplate"].replace(old, new)
    trace["customdata"] = [
        (point, f"{mean:.3f}{error}", *rest)
        for (point, error, *rest), mean in zip(trace["customdata"], trace["x"], strict=True)
    ]
    if deep:
        trace["z"] = trace["x"]
    return trace | {"x": marks.rounded(at[:, 0]), "y": marks.rounded(at[:, 1])}
