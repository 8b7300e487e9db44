"""Marks coloured by a value: which colour each point has, what is said of it."""

from __future__ import annotations

import json

import numpy as np

import engine  # noqa: F401
from engine.recipe import Recipe
from studio.charts import colouring
from studio.charts.tradeoff import tradeoff
from tests.studio.charts.test_tradeoff import AXES, measured, single

POINTS = measured(
    [[0.2, 2.0, 1.0], [0.6, 2.5, 3.0], [0.5, 2.6, np.nan], [0.4, 2.9, 2.0]],
    [single("base"), Recipe("pcb", {"a": 1.0}), Recipe("pcb", {"a": 0.5}),
     Recipe("ties", {"a": 0.7, "b": 0.1})],
)  # fmt: skip


def colours(by: colouring.Colouring, axes: tuple = AXES[:2]) -> tuple[dict, dict]:
    """Point -> colour, and the figure."""
    plain = tradeoff(POINTS, axes, axes)
    figure = colouring.coloured(plain, POINTS, by)
    json.dumps(figure, allow_nan=False)
    found = {}
    for trace in figure["data"]:
        if trace.get("customdata"):
            for known, colour in zip(trace["customdata"], trace["marker"]["color"], strict=True):
                found[POINTS.row_of[known[0]]] = (colour, known[-1])
    return found, figure


def test_an_objective_colours_every_mark_and_lower_is_brighter_where_it_is_better() -> None:
    found, figure = colours(colouring.by_objective(POINTS, AXES[2]))
    assert found == {
        0: ("#ffe945", "1.000"), 1: ("#7186b5", "3.000"), 2: ("--st-gray-color", "none"),
        3: ("#b9b6a0", "2.000"),
    }  # fmt: skip
    bar = figure["data"][-1]["marker"]
    assert (bar["cmin"], bar["cmax"], bar["reversescale"]) == (1.0, 3.0, True)
    assert bar["colorbar"]["title"]["text"] == "cost ↓"


def test_a_coefficient_colours_the_points_that_have_it_and_shapes_stay() -> None:
    assert colouring.coefficient_names(POINTS) == ["a", "b"]
    found, figure = colours(colouring.by_coefficient(POINTS, "b"))
    assert [found[row][0] for row in range(4)] == ["--st-gray-color"] * 3 + ["#7186b5"]
    front = next(each for each in figure["data"] if each.get("name") == "front")
    plain = tradeoff(POINTS, AXES[:2], AXES[:2])
    before = next(each for each in plain["data"] if each.get("name") == "front")
    assert front["marker"]["symbol"] == before["marker"]["symbol"]
    assert (front["x"], front["error_x"]) == (before["x"], before["error_x"])
    assert "coefficient of b %{customdata[" in front["hovertemplate"]


def test_a_scene_is_coloured_too_and_values_that_nobody_has_colour_nothing() -> None:
    whole = tuple(AXES)
    found, figure = colours(colouring.by_coefficient(POINTS, "a"), whole)
    assert (found[3][0], figure["data"][-1]["type"]) == ("#abaca4", "scatter3d")
    plain = tradeoff(POINTS, AXES[:2], AXES[:2])
    none = colouring.Colouring("nothing", np.full(4, np.nan))
    assert colouring.coloured(plain, POINTS, none) is plain


def test_the_mark_of_a_computed_best_stays_as_it_is() -> None:
    plain = tradeoff(POINTS, AXES[:2], AXES[:2], optima={1: "loss"})
    figure = colouring.coloured(plain, POINTS, colouring.by_objective(POINTS, AXES[2]))
    marks = [each for drawn in (plain, figure) for each in drawn["data"]
             if each.get("name") == "computed best"]  # fmt: skip
    assert len(marks) == 2 and marks[0] == marks[1]
