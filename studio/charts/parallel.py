"""All objectives at once: one upright axis each, one line a point. Up is better on every objective.

Lines are drawn as scatter traces: plotly's own parcoords needs WebGL, knows no click, no hover and
no thick line, and takes seconds without a GPU.

A scale whose lower values are better runs downwards, so that a line that stays high is a good point
and crossings between two axes are the trade-off.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.front.bounds import FREE, Bounds, Pair, sides
from studio.charts import marks
from studio.charts.marks import EDGE, FRONT, MEASURED, SINGLE, TEXT
from studio.charts.thinning import thinned
from studio.points.view import Axis, Measured

LINES = 1000
"""Lines drawn at most: more are a carpet, and slow."""

WIDE = 88
"""Letters of labels that fit side by side over a chart in a window 1280 wide."""

KINDS = ("measured", "unmerged models", "front", "selected")
COLOURS = (MEASURED, SINGLE, FRONT, TEXT)
WIDTHS = (0.7, 2.0, 2.0, 4.0)
DASHES = ("solid", "dot", "solid", "solid")


@dataclass(frozen=True)
class Scale:
    """One upright axis.

    Attributes:
        label: above it.
        values: float64 [points].
        bottom, top: values at its ends; bottom > top where lower is better.
        pair: bounds, in the axis' own units.
    """

    label: str
    values: np.ndarray
    bottom: float
    top: float
    pair: Pair = FREE

    @property
    def heights(self) -> np.ndarray:
        """float64 [points], 0 at the bottom and 1 at the top."""
        return (self.values - self.bottom) / (self.top - self.bottom)


def _scale(label: str, values: np.ndarray, up: bool, pair: Pair = FREE) -> Scale:
    ends = [each.value for each in sides(pair)]
    low, high = (
        (float(min([values.min(), *ends])), float(max([values.max(), *ends])))
        if len(values)
        else (0.0, 1.0)
    )
    if low == high:  # a line through the middle
        low, high = low - 0.5, high + 0.5
    return Scale(label, values, *((low, high) if up else (high, low)), pair)


def _scales(
    measured: Measured, rows: np.ndarray, axes: Sequence[Axis], names: Sequence[str], bounds: Bounds
) -> list[Scale]:
    found = []
    for axis in axes:
        values = measured.mean[rows, measured.column(axis.name)]
        pair = bounds.get(axis.name, FREE)
        found.append(_scale(axis.label, values, axis.maximize, pair))
    recipes = [measured.recipes[row] for row in rows.tolist()]
    for name in names:
        values = np.array([each.coefficients[name] for each in recipes], dtype=float)
        found.append(_scale(f"coefficient of {name}", values, True))
    return found


def _complete(measured: Measured, axes: Sequence[Axis], names: Sequence[str]) -> np.ndarray:
    """bool [points]: with a score on every axis and each of the coefficients."""
    columns = [measured.column(axis.name) for axis in axes]
    shown = np.isfinite(measured.mean[:, columns]).all(axis=1)
    if names:
        wanted = set(names)
        shown &= np.array([wanted <= each.coefficients.keys() for each in measured.recipes], bool)
    return shown


def _kinds(measured: Measured, rows: np.ndarray, front: np.ndarray, pick: str | None) -> np.ndarray:
    """int [rows]: place in `KINDS`; a model on the front is on the front."""
    kinds = np.where(front[rows], 2, np.where(measured.singles[rows], 1, 0))
    picked = measured.row_of.get(pick or "")
    return np.where(rows == (-1 if picked is None else picked), 3, kinds)


def _words(drawn: int, of: int, missing: int) -> str:
    """What up means and what is not drawn."""
    text = "Up is better on every objective. "
    if drawn < of:
        text += f"{drawn:,} of {of:,} lines drawn. "
    return text + (f"{missing:,} not shown: a value is missing." if missing else "")


def parallel(
    measured: Measured,
    axes: Sequence[Axis],
    front: np.ndarray,
    *,
    coefficients: Sequence[str] = (),
    bounds: Bounds | None = None,
    pick: str | None = None,
) -> dict[str, Any]:
    """Every objective as an upright axis, every point as a line across them.

    Args:
        measured: the points to show; those outside the bounds are not among them.
        axes: the objectives, left to right.
        front: bool [points], which are on the front.
        coefficients: names shown as further axes; points without them are left out.
        bounds: marked on their axes.
        pick: id of the point to highlight.

    Returns:
        {"data", "layout"} of plotly; `layout.meta["dimensions"]` names the axes left to right.
    """
    shown = _complete(measured, axes, coefficients)
    rows = np.flatnonzero(shown)
    scales = _scales(measured, rows, axes, coefficients, bounds or {})
    kinds = _kinds(measured, rows, front, pick)
    heights = np.stack([each.heights for each in scales], axis=1)
    drawn = thinned(heights[:, : len(axes)], LINES, kinds > 0)
    # what matters most is drawn last, on top
    drawn = drawn[np.argsort(kinds[drawn], kind="stable")]
    names = [*(axis.name for axis in axes), *coefficients]
    layout = marks.frame(f"parallel/{'/'.join(names)}", {"dimensions": names})
    layout["title"] = {
        "text": _words(len(drawn), len(rows), len(measured) - len(rows)),
        "font": {"size": 12}, "x": 0, "xanchor": "left", "y": 0.985, "yanchor": "top",
        "pad": {"l": 8},
    }  # fmt: skip
    data = _lines(measured, rows[drawn], heights[drawn], kinds[drawn], scales)
    return {"data": data, "layout": layout | _layout(scales)}


def folded(label: str, axes: int) -> str:
    """A label on lines that fit between its neighbours: broken behind `_`, `-`, `.` or a space, and
    within a word where it must be."""
    wide, lines = max(WIDE // axes, 6), [""]
    for part in filter(None, re.split(r"(?<=[ _.-])", label)):
        if lines[-1] and len(lines[-1] + part) > wide:
            lines.append("")
        lines[-1] += part
        while len(lines[-1]) > wide:
            lines[-1:] = [lines[-1][:wide], lines[-1][wide:]]
    return "<br>".join(html.escape(line.strip()) for line in lines if line.strip())


def _layout(scales: Sequence[Scale]) -> dict[str, Any]:
    """Upright axes drawn as lines, their ends in figures, bounds as thick pieces of them."""
    upright: dict[str, Any] = {"type": "line", "layer": "below"}
    shapes, ends = [], []
    for place, scale in enumerate(scales):
        where = {"x0": place, "x1": place}
        shapes.append(upright | where | {"y0": 0, "y1": 1, "line": {"color": EDGE, "width": 1}})
        if scale.pair != FREE:
            low, high = sorted((scale.bottom, scale.top))
            pair = [low if scale.pair[0] is None else scale.pair[0],
                    high if scale.pair[1] is None else scale.pair[1]]  # fmt: skip
            y = (np.array(pair) - scale.bottom) / (scale.top - scale.bottom)
            thick = {"color": TEXT, "width": 5}
            shapes.append(upright | where | {"y0": float(y[0]), "y1": float(y[1]), "line": thick})
        for height, value, anchor in ((0, scale.bottom, "top"), (1, scale.top, "bottom")):
            ends.append(
                {
                    "x": place, "y": height, "text": f"{value:.4g}", "showarrow": False,
                    "yanchor": anchor, "font": {"color": TEXT, "size": 11},
                }
            )  # fmt: skip
    texts = [folded(each.label, len(scales)) for each in scales]
    most = max((text.count("<br>") for text in texts), default=0) + 1
    return {
        "margin": {"l": 44, "r": 44, "t": 68 + 16 * most, "b": 8},
        "shapes": shapes,
        "annotations": ends,
        "xaxis": {
            "tickvals": list(range(len(scales))),
            "ticktext": texts,
            "side": "top", "showgrid": False, "zeroline": False, "fixedrange": True,
            "range": [-0.15, len(scales) - 0.85], "tickfont": {"size": 13}, "ticklen": 12,
            "tickcolor": marks.CLEAR,
        },
        "yaxis": {"visible": False, "range": [-0.08, 1.08], "fixedrange": True},
        "legend": {"orientation": "h", "x": 0, "y": -0.02, "yanchor": "top"},
        "dragmode": False,
    }  # fmt: skip


def _lines(
    measured: Measured, rows: np.ndarray, heights: np.ndarray, kinds: np.ndarray,
    scales: Sequence[Scale],
) -> list[dict[str, Any]]:  # fmt: skip
    """One trace a kind: its lines one after the other with gaps between."""
    traces = []
    across = [*range(len(scales)), None]
    for kind, name in enumerate(KINDS):
        those = np.flatnonzero(kinds == kind)
        if not len(those):
            continue
        y, ids, texts = [], [], []
        for line, row in zip(those.tolist(), rows[those].tolist(), strict=True):
            y += [*np.round(heights[line], 4).tolist(), None]
            ids += [(measured.ids[row],)] * len(across)
            texts += [html.escape(measured.text(row))] * len(across)
        trace = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": name,
            "x": across * len(those),
            "y": y,
            "customdata": ids,
            "line": {"color": COLOURS[kind], "width": WIDTHS[kind], "dash": DASHES[kind]},
            "marker": {"color": COLOURS[kind], "size": 4 if kind == 0 else 7},
            "opacity": marks.OPACITY if kind == 0 else 1.0,
        }
        hover = {"hovertext": texts, "hovertemplate": "<b>%{hovertext}</b><extra></extra>"}
        traces.append(trace | (hover if kind else {"hoverinfo": "none"}))
    return traces
