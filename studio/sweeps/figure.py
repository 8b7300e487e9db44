"""How much the front gained with each evaluation: the hypervolume over the points, in the order in
which they were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.front.pareto import front_mask, hypervolume
from studio.decide.front import frozen
from studio.points.view import Axis, Measured

CHECKPOINTS = 200
"""Hypervolumes computed at most: a line of 200 places shows what one of 10,000 does."""

MEMBERS = {6: 300, 7: 100, 8: 50}
"""Objectives -> members of a front up to which its exact hypervolume takes some 50 ms; in fewer
objectives any front does, in more none."""

FEW = 30
"""Hypervolumes computed at most where one takes long."""

HEIGHT = 250
LINE = "--st-primary-color"
TEXT = "--st-text-color"
GRID = "--st-border-color-light"


@dataclass(frozen=True)
class Curve:
    """Hypervolume after so many evaluations.

    Attributes:
        counts, volumes: the checkpoints; the last is the latest evaluation.
        values: float64 [evaluations, objectives], in the order measured.
        front: float64 [k, objectives]: what is non-dominated at the last checkpoint.
        reference: float64 [objectives].
    """

    counts: tuple[int, ...] = ()
    volumes: tuple[float, ...] = ()
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    front: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    reference: np.ndarray = field(default_factory=lambda: np.empty(0))

    def begins(self, values: np.ndarray, reference: np.ndarray) -> bool:
        """Whether these evaluations are the curve's own and perhaps some after them."""
        count = len(self.values)
        return (
            self.values.shape[1:] == values.shape[1:]
            and 0 < count <= len(values)
            and np.array_equal(self.reference, reference)
            and np.array_equal(self.values, values[:count])
        )


def curve(
    values: np.ndarray, maximize: Sequence[bool], reference: np.ndarray, kept: Curve | None = None
) -> Curve:
    """The hypervolume after each evaluation, or after every 2nd, 4th, … where there are many.

    Only the front so far and the evaluations since are looked at for each checkpoint.

    Args:
        values: float64 [evaluations, objectives], finite, in the order measured.
        reference: float64 [objectives].
        kept: an earlier curve; what it has of these evaluations is not computed again.
    """
    if kept is None or not kept.begins(values, reference):
        kept = Curve(front=values[:0])
    count, step = len(values), 1
    most = FEW if values.shape[1] in MEMBERS else CHECKPOINTS
    while count > most * step:
        step *= 2
    wanted = [*range(step, count + 1, step), *([count] if count % step else [])]
    known = dict(zip(kept.counts, kept.volumes, strict=True))
    front, start = kept.front, len(kept.values)
    for at in wanted:
        if at in known:
            continue
        front = np.concatenate([front, values[start:at]])
        front, start = front[front_mask(front, maximize)], at
        known[at] = hypervolume(front, maximize, reference)
    return Curve(
        tuple(wanted), tuple(known[at] for at in wanted), values, front, np.asarray(reference)
    )


def too_many(members: int, objectives: int) -> bool:
    """Whether the hypervolume of such a front takes too long to wait for."""
    return objectives > 5 and members > MEMBERS.get(objectives, 0)


def reference_of(measured: Measured, axes: Sequence[Axis], models: int) -> np.ndarray | None:
    """The worst score of the unmerged models, moved out by 10 % of their range, float64 [axes].

    None until each of the `models` is measured on these axes: a reference must not move later.
    """
    ranges = frozen(measured, axes, models)
    return None if ranges is None else np.array([ranges[axis.name].reference for axis in axes])


def evaluations(measured: Measured, axes: Sequence[Axis]) -> np.ndarray:
    """float64 [points, axes]: those with a score on every axis, in the order measured."""
    values = measured.mean[:, [measured.column(axis.name) for axis in axes]]
    return np.asarray(values[np.isfinite(values).all(axis=1)])


def hypervolume_figure(found: Curve) -> dict[str, Any]:
    """The curve as a plotly figure: a stair, because between two evaluations nothing is gained."""
    axis = {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "tickfont": {"size": 11},
        "automargin": True,
    }
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines" if len(found.counts) > 1 else "markers",
                "x": list(found.counts),
                "y": [float(f"{volume:.6g}") for volume in found.volumes],
                "line": {"color": LINE, "width": 2, "shape": "hv"},
                "marker": {"color": LINE, "size": 8},
                "hovertemplate": "hypervolume %{y:.4g}<br>points measured %{x}<extra></extra>",
                "showlegend": False,
            }
        ],
        "layout": {
            "height": HEIGHT,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "--st-font", "color": TEXT, "size": 13},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GRID, "activecolor": TEXT},
            "hovermode": "x",
            "uirevision": "hypervolume",
            "xaxis": {**axis, "title": {"text": "points measured", "font": {"size": 12}}},
            "yaxis": {
                **axis,
                "title": {"text": "hypervolume ↑", "font": {"size": 12}},
                "rangemode": "tozero",
            },
        },
    }
