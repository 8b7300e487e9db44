"""Curve: one objective along one coefficient of the current recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from engine.recipe import find_method
from engine.search.surrogate import TooFew
from pages.panels.explore import showing
from studio.charts import curve
from studio.points import filling, predicting
from studio.points.view import Axis, Measured
from studio.workbench import Workbench
from ui import recipe as controls
from ui.choices import choose


def panel(
    bench: Workbench, measured: Measured, axes: Sequence[Axis], best: np.ndarray
) -> tuple[tuple[Any, ...], Any] | None:
    """Choices of the curve; what it depends on and a function that makes its figure. None, with
    words, where the current recipe has no coefficient.

    Args:
        measured: the points to show.
        best: bool [points], those on the front.
    """
    recipe = controls.in_hand(bench.names)
    names = list(recipe.coefficients) if recipe is not None else []
    if recipe is None or not names:
        st.text("A curve needs a method with a coefficient: choose one on the right.")
        return None
    method = find_method(recipe.method)
    labels = {axis.name: axis.label for axis in axes}
    first, second, third = st.columns(3)
    objective = choose(
        first, "Objective", "objective", list(labels), axes[0].name, labels.__getitem__
    )
    across = choose(second, "Along", "across", names, names[-1])
    colour = showing.choose_colour(third, measured, axes)
    every = bench.measured()
    found = predicting.surfaces(every, bench.objectives, recipe, bench.names)[objective]
    surrogate = None if isinstance(found, TooFew) else found
    few = ""
    if isinstance(found, TooFew):
        few = f"Too few points of this method to predict from: {found.have} of {found.need}."
    fixed = {name: value for name, value in recipe.coefficients.items() if name != across}
    axis = next(each for each in axes if each.name == objective)
    limits = controls.span(*bench.study.slider_range(method, across), recipe.coefficients[across])
    optimum = filling.best_of(bench, measured, recipe).get(objective)
    key = (objective, limits, across, recipe.method, tuple(recipe.parameters.items()),
           tuple(fixed.items()), colour, showing.on_log([axis]), optimum)  # fmt: skip

    def make() -> dict[str, Any]:
        rows, places = predicting.on_surface(measured, recipe, bench.names)
        figure = curve.curve(
            measured, axis, surrogate, names, across, fixed, limits, rows, places, best,
            simplex=predicting.sums_of(recipe) == 1, few=few,
            optimum=optimum,
        )  # fmt: skip
        chosen = [Axis(across, True), axis]
        return showing.finished(figure, measured, axes, chosen, colour)

    return key, make
