"""Figures as plain functions from data to a plotly figure: dictionaries, no drawing, no theme.

A colour is written as the name of a Streamlit CSS variable ("--st-text-color"); the chart component
puts in what the current theme says, so light and dark need no second figure. Every trace a person
can click carries the point's id first in `customdata`.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from pages.parts.view import SHARE, Axis, Measured

MEASURED = "--st-gray-color"
FRONT = "--st-primary-color"
SINGLE = "--st-orange-color"
TEXT = "--st-text-color"
GRID = "--st-border-color-light"
EDGE = "--st-border-color"
FONT = "--st-font"

WEBGL_FROM = 1500
"""Points from which the cloud is drawn with WebGL: without a GPU 10,000 take 0.3 s, in SVG 0.6."""

BARS_UP_TO = 200
"""Points up to which each has its error bars drawn; beyond, the front and the models have them."""

FEW = 3
"""Points below which an axis that fits them would show nothing but noise."""

HEIGHT = 438
SYMBOLS = {"base": "diamond", "target": "star"}


def _round(values: np.ndarray) -> list[float]:
    """Six significant digits: below any pixel, and a third of the bytes."""
    return [float(f"{value:.6g}") for value in values]


def _bars(stderr: np.ndarray, colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [0.0 if np.isnan(each) else float(f"{each:.4g}") for each in stderr],
        "thickness": 1,
        "width": 0,
        "color": colour,
    }


def _template(axes: Sequence[Axis]) -> str:
    """Hover text: recipe, scores with standard errors. `<extra>` hides the trace's name."""
    lines = [
        f"{html.escape(axis.label)} %{{{letter}:.3f}}%{{customdata[{place}]}}"
        for place, (letter, axis) in enumerate(zip("xyz", axes, strict=False), 1)
    ]
    return "<b>%{hovertext}</b><br>" + "<br>".join(lines) + "<extra></extra>"


def _error_texts(stderr: np.ndarray) -> list[str]:
    return ["" if np.isnan(each) else f" ± {each:.3f}" for each in stderr]


def _trace(
    measured: Measured,
    rows: np.ndarray,
    axes: Sequence[Axis],
    *,
    name: str,
    colour: str,
    bars: bool,
    kind: str,
    **extra: Any,
) -> dict[str, Any]:
    columns = [measured.column(axis.name) for axis in axes]
    errors = [_error_texts(measured.stderr[rows, column]) for column in columns]
    trace: dict[str, Any] = {
        "type": kind,
        "mode": "markers",
        "name": name,
        "customdata": list(zip((measured.ids[row] for row in rows), *errors, strict=True)),
        "hovertext": [html.escape(measured.texts[row]) for row in rows],
        "hovertemplate": _template(axes),
    }
    for letter, column in zip("xyz", columns, strict=False):
        trace[letter] = _round(measured.mean[rows, column])
        if bars:
            trace[f"error_{letter}"] = _bars(measured.stderr[rows, column], colour)
    return trace | extra


def staircase(values: np.ndarray, maximize: Sequence[bool]) -> tuple[list[float], list[float], str]:
    """The boundary of what the front dominates, in two objectives.

    A straight line between two points would promise mixtures nobody measured; the stair says only
    what follows from the points.

    Args:
        values: float [k, 2], the front's points.

    Returns:
        x, y sorted along x, and plotly's line shape.
    """
    order = np.lexsort((values[:, 1], values[:, 0]))
    return _round(values[order, 0]), _round(values[order, 1]), "vh" if maximize[0] else "hv"


def _axis(axis: Axis, points: int) -> dict[str, Any]:
    """An axis that fits its points; a share of examples shows all of 0 … 1 while there are few."""
    whole = points < FEW and axis.unit == SHARE
    limits: dict[str, Any] = {"range": [-0.03, 1.03]} if whole else {"autorange": True}
    return limits | {
        "title": {"text": html.escape(axis.title), "standoff": 6, "font": {"size": 13}},
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "tickfont": {"size": 11},
        "automargin": True,
    }


def _axis_in_depth(axis: Axis) -> dict[str, Any]:
    """A shorter title, and no transparent colours: WebGL draws them opaque."""
    return {
        "title": {"text": html.escape(axis.label), "font": {"size": 13}},
        "gridcolor": EDGE,
        "linecolor": EDGE,
        "zeroline": False,
        "tickfont": {"size": 11},
        "backgroundcolor": "rgba(0,0,0,0)",
    }


def tradeoff(measured: Measured, axes: Sequence[Axis], front: np.ndarray) -> dict[str, Any]:
    """Two or three objectives against each other: the points, the front, the models as they are.

    Args:
        axes: two or three; the front is over these.
        front: bool [points], which are on it.

    Returns:
        {"data", "layout"} of plotly; the names of the objectives are in `layout.meta`, so that the
        ring over the chart knows where to go.
    """
    deep = len(axes) == 3
    columns = [measured.column(axis.name) for axis in axes]
    shown = np.isfinite(measured.mean[:, columns]).all(axis=1)
    singles = measured.singles & shown
    cloud = np.flatnonzero(shown & ~singles & ~front)
    best = np.flatnonzero(shown & ~singles & front)
    many = len(cloud) > WEBGL_FROM
    flat = "scatter3d" if deep else "scatter"
    size = 3 if deep else (5 if many else 8)
    data = [
        _trace(
            measured,
            cloud,
            axes,
            name="measured",
            colour=MEASURED,
            bars=not deep and len(cloud) <= BARS_UP_TO,
            kind="scattergl" if many and not deep else flat,
            marker={"color": MEASURED, "size": size, "opacity": 0.55},
        )
    ]
    if not deep and front.any():
        x, y, shape = staircase(measured.mean[np.ix_(front, columns)], [a.maximize for a in axes])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": y,
                "line": {"color": FRONT, "width": 1.5, "shape": shape},
                "opacity": 0.6,
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    data.append(
        _trace(
            measured,
            best,
            axes,
            name="front",
            colour=FRONT,
            bars=True,
            kind=flat,
            marker={"color": FRONT, "size": 5 if deep else 10},
        )
    )
    rows = np.flatnonzero(singles)
    names = [str(measured.recipes[row].parameters["model"]) for row in rows.tolist()]
    data.append(
        _trace(
            measured,
            rows,
            axes,
            name="models as they are",
            colour=SINGLE,
            bars=True,
            kind=flat,
            mode="markers+text",
            text=[
                f"{html.escape(name)}{' (front)' if front[row] else ''}"
                for name, row in zip(names, rows.tolist(), strict=True)
            ],
            textposition="top center" if deep else "bottom center",
            textfont={"color": TEXT, "size": 12},
            cliponaxis=False,
            marker={
                "color": SINGLE,
                "size": 6 if deep else 12,
                "symbol": [
                    ("square" if deep else SYMBOLS[name]) if name in SYMBOLS else "square"
                    for name in names
                ],
                "line": {"color": FRONT, "width": [2.5 * bool(front[row]) for row in rows]}
                if not deep
                else {"color": TEXT, "width": 1},
            },
        )
    )
    if deep:
        for trace in data:
            trace.pop("cliponaxis", None)
        data.append(
            {
                "type": "scatter3d",
                "mode": "markers",
                "name": "here",
                "x": [None],
                "y": [None],
                "z": [None],
                "hoverinfo": "skip",
                "showlegend": False,
                "marker": {"color": TEXT, "size": 12, "symbol": "circle-open"},
            }
        )
    names_of_axes = [axis.name for axis in axes]
    layout: dict[str, Any] = {
        "height": HEIGHT,
        "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "color": TEXT, "size": 13},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MEASURED, "activecolor": TEXT},
        "hovermode": "closest",
        "dragmode": "orbit" if deep else "zoom",
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "uirevision": "/".join(names_of_axes),
        "meta": {"axes": names_of_axes},
    }
    if deep:
        layout["scene"] = {
            f"{letter}axis": _axis_in_depth(axis) for letter, axis in zip("xyz", axes, strict=True)
        } | {"camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.8}}}
    else:
        points = int(shown.sum())
        if points < FEW:  # what a person zooms to is kept from the first real view on
            layout["uirevision"] += "/few"
        layout |= {"xaxis": _axis(axes[0], points), "yaxis": _axis(axes[1], points)}
    return {"data": data, "layout": layout}
