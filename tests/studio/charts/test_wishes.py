"""Contours of a utility and the lines of constraints, over two objectives."""

from __future__ import annotations

import pytest

from engine.front.criteria import criteria
from studio.charts.wishes import GRID, drawn
from tests.studio.decide.test_picking import COST, FACTS, LOSS, TRADE, points

NAMES = ("facts", "loss", "cost")
PLAIN = {"data": ["points"], "layout": {}}


def test_contours_are_the_utility_itself() -> None:
    asked = criteria(NAMES, utility="facts - 2*loss")
    contour, rest = drawn(PLAIN, TRADE, [FACTS, LOSS], asked)["data"]
    assert rest == "points" and contour["type"] == "contour" and contour["name"] == "utility"
    assert len(contour["x"]) == len(contour["y"]) == len(contour["z"]) == GRID
    for x, y in ((0, 0), (GRID - 1, 3)):
        value = contour["x"][x] - 2 * contour["y"][y]
        assert contour["z"][y][x] == pytest.approx(value, abs=1e-3)
    assert contour["x"][0] < 0.1 and contour["x"][-1] > 0.9  # beyond the points with both scores


def test_where_it_has_no_value_there_is_a_hole() -> None:
    (contour, _) = drawn(PLAIN, TRADE, [FACTS, LOSS], criteria(NAMES, utility="log(facts - 0.5)"))[
        "data"
    ]
    assert contour["z"][0][0] is None and contour["z"][0][-1] is not None


def test_a_constraint_is_a_line_where_it_is_just_met() -> None:
    for text in ("facts + loss >= 1.8", "facts - 0.001*loss <= 0.5", "loss <= 1.5", "facts >= 0.4"):
        asked = criteria(NAMES, [text])
        (each,) = asked.constraints
        line, _ = drawn(PLAIN, TRADE, [FACTS, LOSS], asked)["data"]
        assert line["name"] == str(each) and line["mode"] == "lines"
        ends = list(zip(line["x"], line["y"], strict=True))
        assert each.at(("facts", "loss"), ends) == pytest.approx([each.side.value] * 2, abs=1e-3)
        assert all(0.0 <= x <= 1.0 and 0.9 <= y <= 2.1 for x, y in ends)


@pytest.mark.parametrize(
    ("axes", "asked"),
    [
        ([FACTS, LOSS, COST], criteria(NAMES, utility="facts")),
        ([FACTS, LOSS], criteria(NAMES, ["facts + cost >= 1"], utility="facts - cost")),
        ([FACTS, LOSS], criteria(NAMES, ["facts + loss >= 100"])),
        ([FACTS, LOSS], criteria(NAMES, cone=["1 facts for 1 loss"])),
    ],
)
def test_what_is_not_over_just_the_two_is_not_drawn(axes, asked) -> None:
    measured = points([(0.1, 1.0, 2.0), (0.5, 1.2, 1.0)], NAMES)
    assert drawn(PLAIN, measured, axes, asked) is PLAIN


def test_without_points_nothing_is_drawn() -> None:
    none = points([(float("nan"), 1.0)])
    assert drawn(PLAIN, none, [FACTS, LOSS], criteria(NAMES, utility="facts")) is PLAIN
