"""The curve's figure: what is predicted along a coefficient, which measured points lie on it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from studio.charts.curve import STEPS, curve, line
from studio.points.view import Measured
from tests.studio.charts.test_surface import FACTS, NAMES, StandIn, measured

POINTS = measured([[0.5, 1.0, 0.2], [1.5, 1.0, 0.2], [0.5, 1.1, 0.2], [0.5, 0.0, 1.4]])


def drawn(points: Measured, surrogate: Any, fixed: dict[str, float], **more: Any) -> Any:
    places = np.array([[each.coefficients.get(n, 0.0) for n in NAMES] for each in points.recipes])
    best = more.pop("best", np.zeros(len(points), dtype=bool))
    rows = np.arange(len(points))
    figure = curve(
        points, FACTS, surrogate, NAMES, "a", fixed, (0.0, 1.5), rows, places, best, **more
    )
    json.dumps(figure, allow_nan=False)
    return figure


def test_the_others_are_held_and_mean_and_band_are_what_is_predicted() -> None:
    stand_in = StandIn()
    figure = drawn(POINTS, stand_in, {"b": 1.0, "c": 0.2})
    assert stand_in.asked is not None and stand_in.asked.shape == (STEPS, 3)
    assert (stand_in.asked[:, 1:] == [1.0, 0.2]).all()
    high, low, mean, *_ = figure["data"]
    assert (mean["x"][0], mean["x"][-1]) == (0.0, 1.5)
    assert mean["y"][-1] == pytest.approx(0.1 * 1.5 + 0.2 + 0.08)
    assert (low["y"][0], high["y"][0]) == (pytest.approx(0.23), pytest.approx(0.33))
    assert low["fill"] == "tonexty" and mean["line"]["dash"] == "dash"
    assert mean["name"] == "predicted" and mean["text"][0] == "0.230 … 0.330"


def test_measured_points_on_the_line_have_errors_and_ids_and_those_beside_it_are_faint() -> None:
    *_, near, on = drawn(POINTS, StandIn(), {"b": 1.0, "c": 0.2})["data"]
    assert [each[0] for each in on["customdata"]] == [POINTS.ids[0], POINTS.ids[1]]
    assert (on["x"], on["y"]) == ([0.5, 1.5], [0.5, 0.5])
    assert on["error_y"]["array"] == [0.02, 0.02] and on["hovertemplate"].count("%{y:.3f}") == 1
    assert [each[0] for each in near["customdata"]] == [POINTS.ids[2]]
    assert near["marker"]["opacity"] < 1 and "error_y" not in near
    text = drawn(POINTS, StandIn(), {"b": 1.0, "c": 0.2})["layout"]["title"]["text"]
    assert (
        text
        == "Others fixed at b 1, c 0.2. 2 measured points on the line, 1 near it drawn faintly."
    )


def test_words_of_several_lines_begin_below_the_upper_edge() -> None:
    """plotly moves a title up by a line for each line after the first."""
    for few, lines in (("", 1), ("Too few points of this method. " * 6, 3)):
        layout = drawn(POINTS, None, {"b": 1.0, "c": 0.2}, few=few)["layout"]
        assert layout["title"]["text"].count("<br>") == lines - 1
        assert layout["title"]["pad"]["t"] == 6 + 16 * (lines - 1)
        assert layout["margin"]["t"] == 44 + 16 * lines


def test_too_few_points_are_drawn_without_a_prediction_and_it_is_said() -> None:
    figure = drawn(POINTS, None, {"b": 1.0, "c": 0.2}, few="Too few points: 4 of 10.")
    assert {trace["name"] for trace in figure["data"]} == {
        "measured", "measured, other coefficients differ"
    }  # fmt: skip
    assert figure["layout"]["title"]["text"].endswith("Too few points: 4 of 10.")


def test_a_method_of_proportions_goes_from_none_to_all_of_it() -> None:
    x = np.array([0.0, 0.25, 1.0])
    found = line(NAMES, "a", {"b": 0.6, "c": 0.2}, x, simplex=True)
    assert found == pytest.approx(np.array([[0, 0.75, 0.25], [0.25, 0.5625, 0.1875], [1, 0, 0]]))
    equal = line(NAMES, "a", {}, x, simplex=True)
    assert equal == pytest.approx(np.array([[0, 0.5, 0.5], [0.25, 0.375, 0.375], [1, 0, 0]]))
    # 2 : 3 : 1 is a third of a, the rest 3 : 1; all of a is on every line
    points = measured([[1.0, 1.5, 0.5], [0.7, 0.0, 0.0], [0.2, 0.0, 0.9]], "linear")
    figure = drawn(points, StandIn(simplex=True), {"b": 0.6, "c": 0.2}, simplex=True)
    on = figure["data"][-1]
    assert on["x"] == pytest.approx([1 / 3, 1.0], abs=1e-6)
    assert figure["layout"]["meta"]["curve"] == {"name": "a", "share": True, "objective": "facts"}
    assert figure["layout"]["xaxis"]["title"]["text"] == "share of a"


def test_models_are_named_marked_apart_and_the_front_is_blue() -> None:
    recipes = (Recipe("single", {}, {"model": "base"}), *POINTS.recipes[:2])
    values = np.array([[0.2], [0.5], [0.9]])
    points = Measured(("facts",), ("p", "q", "r"), recipes, values, values * 0, values * 0 + 30)
    places = np.array([[0.0, 1.0, 0.2], [0.5, 1.0, 0.2], [1.5, 1.0, 0.2]])
    best = np.array([False, False, True])
    figure = curve(
        points, FACTS, None, NAMES, "a", {"b": 1.0, "c": 0.2}, (0.0, 1.5), np.arange(3), places,
        best,
    )  # fmt: skip
    [on] = figure["data"]
    assert on["text"] == ["base", "", ""] and on["marker"]["symbol"][0] == "diamond"
    colours = on["marker"]["color"]
    assert colours == ["--st-orange-color", "--st-gray-color", "--st-primary-color"]


def test_nothing_is_predicted_where_the_surrogate_does_not_hold() -> None:
    class Inside(StandIn):
        inside = True

    stand_in = Inside()
    assert [t["name"] for t in drawn(POINTS, stand_in, {"b": 1.0})["data"][:1]] != ["predicted"]
    assert stand_in.asked is None  # c is 0 all along
    drawn(POINTS, stand_in, {"b": 1.0, "c": 0.2})
    assert len(stand_in.asked) == STEPS - 1  # all but a = 0
