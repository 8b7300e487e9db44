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
    assert report.recommendation({"point": point, "unmet": unmet}).splitlines()[1:] == [
        "no point has facts at least 2; the closest has 0.9892",
        "no point has cost at most 0.5; the closest has 1",
    ]
