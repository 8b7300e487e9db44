"""The score of one objective along one coefficient: the line that WiSE-FT draws (arXiv 2109.01903).

predicted   mean and band of the surrogate along the line, dashed and apart from what is measured
measured    the points on the line with their errors, faintly those beside it
models      base, target and experts, unmerged, where they lie on the line

Across is the coefficient as its slider has it, the others held where they are. For a method in
which only ratios matter, the axis is the coefficient's share from 0 to 1, and the others split the
rest in their current ratios.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studio.charts import marks
from studio.charts.marks import EDGE, FRONT, MEASURED, SINGLE, TEXT, rounded
from studio.charts.optima import optimum as optimum_mark
from studio.charts.surface import MOST, NEAR, ON, WIDE, SurrogateLike
from studio.charts.thinning import thinned
from studio.points.view import Axis, Measured

STEPS = 121
"""Places along the line."""


def line(
    names: Sequence[str], name: str, fixed: Mapping[str, float], x: np.ndarray, simplex: bool
) -> np.ndarray:
    """Positions along the line, float64 [x, names].

    Args:
        x: float64 [x], values of the coefficient; its shares of the whole on a simplex.
        fixed: the others as the sliders have them; all 0 on a simplex are equal parts.
    """
    place = names.index(name)
    others = np.array([0.0 if each == name else fixed.get(each, 0.0) for each in names])
    if simplex and others.sum() <= 0:
        others = np.array([float(each != name) for each in names])
    if simplex:
        rest = others / (others.sum() or 1.0)
        found = np.outer(1.0 - x, rest)
    else:
        found = np.tile(others, (len(x), 1))
    found[:, place] = x
    return found


def _placed(
    places: np.ndarray, names: Sequence[str], name: str, fixed: Mapping[str, float], simplex: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Where positions are along the line, and how far off it; float64 [k] each."""
    if simplex:
        total = places.sum(axis=1, keepdims=True)
        places = places / np.where(total > 0, total, np.nan)
    x = places[:, names.index(name)]
    found = places - line(names, name, fixed, x, simplex)
    distance = np.sqrt((found**2).sum(axis=1))
    return x, np.where(np.isnan(distance), np.inf, distance)


def _predicted(
    surrogate: SurrogateLike, axis: Axis, x: np.ndarray, positions: np.ndarray, name: str
) -> list[dict[str, Any]]:
    """Band and mean; nothing where the surrogate does not hold, as where a coefficient is 0."""
    there = np.ones(len(x), dtype=bool)
    if getattr(surrogate, "inside", False):
        there = (positions != 0.0).all(axis=1)
    if not there.any():
        return []
    answer = surrogate.predict(positions[there])
    low, mean, high = (rounded(np.asarray(each)) for each in (answer.low, answer.mean, answer.high))
    across = rounded(x[there])
    plain = {"type": "scatter", "mode": "lines", "x": across, "hoverinfo": "skip"}
    edge = {"width": 0, "color": EDGE}
    return [
        plain | {"y": high, "line": edge, "showlegend": False, "legendgroup": "band"},
        plain | {"y": low, "line": edge, "fill": "tonexty", "fillcolor": EDGE, "opacity": 0.6,
                 "name": "95 % model band", "legendgroup": "band"},
        plain | {
            "y": mean, "name": "predicted", "line": {"color": TEXT, "width": 2, "dash": "dash"},
            "hoverinfo": "all", "customdata": [],
            "text": [f"{a:.3f} … {b:.3f}" for a, b in zip(low, high, strict=True)],
            "hovertemplate": f"{html.escape(name)} %{{x:.2f}}<br>predicted "
            f"{html.escape(axis.label)} %{{y:.3f}}<br>95 % model band %{{text}}<extra></extra>",
        },
    ]  # fmt: skip


def _points(
    measured: Measured, rows: np.ndarray, x: np.ndarray, axis: Axis, best: np.ndarray, near: bool
) -> dict[str, Any]:
    """Measured points on the line, or fainter those beside it."""
    single = measured.singles[rows]
    colours = np.where(single, SINGLE, np.where(best[rows], FRONT, MEASURED)).tolist()
    shapes = [
        "diamond" if alone and model == "base" else "star" if alone and model == "target"
        else "square" if alone else marks.mark_of(measured.recipes[row].method)
        for row, alone, model in (
            (row, alone, measured.recipes[row].parameters.get("model"))
            for row, alone in zip(rows.tolist(), single.tolist(), strict=True)
        )
    ]  # fmt: skip
    trace = marks.points(
        measured, rows, [axis],
        name="measured, other coefficients differ" if near else "measured",
        colour=TEXT, kind="scatter", with_bars=False,
        marker={
            "color": MEASURED if near else colours,
            "symbol": shapes,
            "size": 6 if near else 11,
            "opacity": 0.4 if near else 1.0,
            "line": {"color": TEXT, "width": 0 if near else 1},
        },
        cliponaxis=False,
    )  # fmt: skip
    trace["y"] = trace.pop("x")  # `points` puts the first axis across
    trace["x"] = rounded(x)
    trace["hovertemplate"] = trace["hovertemplate"].replace("%{x:", "%{y:")
    if not near:
        trace["error_y"] = marks.bars(measured, rows, measured.column(axis.name), TEXT)
        named = [str(measured.recipes[row].parameters["model"]) if alone else ""
                 for row, alone in zip(rows.tolist(), single.tolist(), strict=True)]  # fmt: skip
        if any(named):
            trace |= {
                "mode": "markers+text",
                "text": [html.escape(each) for each in named],
                "textposition": "bottom center",
                "textfont": {"color": TEXT, "size": 12},
            }
    return trace


def _best(measured: Measured, row: int, x: float, axis: Axis) -> dict[str, Any]:
    """The mark of the optimum, on the line or not: its own coefficient and its score."""
    trace = optimum_mark(measured, np.array([row]), [axis], ["best"], "scatter")
    trace["y"] = trace.pop("x")  # `points` puts the first axis across
    trace["x"] = rounded(np.array([x]))
    trace["hovertemplate"] = trace["hovertemplate"].replace("%{x:", "%{y:")
    return trace


def _words(
    name: str, others: Mapping[str, float], simplex: bool, on: int, near: int, few: str
) -> str:
    """Text: what is fixed, what is drawn, why nothing is predicted."""
    held = ", ".join(f"{each} {value:g}" for each, value in others.items())
    text = ""
    if held:
        text = f"Remaining share split as {held}. " if simplex else f"Others fixed at {held}. "
    text += f"{on} measured {'point' if on == 1 else 'points'} on the line"
    text += f", {near} near it drawn faintly. " if near else ". "
    return text + few


def curve(
    measured: Measured,
    axis: Axis,
    surrogate: SurrogateLike | None,
    names: Sequence[str],
    name: str,
    fixed: Mapping[str, float],
    limits: tuple[float, float],
    rows: np.ndarray,
    places: np.ndarray,
    best: np.ndarray,
    *,
    simplex: bool = False,
    few: str = "",
    optimum: int | None = None,
) -> dict[str, Any]:
    """One objective along one coefficient.

    Args:
        surrogate: of this objective, for the current method; None if there are too few points.
        names: the method's coefficients.
        name: the one that goes across.
        fixed: values of the others as the sliders have them; a missing one is 0.
        limits: of the slider; not looked at on a simplex.
        rows: int [k], the points that this method's surface goes through.
        places: float64 [k, names], where they stand.
        best: bool [points], those on the front.
        simplex: whether only proportions matter.
        few: why nothing is predicted, for the small print.
        optimum: the point that is computed to be this surface's best.

    Returns:
        {"data", "layout"} of plotly; `layout.meta["curve"]` says what the axes show, so that the
        marks over the chart know where to go.
    """
    kept = np.isfinite(measured.mean[rows, measured.column(axis.name)])
    rows, places = rows[kept], places[kept]
    ends = (0.0, 1.0) if simplex else limits
    x = np.linspace(*ends, STEPS)
    at, distance = _placed(places, names, name, fixed, simplex)
    inside = (at >= ends[0] - ON) & (at <= ends[1] + ON)
    on = inside & (distance <= ON)
    near = inside & ~on & (distance <= NEAR)
    data = []
    if surrogate is not None:
        along = line(names, name, fixed, x, simplex)
        data += _predicted(surrogate, axis, x, along, name)
    for group, beside in ((near, True), (on, False)):
        some = np.flatnonzero(group)
        if len(some):
            values = np.stack([at[some], measured.mean[rows[some], measured.column(axis.name)]], 1)
            some = some[thinned(values, MOST)]
            data.append(_points(measured, rows[some], at[some], axis, best, beside))
    if optimum in rows.tolist():
        where = int(np.flatnonzero(rows == optimum)[0])
        data.append(_best(measured, int(rows[where]), float(at[where]), axis))
    revision = f"curve/{axis.name}/{name}"
    meta = {"curve": {"name": name, "share": simplex, "objective": axis.name}}
    layout = marks.frame(revision, meta)
    others = {each: fixed.get(each, 0.0) for each in names if each != name}
    said = _words(name, others, simplex, int(on.sum()), int(near.sum()), few)
    lines = textwrap.wrap(said, WIDE)
    layout["title"] = {  # plotly moves it up by a line for each line after the first
        "text": "<br>".join(map(html.escape, lines)),
        "font": {"size": 12}, "x": 0, "xanchor": "left", "y": 1, "yref": "container",
        "yanchor": "top", "pad": {"l": 8, "t": 6 + 16 * (len(lines) - 1)},
    }  # fmt: skip
    layout["margin"] |= {"t": 44 + 16 * len(lines)}
    layout["hovermode"] = "closest"
    pad = 0.02 * (ends[1] - ends[0])
    across = f"share of {name}" if simplex else f"coefficient of {name}"
    layout["xaxis"] = marks.titled(across) | {
        "range": [ends[0] - pad, ends[1] + pad], "zeroline": False,
    }  # fmt: skip
    layout["yaxis"] = marks.flat_axis(axis, marks.FEW)
    return {"data": data, "layout": layout}
