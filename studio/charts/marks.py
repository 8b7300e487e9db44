"""Shared parts of the figures: colours, marks with errors and hover text, axes, layout.

A colour is written as the name of a Streamlit CSS variable ("--st-text-color"); the chart component
puts in what the current theme says, so light and dark need no second figure. Blue and orange stay
apart for every kind of colour blindness; grey, blue and orange differ in shape, size or outline
too. Every trace a user can click carries the point's id first in `customdata`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.recipe import METHODS, Recipe
from engine.scoring.registry import SHARE
from studio.points.numbers import how_sure
from studio.points.origin import WORDS, origins
from studio.points.recipes import recipe_text
from studio.points.view import Axis, Measured

MEASURED = "--st-gray-color"
FRONT = "--st-primary-color"
SINGLE = "--st-orange-color"
TEXT = "--st-text-color"
BACKGROUND = "--st-background-color"
GRID = "--st-border-color-light"
EDGE = "--st-border-color"
FONT = "--st-font"
CLEAR = "rgba(0,0,0,0)"

OPACITY = 0.8
"""Of the cloud: a single mark still stands 3 : 1 against the background of both themes."""

FEW = 3
"""Points below which an axis that fits them would show nothing but noise."""


def mark_of(method: str) -> str:
    """The symbol of a method's points; a circle where a newer version's points are read."""
    found = METHODS.get(method)
    return found.mark if found is not None and found.mark else "circle"


DEEP = ("circle", "cross", "x", "circle-open", "square-open", "diamond-open")
"""The symbols that a scene has for methods; its full squares and diamonds are models."""


DEEP_BARS = 2.5
"""Thickness of error bars in a scene, where one of 1 is lost."""


def deep_marks(measured: Measured) -> dict[str, str]:
    """Method -> its symbol in a scene: its own where a scene has that, else one that is free.

    There are six; the seventh method shares the first one's.
    """
    there = {each.method for each in measured.recipes if each.unmerged is None}
    names = [*(name for name in METHODS if name in there), *sorted(there - set(METHODS))]
    found = {name: mark_of(name) for name in names if name in METHODS and mark_of(name) in DEEP}
    free = [each for each in DEEP if each not in found.values()] or list(DEEP)
    rest = [name for name in names if name not in found]
    return found | {name: free[place % len(free)] for place, name in enumerate(rest)}


def shortened(text: str, most: int) -> str:
    """Text of at most so many letters: what is cut is in the middle, where names differ least."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2 + (most - 1) % 2
    return f"{text[:head].rstrip()}…{text[len(text) - (most - 1 - head) :].lstrip()}"


def rounded(values: np.ndarray) -> list[float]:
    """Six digits below the largest value, at least six decimals: below any pixel, fewer bytes."""
    top = np.abs(values).max(initial=0.0)
    decimals = 6 - min(0, math.floor(math.log10(top))) if top else 6
    return np.round(values, min(decimals, 300)).tolist()


def by_interval(measured: Measured, rows: np.ndarray, column: int) -> np.ndarray:
    """bool [rows]: proportions without a standard error above 0, known by their interval."""
    known = np.isfinite(measured.low[rows, column] + measured.high[rows, column])
    return known & ~(measured.stderr[rows, column] > 0)


def bars(measured: Measured, rows: np.ndarray, column: int, colour: str) -> dict[str, Any]:
    """Error bars: one standard error; the interval where a proportion has none above 0."""
    up = np.nan_to_num(measured.stderr[rows, column])
    found: dict[str, Any] = {"type": "data", "thickness": 1, "width": 0, "color": colour}
    whole = by_interval(measured, rows, column)
    if whole.any():
        mean = measured.mean[rows, column]
        down = np.where(whole, mean - measured.low[rows, column], up)
        up = np.where(whole, measured.high[rows, column] - mean, up)
        found |= {"symmetric": False, "arrayminus": rounded(np.maximum(down, 0.0))}
    return found | {"array": rounded(np.maximum(up, 0.0))}


def error_texts(measured: Measured, rows: np.ndarray, column: int) -> list[str]:
    """What follows a mean in the hover text, as in `view.number`."""
    columns = (measured.stderr, measured.low, measured.high)
    known = zip(*(each[rows, column].tolist() for each in columns), strict=True)
    return [how_sure(*each) for each in known]


def _hover(recipe: Recipe) -> str:
    """A recipe for a hover text; kept on it as `recipe_text` is: 10,000 take 30 ms."""
    kept = vars(recipe)
    if "hover" not in kept:
        kept["hover"] = html.escape(recipe_text(recipe))
    return str(kept["hover"])


def points(
    measured: Measured,
    rows: np.ndarray,
    axes: Sequence[Axis],
    *,
    name: str,
    colour: str,
    kind: str,
    with_bars: bool,
    **extra: Any,
) -> dict[str, Any]:
    """A trace of points with recipe, scores and errors on hover and the id for a click.

    Args:
        rows: int [k], every one with a score on each axis.
    """
    columns = [measured.column(axis.name) for axis in axes]
    errors = [error_texts(measured, rows, column) for column in columns]
    lines = [
        f"{html.escape(axis.label)} %{{{letter}:.3f}}%{{customdata[{place}]}}"
        for place, (letter, axis) in enumerate(zip("xyz", axes, strict=False), 1)
    ]
    listed = rows.tolist()
    known: list[Any] = [[measured.ids[row] for row in listed], *errors]
    where = [WORDS[each] for each in origins(measured, rows).tolist()]
    if len(set(where)) > 1:
        known.append(where)
        lines.append(f"%{{customdata[{len(known) - 1}]}}")
    else:
        lines += where[:1]
    trace: dict[str, Any] = {
        "type": kind,
        "mode": "markers",
        "name": name,
        "customdata": list(zip(*known, strict=True)),
        "hovertext": [_hover(measured.recipes[row]) for row in listed]
        if not measured.called
        else [html.escape(measured.text(row)) for row in listed],
    }
    lines.append("point %{customdata[0]}")  # <extra> hides the trace's name
    trace["hovertemplate"] = f"<b>%{{hovertext}}</b><br>{'<br>'.join(lines)}<extra></extra>"
    for letter, column in zip("xyz", columns, strict=False):
        trace[letter] = rounded(measured.mean[rows, column])
        if with_bars:
            trace[f"error_{letter}"] = bars(measured, rows, column, colour)
            if kind == "scatter3d":
                trace[f"error_{letter}"]["thickness"] = DEEP_BARS
    return trace | extra


def flat_axis(axis: Axis, count: int) -> dict[str, Any]:
    """An axis that fits its points; a share of examples shows all of 0 … 1 while there are few."""
    whole = count < FEW and axis.unit == SHARE
    limits: dict[str, Any] = {"range": [-0.03, 1.03]} if whole else {"autorange": True}
    return limits | titled(_brief(axis).title) | {"zeroline": False}


def _brief(axis: Axis) -> Axis:
    """The axis with a name that fits beside a chart of 400 pixels."""
    return replace(axis, name=shortened(axis.name, 28))


def titled(title: str) -> dict[str, Any]:
    """How a flat axis looks."""
    return {
        "title": {"text": html.escape(title), "standoff": 6, "font": {"size": 13}},
        "gridcolor": GRID,
        "linecolor": GRID,
        "tickfont": {"size": 11},
        "automargin": True,
    }


def deep_axis(title: str) -> dict[str, Any]:
    """An axis of a 3-D scene: no transparent colours, WebGL draws them opaque."""
    return {
        "title": {"text": html.escape(title), "font": {"size": 13}},
        "gridcolor": EDGE,
        "linecolor": EDGE,
        "zeroline": False,
        "tickfont": {"size": 11},
        "backgroundcolor": CLEAR,
    }


def frame(revision: str, meta: dict[str, Any], deep: bool = False) -> dict[str, Any]:
    """The layout around any chart; as high as the window leaves it (chart.css).

    Args:
        revision: zoom and camera are kept while it stays the same.
        meta: names of what the axes show, so that the marks over the chart find their place.
    """
    return {
        "margin": {"l": 8, "r": 8, "t": 30, "b": 8},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "color": TEXT, "size": 13},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": CLEAR, "color": MEASURED, "activecolor": TEXT},
        "hovermode": "closest",
        "dragmode": "orbit" if deep else "zoom",
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "uirevision": revision,
        "meta": meta,
    }
