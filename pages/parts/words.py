"""Measured points in words: the table, the line under the chart, the lines beside the sliders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.recipe import Recipe
from pages.parts.view import Axis, Measured, number


def rows(measured: Measured, axes: Sequence[Axis], front: np.ndarray) -> list[dict[str, Any]]:
    """The table under the chart: front members first, then in the order measured."""
    scores = {}
    for axis in axes:
        column = measured.column(axis.name)
        pairs = zip(
            measured.mean[:, column].tolist(), measured.stderr[:, column].tolist(), strict=True
        )
        scores[axis.label] = [number(*pair) for pair in pairs]
    return [
        {
            "front": bool(front[row]),
            "recipe": measured.texts[row],
            **{label: texts[row] for label, texts in scores.items()},
            "point": measured.ids[row],
        }
        for row in np.argsort(~front, kind="stable").tolist()
    ]


def front_words(measured: Measured, axes: Sequence[Axis], front: np.ndarray) -> str:
    """How many points are on the front, and how many the chart cannot show."""
    over = ", ".join(axis.label for axis in axes)
    text = f"{int(front.sum())} of {len(measured)} points on the front over {over}."
    columns = [measured.column(axis.name) for axis in axes]
    missing = int((~np.isfinite(measured.mean[:, columns])).any(axis=1).sum())
    return f"{text} {missing} not shown: a score is missing." if missing else text


def readout(measured: Measured, axes: Sequence[Axis], recipe: Recipe) -> dict[str, Any]:
    """What stands beside the sliders and where the ring goes.

    Returns:
        {"title", "note", "lines": [[objective, text]], "values": {objective: mean} or None,
        "exact", "whole", "label"}; only measured numbers, never an estimate for the recipe in hand.
    """
    found = measured.nearest(recipe)
    if found is None:
        return {
            "title": "Not measured yet: Evaluate",
            "note": "",
            "lines": [],
            "values": None,
            "exact": False,
            "whole": False,
            "label": "",
        }
    mean, stderr = measured.mean[found.row], measured.stderr[found.row]
    lines, values = [], {}
    for axis in axes:
        column = measured.column(axis.name)
        lines.append([axis.label, number(mean[column], stderr[column])])
        if np.isfinite(mean[column]):
            values[axis.name] = float(mean[column])
    whole = found.exact and measured.complete(found.row)
    if found.exact:
        title = "Measured" if whole else "Measured in part: Evaluate"
        note, label = f"Point {measured.ids[found.row]}", "this recipe"
    else:
        title = "Not measured yet: Evaluate"
        label = f"nearest measured, {found.distance:.2f} away"
        note = f"{label.capitalize()}: {measured.texts[found.row]}"
    return {
        "title": title,
        "note": note,
        "lines": lines,
        "values": values,
        "exact": found.exact,
        "whole": whole,
        "label": label,
    }
