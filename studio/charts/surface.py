"""The surface of one objective over two coefficients: predicted, with the measured points on it.

    map   filled contours with their values written on the lines; brighter is better
    3d    the same as a sheet

Surrogate values are called predicted in the title and in all hover texts; measured points
are white marks with a dark edge, their values never blended into the colours below them.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from engine.search.quadratic import shares
from studio.charts import marks
from studio.charts.marks import TEXT, rounded
from studio.charts.optima import INK, PAPER, on_slice, upright
from studio.charts.thinning import thinned
from studio.points.places import position_of
from studio.points.view import Axis, Measured

STEPS = 41
"""Places along each coefficient: 0.04 apart on the usual sliders, 60 KB for the browser."""

ON = 0.005
"""Largest difference of the other coefficients of a point that lies on the plane drawn."""

NEAR = 0.25
"""Largest distance of the other coefficients at which a point is still drawn, faintly."""

MOST = 1000
"""Measured points drawn at most of those on the plane, and of those near it."""

SCALE: list[Any] = [[0.0, "#7186b5"], [0.5, "#b9b6a0"], [1.0, "#ffe945"]]
"""Blue to yellow with rising lightness, apart for every kind of colour blindness; its darkest end
is light enough for dark words and edges on it, in both themes."""

WIDE = 120
"""Letters of the small print that fit on a line of the chart in a window 1280 wide."""

BAND = "#8a8f9c"
"""Of the sheets of the band: apart from both ends of the scale, in both themes."""


class SurrogateLike(Protocol):
    """The interface used of `engine.search.surrogate.Surrogate`."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def simplex(self) -> int: ...

    def predict(self, positions: np.ndarray) -> Any:
        """An object with mean, low, high, float64 [n] each, at positions [n, names]."""


def _predicted(
    surrogate: SurrogateLike, x_name: str, y_name: str, fixed: Mapping[str, float],
    x: np.ndarray, y: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Mean, low, high, float64 [y, x]; NaN if all coefficients of a simplex are 0."""
    across, up = np.meshgrid(x, y)
    columns = {x_name: across.ravel(), y_name: up.ravel()}
    positions = np.stack(
        [columns.get(name, np.full(across.size, fixed.get(name, 0.0))) for name in surrogate.names],
        axis=1,
    )
    found = np.full((3, len(positions)), np.nan)
    there = np.ones(len(positions), dtype=bool)
    if surrogate.simplex:  # nothing to share out
        there &= np.isfinite(shares(positions, surrogate.simplex)).all(axis=1)
    answer = surrogate.predict(positions[there])
    for place, values in enumerate((answer.mean, answer.low, answer.high)):
        found[place, there] = values
    mean, low, high = found.reshape(3, *across.shape)
    return mean, low, high


def _on_plane(
    measured: Measured, rows: np.ndarray, surrogate: SurrogateLike,
    x_name: str, y_name: str, fixed: Mapping[str, float],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Where measured points are on the plane, and how far off it.

    A method that knows only proportions has a point wherever its shares are: it is moved along
    them until its other coefficients have the sum of the fixed ones.

    Returns:
        float64 [rows, 2], x and y; float64 [rows], distance of the other coefficients, infinite
        where no such place exists.
    """
    names = surrogate.names
    places = [position_of(measured.recipes[row], names) for row in rows.tolist()]
    position = np.array(places, dtype=float).reshape(len(rows), len(names))
    others = [place for place, name in enumerate(names) if name not in (x_name, y_name)]
    wanted = np.array([fixed.get(names[place], 0.0) for place in others], dtype=float)
    if surrogate.simplex == 1 and wanted.sum() > 0:  # bands of layers are places as they are
        total = position[:, others].sum(axis=1)
        position = position * (wanted.sum() / np.where(total > 0, total, np.nan))[:, None]
    distance = np.sqrt(((position[:, others] - wanted) ** 2).sum(axis=1))
    at = position[:, [names.index(x_name), names.index(y_name)]]
    return at, np.where(np.isnan(distance), np.inf, distance)


def _points(
    measured: Measured, rows: np.ndarray, at: np.ndarray, axis: Axis, near: bool, deep: bool
) -> dict[str, Any]:
    """Measured points on the plane, or fainter those beside it, in the shape of their method."""
    symbols = marks.deep_marks(measured) if deep else {}
    methods = [measured.recipes[row].method for row in rows.tolist()]
    # all are filled in white here, so a hollow shape is, too: no model is on a surface
    shapes = [
        symbols[each].removesuffix("-open") if deep else marks.mark_of(each) for each in methods
    ]
    trace = marks.points(
        measured, rows, [axis],
        name="measured, other coefficients differ" if near else "measured",
        colour=TEXT, kind="scatter3d" if deep else "scatter", with_bars=False,
        marker={
            "color": PAPER,
            "symbol": shapes[0] if len(set(shapes)) == 1 else shapes,
            "size": (5 if near else 7) if deep else (8 if near else 11),
            "line": {"color": INK, "width": 1 if deep else 2},
            "opacity": 0.55 if near else 1.0,
        },
    )  # fmt: skip
    if deep:
        bars = marks.bars(measured, rows, measured.column(axis.name), TEXT)
        trace["error_z"] = bars | {"thickness": marks.DEEP_BARS}
    else:  # a coefficient of 0 lies on the edge
        trace["cliponaxis"] = False
    return upright(trace, at, deep)


def _sheets(x: np.ndarray, y: np.ndarray, ends: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """The lower and the upper end of the band in a scene: see-through, of one colour."""
    return [
        {
            "type": "surface", "name": "95 % model band", "x": rounded(x), "y": rounded(y),
            "z": [[None if each != each else each for each in line] for line in _lines(end)],
            "colorscale": [[0.0, BAND], [1.0, BAND]], "showscale": False, "opacity": 0.22,
            "hoverinfo": "skip", "contours": {"x": {"highlight": False}, "y": {"highlight": False},
                                              "z": {"highlight": False}},
        }
        for end in ends
    ]  # fmt: skip


def _words(
    fixed: Mapping[str, float], others: Sequence[str], on: int, near: int, elsewhere: int
) -> str:
    """Text: what the plane is and which points are not on it."""
    held = ", ".join(f"{html.escape(name)} {fixed.get(name, 0.0):g}" for name in others)
    text = f"Others fixed at {held}. " if held else ""
    text += f"{on} measured {'point' if on == 1 else 'points'} on this slice"
    text += f", {near} near it drawn faintly" if near else ""
    return text + (f", {elsewhere} elsewhere not drawn." if elsewhere else ".")


def surface(
    measured: Measured,
    axis: Axis,
    surrogate: SurrogateLike,
    x_name: str,
    y_name: str,
    fixed: Mapping[str, float],
    ranges: Mapping[str, tuple[float, float]],
    kind: Literal["map", "3d"] = "map",
    *,
    rows: np.ndarray | None = None,
    optimum: int | None = None,
) -> dict[str, Any]:
    """Predicted scores on one objective over two coefficients, the others held.

    Args:
        surrogate: of this objective, for the current method.
        x_name, y_name: two of the surrogate's coefficients.
        fixed: values of the others as the sliders have them; a missing one is 0.
        ranges: of the two, as the sliders have them.
        rows: int [k], the points that this method's surface goes through; None takes those whose
            recipes have exactly the surrogate's coefficients.
        optimum: the point that is computed to be this surface's best.

    Returns:
        {"data", "layout"} of plotly; `layout.meta` holds the coefficients of the axes and the
        objective, so that the marks over the chart know where to go.
    """
    deep = kind == "3d"
    if rows is None:
        names = set(surrogate.names)
        same = [set(each.coefficients) == names for each in measured.recipes]
        rows = np.flatnonzero(np.array(same, dtype=bool))
    rows = rows[np.isfinite(measured.mean[rows, measured.column(axis.name)])]
    x, y = (np.linspace(*ranges[name], STEPS) for name in (x_name, y_name))
    mean, low, high = _predicted(surrogate, x_name, y_name, fixed, x, y)

    at, distance = _on_plane(measured, rows, surrogate, x_name, y_name, fixed)
    ends = np.array([ranges[x_name], ranges[y_name]])
    inside = ((at >= ends[:, 0] - ON) & (at <= ends[:, 1] + ON)).all(axis=1)
    on = inside & (distance <= ON)
    # one right behind a point on the plane would take its hover and its click
    place = np.round(at, 2) @ np.array([1, 1j])
    near = inside & ~on & (distance <= NEAR) & ~np.isin(place, place[on])

    text = [
        ["" if np.isnan(a) else f"{a:.3f} … {b:.3f}" for a, b in zip(*pair, strict=True)]
        # plotly reads the text of a sheet across first, of a map up first
        for pair in (zip(low.T, high.T, strict=True) if deep else zip(low, high, strict=True))
    ]
    predicted: dict[str, Any] = {
        "type": "surface" if deep else "contour",
        "name": "predicted",
        "x": rounded(x),
        "y": rounded(y),
        "z": [[None if each != each else each for each in line] for line in _lines(mean)],
        "text": text,
        "colorscale": SCALE,
        "reversescale": not axis.maximize,
        "colorbar": {
            "title": {"text": f"predicted<br>{html.escape(axis.label)}"
                      + (f"<br>{html.escape(axis.unit)}" if axis.unit else ""),
                      "font": {"size": 12}},
            "thickness": 14,
            "tickfont": {"size": 11},
        },
        "hovertemplate": f"{html.escape(x_name)} %{{x:.2f}}, {html.escape(y_name)} %{{y:.2f}}<br>"
        f"predicted {html.escape(axis.label)} %{{z:.3f}}<br>"
        "95 % model band %{text}<extra></extra>",
    }  # fmt: skip
    if not deep:
        predicted |= {
            "contours": {"coloring": "heatmap", "showlabels": True,
                         "labelfont": {"size": 11, "color": INK}},
            "line": {"color": INK, "width": 0.5},
        }  # fmt: skip
    data = [predicted, *(_sheets(x, y, (low, high)) if deep else ())]
    for group, beside in ((near, True), (on, False)):
        some = np.flatnonzero(group)
        some = some[thinned(at[some], MOST)] if len(some) else some
        if len(some):
            data.append(_points(measured, rows[some], at[some], axis, beside, deep))
    for place in np.flatnonzero((rows == optimum) & inside):
        said = "best" if on[place] else "best, off this slice"
        data.append(on_slice(measured, rows[[place]], at[[place]], axis, said, deep))

    others = [name for name in surrogate.names if name not in (x_name, y_name)]
    count, faint = int(on.sum()), int(near.sum())
    meta = {"coefficients": [x_name, y_name], "objective": axis.name}
    layout = marks.frame(f"surface/{axis.name}/{x_name}/{y_name}/{kind}", meta, deep)
    words = _words(fixed, others, count, faint, len(rows) - count - faint)
    better = "Brighter is better. " if not deep else ""
    small = textwrap.wrap(better + words, WIDE)  # plotly breaks no line by itself
    layout["title"] = {
        "text": f"Predicted, not measured: {html.escape(axis.title)}",
        "font": {"size": 14}, "x": 0, "xanchor": "left", "y": 0.985, "yanchor": "top",
        "pad": {"l": 8},
        "subtitle": {"text": "<br>".join(small), "font": {"size": 12, "color": TEXT}},
    }  # fmt: skip
    layout["margin"] |= {"t": 60 + 16 * len(small)}
    scale = "slider of" if surrogate.simplex else "coefficient of"
    titles = [f"{scale} {name}" for name in (x_name, y_name)]
    if deep:
        layout["scene"] = {
            "xaxis": marks.deep_axis(titles[0]),
            "yaxis": marks.deep_axis(titles[1]),
            "zaxis": marks.deep_axis(axis.label),
            "camera": {"eye": {"x": -1.5, "y": -1.5, "z": 0.8}},
        }
    else:
        for letter, title, name in zip("xy", titles, (x_name, y_name), strict=True):
            limits = {"range": list(ranges[name]), "zeroline": False}
            layout[f"{letter}axis"] = marks.titled(title) | limits
    return {"data": data, "layout": layout}


def _lines(values: np.ndarray) -> list[list[float]]:
    """A grid as rows of numbers of a few digits; NaN stays."""
    shift = rounded(np.nan_to_num(values).ravel())
    grid = np.array(shift).reshape(values.shape)
    return np.where(np.isnan(values), np.nan, grid).tolist()
