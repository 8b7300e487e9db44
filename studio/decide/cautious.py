"""A cautious pick: every score is taken to be worse by some of its standard errors. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.front.noise import errors
from engine.front.preference import Range
from engine.study import Objective
from studio.decide.front import front_over
from studio.decide.results import kind_of
from studio.points.view import Axis, Measured, axes_of
from studio.shared import once

CHOICES = {0.0: "mean", 1.0: "1 ± worse", 2.0: "2 ± worse"}
"""Standard errors -> how scores are judged, in words."""


def cautious(measured: Measured, objectives: Sequence[Objective], z: float) -> Measured:
    """The same points, each mean worse by z of its standard errors, made once; without an error a
    point has no such score."""
    if not z:
        return measured

    def make() -> Measured:
        kinds = [kind_of(each) for each in objectives]
        sign = np.array([-1.0 if axis.maximize else 1.0 for axis in axes_of(objectives)])
        error = errors(kinds, measured.mean, measured.stderr, measured.n)
        return replace(measured, mean=measured.mean + sign * z * error)

    found: Measured = once(measured, ("cautious", z), make)
    return found


def ranges_of_means(
    measured: Measured, axes: Sequence[Axis], frozen: dict[str, Range] | None
) -> dict[str, Range]:
    """What a preference's terms are scaled by, however cautious the pick is: frozen ranges, else
    those of the front of the means."""
    return dict(front_over(measured, axes).ranges) if frozen is None else frozen
