"""Parallel coordinates: up is better, bounds shown, one line a point, axes in the order asked."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import engine  # noqa: F401
from engine.recipe import Recipe
from engine.scoring.registry import SHARE
from studio.charts.parallel import KINDS, arranged, chosen_anew, coefficients_of, parallel
from studio.points.view import Axis, Measured

FACTS, LOSS = Axis("facts", True, SHARE), Axis("loss", False)
AXES = (FACTS, LOSS)


def measured(mean: list[list[float]], recipes: list[Recipe] | None = None) -> Measured:
    values = np.array(mean, dtype=float).reshape(-1, 2)
    if recipes is None:
        recipes = [Recipe("pcb", {"a": 0.01 * k}) for k in range(len(values))]
    ids = tuple(f"{row:012x}" for row in range(len(values)))
    stderr, n = np.full_like(values, 0.02), np.full(values.shape, 30)
    return Measured(("facts", "loss"), ids, tuple(recipes), values, stderr, n)


POINTS = measured(
    [[0.2, 2.0], [0.6, 2.5], [0.4, 3.0], [0.9, np.nan]],
    [
        Recipe("single", {}, {"model": "base"}),
        Recipe("pcb", {"a": 1.0}),
        Recipe("pcb", {"a": 0.5}),
        Recipe("pcb", {"a": 0.7}),
    ],
)
FRONT = np.array([False, True, False, False])


def drawn(points: Measured, front: np.ndarray = FRONT, **extra: Any) -> dict[str, Any]:
    figure = parallel(points, AXES, front, **extra)
    json.dumps(figure, allow_nan=False)
    return figure


def ends(figure: dict[str, Any]) -> list[tuple[float, float]]:
    """The values at the bottom and the top of each axis."""
    return [(each["bottom"], each["top"]) for each in figure["axes"]]


def test_up_is_better_on_every_objective() -> None:
    figure = drawn(POINTS)
    assert ends(figure) == [(0.2, 0.6), (3.0, 2.0)]
    assert [each["label"] for each in figure["axes"]] == ["facts ↑", "loss ↓"]
    assert [each["values"] for each in figure["axes"]] == [[0.2, 0.6, 0.4], [2.0, 2.5, 3.0]]


def test_a_line_knows_its_point_its_recipe_its_scores_and_its_kind() -> None:
    figure = drawn(POINTS)
    assert figure["ids"] == list(POINTS.ids[:3])
    assert [KINDS[each] for each in figure["kinds"]] == ["unmerged model", "front", "measured"]
    assert figure["texts"][1] == POINTS.text(1)
    assert figure["scores"]["facts"][1] == "0.600 ± 0.020"
    assert figure["missing"] == 1
    front_model = drawn(POINTS, np.array([True, False, False, False]))
    assert KINDS[front_model["kinds"][0]] == "front"


def test_bounds_are_within_their_axes_and_marked_on_them() -> None:
    figure = drawn(POINTS, bounds={"loss": (None, 3.2), "facts": (0.1, 0.5)})
    assert ends(figure) == [(0.1, 0.6), (3.2, 2.0)]
    assert [each["bound"] for each in figure["axes"]] == [[0.1, 0.5], [None, 3.2]]


def test_a_range_has_the_steps_that_the_slider_of_its_bound_has() -> None:
    assert [each["step"] for each in drawn(POINTS, coefficients=["a"])["axes"]] == [
        0.01,
        0.005,
        0.01,
    ]
    wide = measured([[0.1, 20.0], [0.2, 4000.0]])
    assert drawn(wide, np.zeros(2, dtype=bool))["axes"][1]["step"] == 50


def test_coefficients_are_further_axes_for_the_points_that_have_them() -> None:
    figure = drawn(POINTS, coefficients=["a"])
    last = figure["axes"][2]
    assert (last["name"], last["label"]) == ("c:a", "coefficient of a")
    assert (last["bottom"], last["top"], last["values"]) == (0.5, 1.0, [1.0, 0.5])
    assert figure["missing"] == 2 and "c:a" not in figure["scores"]


def test_the_dominated_can_be_hidden_and_are_not_called_missing() -> None:
    figure = drawn(POINTS, hide_dominated=True)
    assert figure["ids"] == [POINTS.ids[0], POINTS.ids[1]] and figure["missing"] == 1


def test_no_points_and_equal_points_can_be_drawn() -> None:
    assert drawn(measured([]), np.zeros(0, dtype=bool))["ids"] == []
    same = drawn(measured([[0.5, 1.0]] * 3), np.zeros(3, dtype=bool))
    assert ends(same) == [(0.0, 1.0), (1.5, 0.5)]
    none = drawn(measured([]), np.zeros(0, dtype=bool), bounds={"facts": (0.9, None)})
    assert ends(none)[0] == (0.4, 1.4)


def test_axes_stand_in_the_order_asked_and_nonsense_is_ignored() -> None:
    objectives = ("facts", "loss", "cost")
    assert arranged((), objectives) == ["facts", "loss", "cost"]
    assert arranged(["cost", "none", "facts", "cost"], objectives) == ["cost", "facts"]
    assert arranged(["none", "c:b"], objectives) == ["facts", "loss", "cost"]
    mixed = ["loss", "c:b", "facts"]
    assert arranged(mixed, objectives, ["a", "b"]) == ["loss", "c:b", "facts", "c:a"]
    assert arranged(["c:b"], objectives, ["a", "b"]) == ["facts", "loss", "cost", "c:b", "c:a"]
    assert coefficients_of(["loss", "c:b", "facts", "c:a"]) == ["b", "a"]


def test_other_objectives_are_chosen_without_moving_the_coefficients() -> None:
    before = ["loss", "c:b", "facts", "c:a"]
    assert chosen_anew(before, ["loss", "facts"]) == before
    assert chosen_anew(before, ["facts"]) == ["c:b", "facts", "c:a"]
    assert chosen_anew(before, ["loss", "facts", "cost"]) == [*before, "cost"]
    assert chosen_anew(before, ["facts", "loss"]) == ["facts", "c:b", "loss", "c:a"]
    assert chosen_anew(before, []) == ["c:b", "c:a"]
