"""Figures: what is drawn where, as plain data."""

from __future__ import annotations

import json

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from pages.parts import figures
from pages.parts.view import SHARE, Axis, Measured

AXES = (Axis("facts", True), Axis("loss", False), Axis("cost", False))


def measured(mean: list[list[float]], recipes: list[Recipe] | None = None) -> Measured:
    values = np.array(mean, dtype=float)
    if recipes is None:
        recipes = [Recipe("task_arithmetic", {"a": 0.01 * k}) for k in range(len(values))]
    ids = tuple(f"{row:012x}" for row in range(len(values)))
    stderr = np.full_like(values, 0.02)
    n = np.full(values.shape, 30)
    return Measured(("facts", "loss", "cost"), ids, tuple(recipes), values, stderr, n)


def single(model: str) -> Recipe:
    return Recipe("single", {}, {"model": model})


POINTS = measured(
    [[0.2, 2.0, 1.0], [0.6, 2.5, 1.0], [0.5, 2.6, 1.0], [0.4, np.nan, 1.0]],
    [single("base"), Recipe("pcb", {"a": 1.0}), Recipe("pcb", {"a": 0.5}), single("a<b")],
)


def traces(figure: dict) -> dict[str, dict]:
    return {trace.get("name", "stair"): trace for trace in figure["data"]}


def test_every_shown_point_is_in_one_trace_with_its_id_and_its_errors() -> None:
    front = POINTS.front_of(AXES[:2])
    found = traces(figures.tradeoff(POINTS, AXES[:2], front))
    assert [row[0] for row in found["front"]["customdata"]] == [POINTS.ids[1]]
    assert [row[0] for row in found["measured"]["customdata"]] == [POINTS.ids[2]]
    assert found["models as they are"]["text"] == ["base (front)"]
    for name in ("front", "measured", "models as they are"):
        assert found[name]["error_x"]["array"] == [0.02]
        assert found[name]["error_y"]["array"] == [0.02]


def test_a_point_without_one_of_the_scores_is_left_out() -> None:
    figure = figures.tradeoff(POINTS, AXES[:2], POINTS.front_of(AXES[:2]))
    drawn = sum(len(t["x"]) for t in figure["data"] if t.get("customdata"))
    assert drawn == 3
    json.dumps(figure, allow_nan=False)


def test_the_front_is_a_stair_that_promises_nothing_between_points() -> None:
    values = np.array([[0.6, 2.5], [0.2, 2.0], [0.2, 2.0]])
    x, y, shape = figures.staircase(values, [True, False])
    assert (x, y, shape) == ([0.2, 0.2, 0.6], [2.0, 2.0, 2.5], "vh")
    assert figures.staircase(values, [False, True])[2] == "hv"


def test_three_axes_make_a_scene_with_a_ring_of_its_own_last() -> None:
    figure = figures.tradeoff(POINTS, AXES, POINTS.front_of(AXES))
    assert {trace["type"] for trace in figure["data"]} == {"scatter3d"}
    assert figure["data"][-1]["name"] == "here"
    assert figure["layout"]["meta"] == {"axes": ["facts", "loss", "cost"]}
    json.dumps(figure, allow_nan=False)


def test_many_points_are_drawn_with_webgl_and_without_a_thousand_bars() -> None:
    many = measured([[k / 2000, k / 2000, 1.0] for k in range(2000)])
    found = traces(figures.tradeoff(many, AXES[:2], np.zeros(2000, dtype=bool)))
    assert found["measured"]["type"] == "scattergl"
    assert "error_x" not in found["measured"]
    assert found["measured"]["customdata"][0][1] == " ± 0.020"


def test_zoom_outlives_new_points_and_not_new_axes() -> None:
    def revision(axes: tuple[Axis, ...], points: Measured) -> str:
        return figures.tradeoff(points, axes, points.front_of(axes))["layout"]["uirevision"]

    more = measured([[0.1 * k, 2.0 + k, 1.0] for k in range(9)])
    assert revision(AXES[:2], POINTS) == revision(AXES[:2], more)
    assert revision(AXES[:2], POINTS) != revision((AXES[0], AXES[2]), POINTS)


def test_a_share_shows_all_of_itself_until_there_is_something_to_fit() -> None:
    axes = (Axis("facts", True, SHARE), AXES[1])

    def layout(points: Measured) -> dict:
        return figures.tradeoff(points, axes, points.front_of(axes))["layout"]

    few = layout(measured([[0.2, 2.0, 1.0]]))
    assert few["xaxis"]["range"] == [-0.03, 1.03]
    assert few["yaxis"]["autorange"] is True
    assert few["uirevision"] != layout(POINTS)["uirevision"]
    assert "range" not in layout(POINTS)["xaxis"] and layout(POINTS)["xaxis"]["autorange"] is True


@pytest.mark.parametrize("text", ["<img src=x>", "a<b", "<b>&"])
def test_names_reach_plotly_escaped(text: str) -> None:
    points = measured([[0.2, 2.0, 1.0]], [single(text)])
    axes = (Axis(text, True), AXES[1])
    points = Measured((text, "loss"), points.ids, points.recipes, *(
        values[:, :2] for values in (points.mean, points.stderr, points.n)))  # fmt: skip
    whole = json.dumps(figures.tradeoff(points, axes, points.front_of(axes)))
    for trace in json.loads(whole)["data"]:
        for shown in (*trace.get("text", ()), *trace.get("hovertext", ())):
            assert "<" not in shown
        assert text not in trace.get("hovertemplate", "").replace("<b>%{hovertext}</b>", "")


def test_colours_are_left_to_the_theme() -> None:
    figure = figures.tradeoff(POINTS, AXES[:2], POINTS.front_of(AXES[:2]))
    for trace in figure["data"]:
        colour = trace.get("marker", trace.get("line", {})).get("color")
        assert colour.startswith("--st-")
