"""Which points a figure draws."""

from __future__ import annotations

import engine  # noqa: F401
from studio.charts.drawn import drawn
from studio.charts.marks import deep_marks
from studio.charts.parallel import parallel
from studio.charts.tradeoff import tradeoff
from tests.studio.charts.test_tradeoff import AXES, POINTS, measured


def test_each_drawn_point_is_listed_once_and_those_left_out_are_not() -> None:
    front = POINTS.front_of(AXES[:2])
    assert sorted(drawn(tradeoff(POINTS, AXES[:2], AXES[:2]), POINTS).tolist()) == [0, 1, 2]
    less = tradeoff(POINTS, AXES[:2], AXES[:2], hide_dominated=True)
    assert sorted(drawn(less, POINTS).tolist()) == [0, 1]
    lines = parallel(POINTS, AXES[:2], front)
    assert sorted(drawn(lines, POINTS).tolist()) == [0, 1, 2]
    assert drawn({"data": []}, POINTS).tolist() == []


def test_a_scene_tells_methods_and_errors_apart_as_a_plane_does() -> None:
    figure = tradeoff(POINTS, AXES, AXES)
    [cloud] = [each for each in figure["data"] if each.get("name") == "measured"]
    assert cloud["marker"]["symbol"] == deep_marks(POINTS)["pcb"]
    assert cloud["error_z"]["array"] == [0.02]
    flat = tradeoff(POINTS, AXES[:2], AXES[:2])["data"][0]
    assert cloud["error_z"]["thickness"] > flat["error_y"]["thickness"]
    several = measured([[0.1 * n, 1.0, 1.0] for n in range(3)])
    assert deep_marks(several) == {"task_arithmetic": "circle"}
