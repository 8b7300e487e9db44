"""Parallel coordinates: up is better, bounds shown, one line a point."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from studio.charts.parallel import LINES, folded, parallel
from studio.points.view import Axis, Measured

FACTS, LOSS = Axis("facts", True), Axis("loss", False)
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
        Recipe("single", {}, {"model": "a<b"}),
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


def by_name(figure: dict[str, Any]) -> dict[str, Any]:
    return {trace["name"]: trace for trace in figure["data"]}


def ends(figure: dict[str, Any]) -> list[str]:
    """What is written at the bottom and the top of each axis."""
    return [each["text"] for each in figure["layout"]["annotations"]]


def test_up_is_better_on_every_objective_and_said() -> None:
    figure = drawn(POINTS)
    layout = figure["layout"]
    assert ends(figure) == ["0.2", "0.6", "3", "2"]
    assert layout["xaxis"]["ticktext"] == ["facts ↑", "loss ↓"]
    assert layout["title"]["text"].startswith("Up is better on every objective.")
    assert "1 not shown" in layout["title"]["text"]
    assert layout["meta"] == {"dimensions": ["facts", "loss"]}


def test_bounds_are_marked_on_their_axes() -> None:
    figure = drawn(POINTS, bounds={"loss": (None, 2.9), "facts": (0.1, 0.8)})
    assert ends(figure) == ["0.1", "0.8", "3", "2"]
    thick = [each for each in figure["layout"]["shapes"] if each["line"]["width"] > 1]
    assert [(each["x0"], each["y0"], each["y1"]) for each in thick] == [
        (0, 0.0, 1.0),
        (1, 1.0, pytest.approx(0.1)),
    ]


def test_coefficients_are_further_axes_for_the_points_that_have_them() -> None:
    figure = drawn(POINTS, coefficients=["a"])
    assert figure["layout"]["xaxis"]["ticktext"][2] == "coefficient of a"
    assert ends(figure)[4:] == ["0.5", "1"]
    assert "2 not shown" in figure["layout"]["title"]["text"]


def test_lines_have_gaps_between_ids_and_names_and_the_selected_is_last_and_thickest() -> None:
    figure = drawn(POINTS, pick=POINTS.ids[2])
    model, front, selected = figure["data"]
    assert {trace["type"] for trace in figure["data"]} == {"scatter"}
    assert list(by_name(figure)) == ["unmerged models", "front", "selected"]
    assert front["x"] == [0, 1, None] and front["y"] == [1.0, 0.5, None]
    assert front["customdata"] == [(POINTS.ids[1],)] * 3
    assert model["hovertext"] == ["a&lt;b"] * 3 and model["line"]["dash"] != front["line"]["dash"]
    assert selected["line"]["width"] > front["line"]["width"]
    assert all(trace["line"]["color"].startswith("--st-") for trace in figure["data"])


def test_too_many_lines_are_thinned_without_losing_the_front() -> None:
    random = np.random.default_rng(0)
    many = measured(random.uniform(0, 1, (LINES + 2000, 2)).tolist())
    front = many.front_of(AXES)
    figure = drawn(many, front)
    assert len(by_name(figure)["front"]["y"]) == 3 * front.sum()
    count = sum(len(trace["y"]) for trace in figure["data"]) // 3
    assert LINES <= count <= LINES + front.sum()
    assert f"{count:,} of {LINES + 2000:,} lines drawn." in figure["layout"]["title"]["text"]


def test_no_points_and_equal_points_can_be_drawn() -> None:
    assert drawn(measured([]), np.zeros(0, dtype=bool))["data"] == []
    assert len(drawn(measured([[0.5, 1.0]] * 3), np.zeros(3, dtype=bool))["data"]) == 1
    drawn(measured([]), np.zeros(0, dtype=bool), bounds={"facts": (0.9, None)})


def test_names_are_escaped() -> None:
    axes = (Axis("<i>", True), LOSS)
    points = Measured(("<i>", "loss"), POINTS.ids, POINTS.recipes, POINTS.mean, POINTS.stderr)
    figure = parallel(points, axes, FRONT)
    figure["layout"].pop("meta"), figure["layout"].pop("uirevision")  # keys, never drawn
    assert "<i>" not in json.dumps(figure)


def test_labels_of_eight_long_names_are_folded_to_fit() -> None:
    assert folded("facts ↑", 2) == "facts ↑"
    long = "refusals_of_harmful_requests ↓"
    assert folded(long, 8) == "refusals_<br>of_harmful_<br>requests ↓"
    assert folded("x" * 25, 8) == "<br>".join(["x" * 11, "x" * 11, "x" * 3])
    assert "".join(folded(long, 8).split("<br>")).replace(" ", "") == long.replace(" ", "")
    assert folded("a<b_" * 6, 8).count("&lt;") == 6
