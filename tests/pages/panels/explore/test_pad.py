"""What the pad chooses among."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pages.panels.explore.pad import packed, picked_data, thinned
from studio.decide.picking import candidates, pick
from studio.decide.preference import Preference
from studio.points.view import Axis, Measured, measure
from tests.studio.points.test_view import Point, mix

AXES = [Axis("facts", True), Axis("manners", True), Axis("loss", False)]
COST = Axis("cost", False)
NAMES = ("facts", "manners", "loss", "cost")
VALUES = [(0.9, 0.1, 2.0, 3.0), (0.1, 0.9, 1.5, 2.0), (0.5, 0.5, 1.0, 1.0), (0.1, 0.1, 2.5, 1.0)]
EVEN = Preference({"facts": 0.34, "manners": 0.33, "loss": 0.33}, frozenset({"loss"}))


@pytest.fixture
def measured() -> Measured:
    points = [
        Point(
            f"p{row}",
            mix(row / 10, 0.0).as_dict(),
            {
                name: {"mean": value, "stderr": 0.01}
                for name, value in zip(NAMES, each, strict=True)
            },
        )
        for row, each in enumerate(VALUES)
    ]
    return measure(points, NAMES)


def test_members_of_the_front_with_terms_values_and_words(measured: Measured) -> None:
    found = json.loads(packed(measured, candidates(measured, AXES)))
    assert found["names"] == ["facts", "manners", "loss"]
    assert found["labels"] == ["facts ↑", "manners ↑", "loss ↓"]
    assert found["ids"] == ["p0", "p1", "p2"]
    assert found["terms"] == pytest.approx([0, 1, 1, 1, 0, 0.5, 0.5, 0.5, 0])
    # off the front's objectives too: the chart may show others
    place = {"facts": 0.1, "manners": 0.9, "loss": 1.5}
    assert found["places"][1].items() >= place.items() and set(found["places"][1]) == set(NAMES)
    assert found["texts"][1] == "task_arithmetic(helpful 0.1)"
    assert found["scores"][3] == "0.100 ± 0.010"
    # the browser knows no constant of the rules by which it picks
    rules = {"rho": 1e-6, "tie": 1e-12, "steps": 100, "even": 1e-9, "least": 1e-6}
    assert found["rules"] == rules


def test_only_members_that_the_bounds_leave_and_another_revision(measured: Measured) -> None:
    every = json.loads(packed(measured, candidates(measured, AXES)))
    bounds = {"cost": (None, 2.5)}
    found = candidates(measured, AXES, bounds, every=[*AXES, COST])
    bound = json.loads(packed(measured, found))
    assert bound["ids"] == ["p1", "p2"]
    assert len(bound["terms"]) == 6
    assert every["revision"] != bound["revision"]


def test_few_are_all_sent_and_of_many_the_best_of_each_neighbourhood() -> None:
    rng = np.random.default_rng(5)
    terms = rng.dirichlet([1, 1, 1], 20_000)
    assert thinned(terms[:50], 50).tolist() == list(range(50))
    rows = thinned(terms, 500)
    assert 100 < len(rows) <= 500
    assert (np.diff(rows) > 0).all()
    for weights in rng.dirichlet([1, 1, 1], 20):
        worst = (terms * weights).max(axis=1)
        assert worst[rows].min() - worst.min() < 0.05
    assert len(thinned(np.zeros((9, 3)), 4)) == 1


def test_the_pick_in_words_with_its_mark_and_where_the_handle_stands(measured: Measured) -> None:
    found = pick(measured, AXES, EVEN, {"cost": (None, 2.5)}, every=[*AXES, COST])
    assert found is not None
    data = picked_data(measured, found, EVEN, 3, {"facts": 35})
    assert json.loads(json.dumps(data)) == {
        "title": "task_arithmetic(helpful 0.2)",
        "lines": [
            ["facts ↑", "0.500 ± 0.010"],
            ["manners ↑", "0.500 ± 0.010"],
            ["loss ↓", "1.000 ± 0.010"],
        ],
        "mark": {
            "label": "pick",
            "point": "p2",
            "values": dict(zip(NAMES, VALUES[2], strict=True)),
        },
        "aimed": {
            "weights": {"facts": 34, "manners": 33, "loss": 33},
            "exact": {"facts": 0.34, "manners": 0.33, "loss": 0.33},
            "shown": {"facts": 35},
            "locked": ["loss"],
            "turn": 3,
        },
    }
