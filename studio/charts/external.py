"""External points on the trade-off: a mark of their own with a name, nothing to click.

They carry no id in `customdata`, so that no click, colour, file or slider takes them for points.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from engine.front.bounds import Bounds
from studio.charts import marks
from studio.charts.marks import TEXT
from studio.external.points import WORD, External, values_of, within
from studio.points.numbers import how_sure
from studio.points.view import Axis

MARKS = {WORD: ("x", "x"), "reference": ("hourglass", "diamond-open")}
"""Origin -> its symbol, and that in a scene; no method has them (engine.method), and no unmerged
model."""

NAMES = {WORD: "external", "reference": "references"}
"""Origin -> what the legend calls its points."""


def with_external(
    figure: dict[str, Any],
    externals: Sequence[External],
    axes: Sequence[Axis],
    bounds: Bounds | None = None,
) -> dict[str, Any]:
    """The figure with the external points that have a score on each of its axes.

    Args:
        axes: of the figure, in the order of its letters.
        bounds: those that do not meet them are not shown.
    """
    names = [axis.name for axis in axes]
    shown = [
        each
        for each in within(externals, bounds or {})
        if all(name in each.scores for name in names)
    ]
    for origin, (mark, in_depth) in MARKS.items():
        own = [each for each in shown if each.origin == origin]
        if own:
            figure = _with(figure, own, axes, origin, in_depth if len(axes) == 3 else mark)
    return figure


def _with(
    figure: dict[str, Any],
    shown: Sequence[External],
    axes: Sequence[Axis],
    origin: str,
    mark: str,
) -> dict[str, Any]:
    """The figure with those of one origin, each with a score on each axis."""
    names, deep = [axis.name for axis in axes], len(axes) == 3
    trace: dict[str, Any] = {
        "type": next((each["type"] for each in figure["data"]), "scatter"),
        "mode": "markers+text",
        "name": NAMES[origin],
        "text": [html.escape(each.name) for each in shown],
        "textposition": "top center",
        "textfont": {"color": TEXT, "size": 12},
        "hovertext": [_hover(each, axes) for each in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {"color": TEXT, "size": 5 if deep else 10, "symbol": mark},
    }
    for letter, column, name in zip("xyz", values_of(shown, names).T, names, strict=False):
        trace[letter] = marks.rounded(column)
        trace[f"error_{letter}"] = _bars(shown, name) | ({"thickness": 2.5} if deep else {})
    if not deep:
        trace["cliponaxis"] = False
    return {**figure, "data": [*figure["data"], trace]}


def _bars(externals: Sequence[External], name: str) -> dict[str, Any]:
    """One standard error; the interval where a proportion has none above 0."""
    up, down = [], []
    for each in externals:
        score = each.scores[name].document()
        error, low, high = score["stderr"] or 0.0, score["low"], score["high"]
        whole = not error and low is not None and high is not None
        up.append(max(0.0, high - score["mean"]) if whole else error)
        down.append(max(0.0, score["mean"] - low) if whole else error)
    return {
        "type": "data", "thickness": 1, "width": 0, "color": TEXT, "symmetric": False,
        "array": up, "arrayminus": down,
    }  # fmt: skip


def _hover(external: External, axes: Sequence[Axis]) -> str:
    lines = [f"<b>{html.escape(external.name)}</b>"]
    for axis in axes:
        score = external.scores[axis.name].document()
        sure = how_sure(score["stderr"], score["low"], score["high"]) or " (no error given)"
        lines.append(f"{html.escape(axis.label)} {score['mean']:.3f}{sure}")
    forms = dict.fromkeys(each.form for each in external.scores.values())
    said = f"external, from {html.escape(', '.join(forms))}"
    return "<br>".join([*lines, said if external.origin == WORD else external.origin])
