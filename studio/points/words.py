"""Measured points in words: the line under the chart, the lines beside the sliders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.counted import counted
from engine.recipe import Recipe
from studio.decide.front import names_text
from studio.points.origin import origin_words
from studio.points.view import Axis, Measured

PREDICTED = "Predicted, not measured"
MEASURING = "Being measured"
PREDICTED_LABEL, EXTRAPOLATED = "predicted", "predicted, extrapolated"
PREDICTED_NOTE = (
    "Value and 95 % model band. LOO: share of points in their band when left out of the fit."
)
OUTSIDE = "Outside the points measured: extrapolated. "
PREDICTED_DIGITS = 3
"""After the point."""


def front_words(measured: Measured, over: Sequence[Axis], axes: Sequence[Axis]) -> str:
    """Text: how many points are on the front, and how many the front and the chart leave out.

    Args:
        over: the objectives of the front.
        axes: those that the chart shows.
    """

    def lacking(some: Sequence[Axis]) -> tuple[int, str]:
        """How many points lack a score, and on what any of them does."""
        missing = ~np.isfinite(measured.mean[:, [measured.column(axis.name) for axis in some]])
        what = [axis for axis, any_ in zip(some, missing.any(axis=0), strict=True) if any_]
        return int(missing.any(axis=1).sum()), names_text(what)

    text = (
        f"{int(measured.front_of(over).sum()):,} of {counted(len(measured), 'point')} on the front."
    )
    (aside, what), (missing, shown) = lacking(over), lacking(axes)
    if aside:
        text += f" {aside:,} set aside: not measured on {what}."
    return f"{text} {missing:,} not shown: not measured on {shown}." if missing else text


def readout(
    measured: Measured,
    axes: Sequence[Axis],
    recipe: Recipe,
    predicted: Mapping[str, tuple[float, float, float]] | None = None,
    few: tuple[int, int] | None = None,
    failure: str | None = None,
    numerics: str = "",
    now: bool = False,
    trust: Mapping[str, tuple[float | None, bool]] | None = None,
) -> dict[str, Any]:
    """What stands beside the sliders, and the mark of the current recipe on the chart.

    Args:
        predicted: objective -> (mean, low, high) of the model band, where the surrogate has one.
        few: points there and points needed, where there are too few to predict.
        failure: why the recipe has no score, where it was tried.
        numerics: as scores are keyed; with them a measured point says where it was measured.
        now: whether the recipe is being measured, or waits for it.
        trust: objective -> (leave-one-out calibration, whether the recipe is outside the points).

    Returns:
        {"title", "note", "lines": [[objective, text]], "whole", "recipe", "coefficients",
        "mark"}; the mark is
        {"kind": "measured" | "predicted" | "nearest", "label", "values": {objective: value},
        "bands": {objective: [low, high]}, "coefficients"} or None. A predicted number is always
        called so, and never stands among measured ones.
    """
    found = measured.nearest(recipe)
    answer = {"title": MEASURING if now else "Not measured yet: Evaluate",
              "note": "", "lines": [], "whole": False,
              "recipe": recipe.key, "coefficients": dict(recipe.coefficients),
              "mark": None}  # fmt: skip
    if failure is not None:
        answer |= {"title": "Failed: no score", "note": failure}
    mark = {"bands": {}, "coefficients": dict(recipe.coefficients)}
    if found is not None and found.exact:
        whence = f". {origin_words(measured, found.row, numerics)}" if numerics else ""
        whole = measured.complete(found.row)
        partly = MEASURING if now else "Measured in part: Evaluate"
        return answer | {
            "title": "Measured" if whole else partly,
            "note": f"Point {measured.ids[found.row]}{whence}",
            "lines": _lines(measured, axes, found.row),
            "whole": whole,
            "mark": mark | _mark_of(measured, axes, recipe, found.row, predicted or {}, now),
        }
    if failure is not None:
        return answer
    if predicted:
        trust = trust or {}
        outside = any(each for _, each in trust.values())
        lines = [
            [axis.label, _predicted_text(predicted[axis.name], trust.get(axis.name, (None,))[0])]
            if axis.name in predicted
            else [axis.label, "not predicted"]
            for axis in axes
        ]
        return answer | {
            "title": PREDICTED,
            "note": f"{OUTSIDE}{PREDICTED_NOTE}" if outside else PREDICTED_NOTE,
            "lines": lines,
            "mark": mark
            | {
                "kind": "predicted",
                "label": EXTRAPOLATED if outside else PREDICTED_LABEL,
                "values": {name: each[0] for name, each in predicted.items()},
                "bands": {name: list(each[1:]) for name, each in predicted.items()},
            },
        }
    note = "Too few points to predict: {} of {}. ".format(*few) if few else ""
    if found is None:
        return answer | {"note": note}
    label = f"nearest measured, {found.distance:.2f} away"
    return answer | {
        "note": f"{note}{label.capitalize()}: {measured.text(found.row)}",
        "lines": _lines(measured, axes, found.row),
        "mark": mark
        | {"kind": "nearest", "label": label, "values": _values(measured, axes, found.row)},
    }


def _mark_of(
    measured: Measured,
    axes: Sequence[Axis],
    recipe: Recipe,
    row: int,
    predicted: Mapping[str, tuple[float, float, float]],
    now: bool,
) -> dict[str, Any]:
    """Where a measured recipe stands; while it is measured, what is still missing is what is
    predicted, or else it stands where the nearest whole point does."""
    values = _values(measured, axes, row)
    if now and len(values) < len(axes):
        filled = {name: each for name, each in predicted.items() if name not in values}
        if filled:
            return {
                "kind": "predicted",
                "label": PREDICTED_LABEL,
                "values": values | {name: each[0] for name, each in filled.items()},
                "bands": {name: list(each[1:]) for name, each in filled.items()},
            }
        near = measured.nearest(recipe, whole=True)
        if near is not None:
            label = f"nearest measured, {near.distance:.2f} away"
            return {
                "kind": "nearest", "label": label, "values": _values(measured, axes, near.row)
            }  # fmt: skip
    return {"kind": "measured", "label": "this recipe", "values": values}


def caught_text(calibration: float | None) -> str:
    """After a band: how many points it catches that it was fitted without."""
    return "" if calibration is None else f" (LOO {100 * calibration:.0f} %)"


def _predicted_text(numbers: Sequence[float], calibration: float | None) -> str:
    """Value and band, as the browser writes them too while a slider moves."""
    mean, low, high = (f"{each:.{PREDICTED_DIGITS}f}" for each in numbers)
    return f"{mean}, {low} … {high}{caught_text(calibration)}"


def _lines(measured: Measured, axes: Sequence[Axis], row: int) -> list[list[str]]:
    return [[axis.label, measured.score_text(row, axis.name)] for axis in axes]


def _values(measured: Measured, axes: Sequence[Axis], row: int) -> dict[str, float]:
    values = {axis.name: float(measured.mean[row, measured.column(axis.name)]) for axis in axes}
    return {name: value for name, value in values.items() if np.isfinite(value)}
