"""The model that an export writes, in words."""

from __future__ import annotations

import numpy as np

from engine.recipe import Names, Recipe, resolve
from studio.export.model import Model, model_of
from studio.points.view import Measured

NAMES = Names(("helpful", "terse"))
LONG = "a" * 60
MIXED = resolve(Recipe("pcb", {"helpful": 1.0, "terse": 0.25}, {"ratio": 0.3}), NAMES)


def test_a_mixture_says_method_coefficients_parameters_and_point() -> None:
    found = Model(MIXED, "0123456789ab")
    assert found.title == "pcb"
    assert found.lines == ["helpful 1, terse 0.25", "ratio 0.3", "Point 0123456789ab"]


def test_a_name_comes_first_and_the_method_is_said_all_the_same() -> None:
    found = Model(MIXED, "0123456789ab", "the good one")
    assert found.title == "the good one"
    assert found.lines[0] == "pcb: helpful 1, terse 0.25"


def test_nothing_of_a_long_name_is_cut() -> None:
    names = Names((LONG,))
    model = Model(resolve(Recipe("single", {}, {"model": LONG}), names), "0")
    assert model.title == LONG
    assert Model(resolve(Recipe("pcb", {LONG: 1.0}), names)).lines[0] == f"{LONG} 1"


def test_a_recipe_is_a_point_only_where_that_very_recipe_is_measured() -> None:
    blank = np.full((1, 1), np.nan)
    mean = np.array([[0.5]])
    measured = Measured(("facts",), ("p",), (MIXED,), mean, blank, np.ones((1, 1), int), {})
    assert model_of(measured, MIXED).point == "p"
    near = resolve(Recipe("pcb", {"helpful": 0.99, "terse": 0.25}, {"ratio": 0.3}), NAMES)
    assert model_of(measured, near).point is None
    assert model_of(measured, near).lines[-1] == "Not measured yet"
