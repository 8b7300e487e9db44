"""Parallel coordinates: up is better, bounds shown, one line a point."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from pages.parts.parallel import FLAT_LINES, LINES, parallel
from pages.parts.view import Axis, Measured

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


def test_up_is_better_on_every_objective_and_said() -> None:
    figure = drawn(POINTS)
    [lines] = figure["data"]
    assert lines["type"] == "parcoords"
    facts, loss = lines["dimensions"]
    assert (facts["label"], facts["range"]) == ("facts ↑", [0.2, 0.6])
    assert (loss["label"], loss["range"]) == ("loss ↓", [3.0, 2.0])
    assert figure["layout"]["title"]["text"].startswith("Up is better on every objective.")
    assert "1 not shown" in figure["layout"]["title"]["text"]
    assert figure["layout"]["meta"] == {"dimensions": ["facts", "loss"]}


def test_front_models_and_the_selected_point_are_drawn_last_in_their_colours() -> None:
    [lines] = drawn(POINTS, pick=POINTS.ids[2])["data"]
    # a model, the front, the selected
    assert lines["dimensions"][0]["values"] == [0.2, 0.6, 0.4]
    assert lines["line"]["color"] == [1, 2, 3]
    assert all(colour.startswith("--st-") for _, colour in lines["line"]["colorscale"])


def test_an_objective_colours_the_lines_from_worst_to_best() -> None:
    [lines] = drawn(POINTS, colour=LOSS)["data"]
    by_value = dict(zip(lines["dimensions"][1]["values"], lines["line"]["color"], strict=True))
    assert by_value[3.0] == 0.0 and by_value[2.0] == pytest.approx(0.98)
    [lines] = drawn(POINTS, colour=LOSS, pick=POINTS.ids[2])["data"]
    assert lines["line"]["color"][-1] == 1.0


def test_bounds_are_marked_on_their_axes() -> None:
    bounds = {"loss": (None, 2.9), "facts": (0.1, 0.8)}
    facts, loss = drawn(POINTS, bounds=bounds)["data"][0]["dimensions"]
    assert facts["range"] == [0.1, 0.8] and facts["constraintrange"] == [0.1, 0.8]
    assert loss["constraintrange"] == [2.0, 2.9] and loss["range"] == [3.0, 2.0]
    flat = drawn(POINTS, bounds=bounds, flat=True)["layout"]["shapes"]
    thick = [each for each in flat if each["line"]["width"] > 1]
    assert [(each["x0"], each["y0"], each["y1"]) for each in thick] == [
        (0, 0.0, 1.0),
        (1, 1.0, pytest.approx(0.1)),
    ]


def test_coefficients_are_further_axes_for_the_points_that_have_them() -> None:
    figure = drawn(POINTS, coefficients=["a"])
    dimensions = figure["data"][0]["dimensions"]
    assert dimensions[2]["label"] == "coefficient of a"
    assert dimensions[2]["values"] == [0.5, 1.0] and dimensions[2]["range"] == [0.5, 1.0]
    assert "2 not shown" in figure["layout"]["title"]["text"]


def test_without_webgl_lines_have_gaps_between_ids_and_names() -> None:
    figure = drawn(POINTS, flat=True, pick=POINTS.ids[2])
    model, front, selected = figure["data"]
    assert {trace["type"] for trace in figure["data"]} == {"scatter"}
    names = ["models as they are", "front", "selected"]
    assert [trace["name"] for trace in figure["data"]] == names
    assert front["x"] == [0, 1, None] and front["y"] == [1.0, 0.5, None]
    assert front["customdata"] == [(POINTS.ids[1],)] * 3
    assert model["hovertext"] == ["a&lt;b"] * 3 and model["line"]["dash"] != front["line"]["dash"]
    assert selected["line"]["width"] > front["line"]["width"]
    ends = [each["text"] for each in figure["layout"]["annotations"]]
    assert ends == ["0.2", "0.6", "3", "2"]


@pytest.mark.parametrize(("flat", "most"), [(False, LINES), (True, FLAT_LINES)])
def test_too_many_lines_are_thinned_without_losing_the_front(flat: bool, most: int) -> None:
    random = np.random.default_rng(0)
    many = measured(random.uniform(0, 1, (LINES + 2000, 2)).tolist())
    front = many.front_of(AXES)
    figure = drawn(many, front, flat=flat)
    text = figure["layout"]["title"]["text"]
    if flat:
        traces = {trace["name"]: trace for trace in figure["data"]}
        assert len(traces["front"]["y"]) == 3 * front.sum()
        count = sum(len(trace["y"]) for trace in figure["data"]) // 3
    else:
        colours = figure["data"][0]["line"]["color"]
        assert colours.count(2) == front.sum()
        count = len(colours)
    assert most <= count <= most + front.sum()
    assert f"{count:,} of {LINES + 2000:,} lines drawn." in text


@pytest.mark.parametrize("flat", [False, True])
def test_no_points_and_equal_points_can_be_drawn(flat: bool) -> None:
    nothing = drawn(measured([]), np.zeros(0, dtype=bool), flat=flat)
    assert len(nothing["data"]) == (0 if flat else 1)
    drawn(measured([[0.5, 1.0]] * 3), np.zeros(3, dtype=bool), flat=flat)
    bounds = {"facts": (0.9, None)}
    drawn(measured([]), np.zeros(0, dtype=bool), flat=flat, bounds=bounds, colour=FACTS)


def test_names_are_escaped() -> None:
    axes = (Axis("<i>", True), LOSS)
    points = Measured(("<i>", "loss"), POINTS.ids, POINTS.recipes, POINTS.mean, POINTS.stderr)
    for flat in (False, True):
        assert "<i>" not in json.dumps(parallel(points, axes, FRONT, flat=flat)["data"])
        assert "<i>" not in json.dumps(
            parallel(points, axes, FRONT, colour=axes[0])["layout"]["title"]
        )
