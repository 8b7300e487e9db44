"""Makes a figure's axes logarithmic, with everything on them: names, bounds, limits."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from studio.charts.marks import GRID
from studio.points.view import Axis

FAR = 1e6
"""How many times its value the shade of a bound reaches: beyond any score of a chart."""


def logarithmic(
    figure: dict[str, Any], axes: Sequence[Axis], names: Collection[str]
) -> dict[str, Any]:
    """The figure with the axes of these objectives logarithmic.

    One on which nothing is drawn, or a value of 0 or less, which would leave the chart, stays.

    Args:
        axes: of the figure, in the order of its letters x, y, z.
        names: objectives that are to stand on a logarithmic axis.
    """
    layout = dict(figure["layout"])
    for letter, axis in zip("xyz", axes, strict=False):
        if axis.name not in names or not _positive(figure, letter):
            continue
        place = f"{letter}axis"
        layout["uirevision"] = f"{layout['uirevision']}/log {letter}"
        scale = {"type": "log", "minor": {"showgrid": True, "gridcolor": GRID}}
        if "scene" in layout:
            layout["scene"] = {**layout["scene"], place: {**layout["scene"][place], "type": "log"}}
            continue
        plain = {name: each for name, each in layout[place].items() if name != "autorangeoptions"}
        layout[place] = {**plain, **scale, "autorange": True}
        layout[place].pop("range", None)
        layout["shapes"] = [_shape(each, letter) for each in layout.get("shapes", ())]
        if "annotations" in layout:  # theirs alone are places on the axis itself
            layout["annotations"] = [
                {**each, letter: math.log10(each[letter])} for each in layout["annotations"]
            ]
    return {**figure, "layout": layout}


def _positive(figure: dict[str, Any], letter: str) -> bool:
    values = [
        each for trace in figure["data"] for each in trace.get(letter, ()) if each is not None
    ]
    return bool(values) and min(values) > 0


def _shape(shape: dict[str, Any], letter: str) -> dict[str, Any]:
    """The shade of a bound ends at a positive value."""
    start, end = shape.get(f"{letter}0"), shape.get(f"{letter}1")
    if shape.get(f"{letter}ref") != letter or shape["type"] != "rect" or start is None:
        return shape
    assert end is not None
    return {**shape, f"{letter}1": start * FAR if end > start else start / FAR}
