"""The surface's figure: what is predicted, which measured points lie on it, what is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Recipe
from engine.scoring.registry import SHARE
from studio.charts import marks
from studio.charts.optima import PAPER
from studio.charts.surface import STEPS, surface
from studio.points.view import Axis, Measured

FACTS = Axis("facts", True, SHARE)
NAMES = ("a", "b", "c")
RANGES = {name: (0.0, 1.5) for name in NAMES}


@dataclass
class Predicted:
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass
class StandIn:
    """Predicts 0.1 a + 0.2 b + 0.4 c, on a simplex of the shares; keeps what it was asked."""

    simplex: bool = False
    names: tuple[str, ...] = NAMES
    asked: np.ndarray | None = None

    def predict(self, positions: np.ndarray) -> Predicted:
        self.asked = positions
        if self.simplex:
            positions = positions / positions.sum(axis=1, keepdims=True)
        mean = positions @ np.array([0.1, 0.2, 0.4])
        return Predicted(mean, mean - 0.05, mean + 0.05)


def measured(places: list[list[float]], method: str = "pcb", score: float = 0.5) -> Measured:
    recipes = tuple(Recipe(method, dict(zip(NAMES, each, strict=True))) for each in places)
    ids = tuple(f"{row:012x}" for row in range(len(places)))
    values = np.full((len(places), 1), score)
    return Measured(("facts",), ids, recipes, values, values * 0 + 0.02, np.full(values.shape, 30))


POINTS = measured([[0.5, 1.0, 0.2], [0.0, 0.3, 0.35], [0.1, 0.1, 1.5], [1.0, 1.0, 0.2]])


def drawn(
    points: Measured, surrogate: Any, fixed: dict[str, float], kind: Any = "map", **more: Any
) -> Any:
    figure = surface(points, FACTS, surrogate, "a", "b", fixed, RANGES, kind, **more)
    json.dumps(figure, allow_nan=False)
    return figure


def test_the_grid_holds_what_is_predicted_with_the_others_fixed() -> None:
    stand_in = StandIn()
    predicted = drawn(POINTS, stand_in, {"c": 0.2})["data"][0]
    assert stand_in.asked is not None and (stand_in.asked[:, 2] == 0.2).all()
    assert (len(predicted["z"]), len(predicted["z"][0])) == (STEPS, STEPS)
    assert predicted["x"][-1] == predicted["y"][-1] == 1.5
    # across is a, up is b
    assert predicted["z"][0][-1] == pytest.approx(0.1 * 1.5 + 0.4 * 0.2)
    assert predicted["z"][-1][0] == pytest.approx(0.2 * 1.5 + 0.4 * 0.2)
    assert predicted["text"][0][0] == "0.030 … 0.130"
    assert predicted["text"][0][-1] == "0.180 … 0.280"
    # in depth plotly reads [across][up]: seen in the browser
    assert drawn(POINTS, stand_in, {"c": 0.2}, "3d")["data"][0]["text"][-1][0] == "0.180 … 0.280"


@pytest.mark.parametrize("kind", ["map", "3d"])
def test_it_is_called_predicted_and_names_objective_and_unit(kind: str) -> None:
    figure = drawn(POINTS, StandIn(), {"c": 0.2}, kind)
    predicted = figure["data"][0]
    assert predicted["type"] == ("surface" if kind == "3d" else "contour")
    assert predicted["name"] == "predicted" and "predicted" in predicted["hovertemplate"]
    assert "model band" in predicted["hovertemplate"]
    assert figure["layout"]["title"]["text"].startswith("Predicted, not measured: facts ↑")
    bar = predicted["colorbar"]["title"]["text"]
    assert "facts" in bar and SHARE in bar and "predicted" in bar
    assert figure["layout"]["meta"] == {"coefficients": ["a", "b"], "objective": "facts"}


def test_points_on_the_plane_are_drawn_near_ones_faintly_and_the_rest_counted() -> None:
    figure = drawn(POINTS, StandIn(), {"c": 0.2})
    _, near, on = figure["data"]
    assert [row[0] for row in on["customdata"]] == [POINTS.ids[0], POINTS.ids[3]]
    assert (on["x"], on["y"]) == ([0.5, 1.0], [1.0, 1.0])
    assert [row[0] for row in near["customdata"]] == [POINTS.ids[1]]
    assert near["marker"]["opacity"] < on["marker"]["opacity"]
    assert near["name"] == "measured, other coefficients differ"
    words = figure["layout"]["title"]["subtitle"]["text"]
    assert (
        "Others fixed at c 0.2. 2 measured points on this slice, 1 near it drawn faintly, "
        "1 elsewhere" in words
    )


def test_a_point_behind_one_on_the_plane_does_not_take_its_click() -> None:
    stacked = measured([[0.5, 0.5, 0.0], [0.5, 0.5, 0.2], [0.6, 0.5, 0.2]])
    _, near, on = drawn(stacked, StandIn(), {"c": 0.0})["data"]
    assert [row[0] for row in on["customdata"]] == [stacked.ids[0]]
    assert [row[0] for row in near["customdata"]] == [stacked.ids[2]]


def test_a_measured_point_says_its_own_score_and_stands_at_it_in_depth() -> None:
    on = drawn(POINTS, StandIn(), {"c": 0.2}, "3d")["data"][-1]
    assert on["z"] == [0.5, 0.5] and on["error_z"]["array"] == [0.02, 0.02]
    assert on["customdata"][0] == (POINTS.ids[0], "0.500 ± 0.020")
    assert "measured" in on["hovertemplate"]


@pytest.mark.parametrize("kind", ["map", "3d"])
def test_measured_points_have_the_shape_that_their_method_has_in_every_chart(kind: str) -> None:
    """A circle is task arithmetic's; here all are of PCB."""
    symbol = drawn(POINTS, StandIn(), {"c": 0.2}, kind)["data"][-1]["marker"]["symbol"]
    assert symbol == (marks.deep_marks(POINTS)["pcb"] if kind == "3d" else "triangle-up")
    mixed = replace(POINTS, recipes=(Recipe("task_arithmetic", {"a": 0.5, "b": 1.0, "c": 0.2}),
                                     *POINTS.recipes[1:]))  # fmt: skip
    several = drawn(mixed, StandIn(), {"c": 0.2}, kind)["data"][-1]["marker"]
    assert len(set(several["symbol"])) == 2 and several["symbol"][0] == "circle"


def test_no_shape_on_a_sheet_is_hollow_and_its_errors_can_be_seen() -> None:
    names = ("pcb", "ties", "dare", "tsv")
    recipes = tuple(Recipe(name, dict.fromkeys(NAMES, 0.2)) for name in names)
    points = replace(POINTS, recipes=recipes)
    assert any(each.endswith("-open") for each in marks.deep_marks(points).values())
    on = drawn(points, StandIn(), {"c": 0.2}, "3d")["data"][-1]
    assert not any(each.endswith("-open") for each in on["marker"]["symbol"])
    assert on["marker"]["color"] == PAPER and on["error_z"]["thickness"] > 1


def test_shares_are_moved_along_themselves_to_the_plane() -> None:
    """(0.4, 0.4, 0.2) and (1, 1, 0.5) are one mixture: with c held at 0.5 it stands at (1, 1)."""
    points = measured([[0.4, 0.4, 0.2], [1.0, 0.0, 0.0]], "logit_fusion")
    figure = drawn(points, StandIn(simplex=True), {"c": 0.5})
    [on] = figure["data"][1:]
    assert on["x"] == [pytest.approx(1.0)] and on["y"] == [pytest.approx(1.0)]
    assert (
        "1 measured point on this slice, 1 elsewhere"
        in figure["layout"]["title"]["subtitle"]["text"]
    )
    assert figure["layout"]["xaxis"]["title"]["text"] == "slider of a"


def test_where_nothing_can_be_shared_out_nothing_is_predicted() -> None:
    points = measured([[0.4, 0.6, 0.0]], "logit_fusion")
    figure = drawn(points, StandIn(simplex=True), {"c": 0.0})
    predicted, on = figure["data"]
    assert predicted["z"][0][0] is None and predicted["text"][0][0] == ""
    assert predicted["z"][0][1] == pytest.approx(0.1)
    assert (on["x"], on["y"]) == ([0.4], [0.6])


def test_only_the_rows_given_are_on_the_surface_else_those_of_its_coefficients() -> None:
    other = Recipe("pcb", {"a": 0.5, "b": 1.0})
    mixed = Measured(
        POINTS.names, (*POINTS.ids, "other"), (*POINTS.recipes, other),
        *(np.vstack([each, each[:1]]) for each in (POINTS.mean, POINTS.stderr, POINTS.n)),
    )  # fmt: skip
    assert len(drawn(mixed, StandIn(), {"c": 0.2})["data"][-1]["x"]) == 2
    one = surface(
        mixed, FACTS, StandIn(), "a", "b", {"c": 0.2}, RANGES, rows=np.array([3])
    )  # fmt: skip
    assert [row[0] for row in one["data"][-1]["customdata"]] == [POINTS.ids[3]]


def test_no_point_on_the_surface_and_points_without_a_score() -> None:
    assert len(drawn(measured([]), StandIn(), {})["data"]) == 1
    unscored = measured([[0.5, 0.5, 0.0]], score=float("nan"))
    assert len(drawn(unscored, StandIn(), {})["data"]) == 1


def test_brighter_is_better_whatever_the_direction() -> None:
    low = Axis("facts", False)
    figure = surface(POINTS, low, StandIn(), "a", "b", {}, RANGES)
    assert figure["data"][0]["reversescale"] is True
    assert drawn(POINTS, StandIn(), {})["data"][0]["reversescale"] is False


def test_names_are_escaped() -> None:
    names = ("<b>", "b", "c")
    points = Measured(("facts",), (), (), *(np.empty((0, 1)) for _ in range(3)))
    figure = surface(
        points, FACTS, StandIn(names=names), "b", "c", {"<b>": 1.0}, {"b": (0, 1), "c": (0, 1)}
    )
    assert "&lt;b&gt; 1" in figure["layout"]["title"]["subtitle"]["text"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "coefficient of b"


def test_many_coefficients_held_are_said_on_several_lines() -> None:
    names = ("a", "b", *(f"an-expert-of-long-name-{k}" for k in range(8)))
    points = Measured(("facts",), (), (), *(np.empty((0, 1)) for _ in range(3)))

    class Flat(StandIn):
        def predict(self, positions: np.ndarray) -> Predicted:
            return Predicted(*(positions[:, 0] + shift for shift in (0.0, -0.1, 0.1)))

    layout = surface(points, FACTS, Flat(names=names), "a", "b", {}, RANGES)["layout"]
    lines = layout["title"]["subtitle"]["text"].split("<br>")
    assert len(lines) == 3 and max(map(len, lines)) <= 120
    assert layout["margin"]["t"] == 60 + 16 * 3


@pytest.mark.parametrize("kind", ["map", "3d"])
def test_a_computed_best_stands_at_its_coefficients_and_says_if_it_is_elsewhere(kind: str) -> None:
    for row, text in ((0, "best"), (2, "best, off this slice")):
        mark = drawn(POINTS, StandIn(), {"c": 0.2}, kind, optimum=row)["data"][-1]
        assert (mark["name"], mark["text"]) == ("computed best", [text])
        assert (mark["x"], mark["y"]) == ([POINTS.recipes[row].coefficients["a"]],
                                          [POINTS.recipes[row].coefficients["b"]])  # fmt: skip
        assert mark["customdata"][0][0] == POINTS.ids[row] and mark.get("z", [0.5]) == [0.5]
    outside = measured([[9.0, 0.0, 0.2], [0.5, 1.0, 0.2]])
    names = [each["name"] for each in drawn(outside, StandIn(), {"c": 0.2}, optimum=0)["data"]]
    assert "computed best" not in names
