"""The readable text of documents: an empty front, and bounds that nothing meets."""

from __future__ import annotations

from typing import Any

from engine.commands import report
from engine.front.table import front_report, table_of


def test_a_front_without_points_says_what_to_do() -> None:
    document = front_report(table_of([], {"a": "maximize", "b": "minimize"}))
    assert report.front(document).splitlines() == [
        "front over a, b: 0 of 0 points",
        "No point has a score for each of them: evaluate or sweep first.",
    ]


def test_a_bound_that_nothing_meets_says_its_side() -> None:
    point: dict[str, Any] = {"id": "x", "recipe": None, "scores": {}, "error": None}
    unmet = [
        {"name": "facts", "bound": 2.0, "closest": 0.9892},
        {"name": "cost", "bound": 0.5, "closest": 1.0},
    ]
    rivals = [{"point": "y", "share": 0.2}, {"point": "z", "share": 0.001}]
    document = {"point": point, "unmet": unmet, "share": 0.716, "rivals": rivals}
    assert report.recommendation(document).splitlines()[1:] == [
        "no point has facts at least 2; the closest has 0.9892",
        "no point has cost at most 0.5; the closest has 1",
        "with these errors it is the pick with probability 72 %; others: y 20 %, z under 1 %",
    ]
    document |= {"unmet": [], "share": None, "rivals": []}
    assert len(report.recommendation(document).splitlines()) == 1


def test_a_front_says_how_sure_each_point_is() -> None:
    document = {
        "objectives": ["a"], "front": ["x"], "points": 3, "failed": 0, "incomplete": 0,
        "hypervolume": None, "probability": {"x": 0.9, "y": 0.3, "z": 0.0},
        "bounds": [{"name": "a", "words": "at least", "bound": 0.5, "probability": {"x": 0.995}}],
    }  # fmt: skip
    assert report.front(document).splitlines() == [
        "front over a: 1 of 3 points",
        "  x  on the front with probability 90 %",
        "not on it by their means, and yet",
        "  y  on the front with probability 30 %",
        "a at least 0.5, on the front:",
        "  x  over 99 %",
    ]
