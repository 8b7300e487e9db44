"""Why this one, in sentences."""

from __future__ import annotations

import numpy as np
import pytest

from engine.front.criteria import Criteria
from engine.front.expression import expression
from engine.scoring.registry import SHARE
from studio.decide.picking import pick
from studio.decide.preference import Preference
from studio.decide.why import ERRORS, difference, utility_text, why, why_useful
from studio.points.view import Axis, Measured, measure
from tests.studio.points.test_view import mix, scored

FACTS = Axis("facts", True, SHARE)
LOSS = Axis("loss", False, "nats per token")
AXES = [FACTS, LOSS]
EVEN = Preference({"facts": 0.5, "loss": 0.5})


@pytest.fixture
def measured() -> Measured:
    points = [
        scored(mix(0.1, 0.0), 0.200, 1.0, "low"),
        scored(mix(0.2, 0.0), 0.610, 1.2, "mid"),
        scored(mix(0.3, 0.0), 0.620, 1.6, "dear"),
        scored(mix(0.4, 0.0), 0.900, 2.0, "high"),
    ]
    return measure(points, ("facts", "loss"))


def sentences(
    measured: Measured, bounds: dict[str, tuple[float | None, float | None]]
) -> list[str]:
    found = pick(measured, AXES, EVEN, bounds)
    assert found is not None
    return why(measured, found, EVEN, bool(bounds))


def test_what_it_gains_and_gives_up_against_both_neighbours(measured: Measured) -> None:
    reason, limit, dear, low, errors = sentences(measured, {})
    assert reason == (
        "Each of the 4 points on the front falls short of the best on some objective. With"
        " shortfalls multiplied by their weights (facts 0.50, loss 0.50), this point's largest"
        " shortfall is the smallest."
    )
    assert limit == (
        "Its largest shortfall is on facts: 0.610 ± 0.010,"
        " on a scale from 0.200 (worst) to 0.900 (best)."
    )
    assert dear == (
        "Against task_arithmetic(helpful 0.3) it is 0.400 ± 0.014 nats per token better on loss and"
        " 0.010 ± 0.014 worse on facts (within the noise)."
    )
    assert low == (
        "Against task_arithmetic(helpful 0.1) it is 0.410 ± 0.014 better on facts and"
        " 0.200 ± 0.014 nats per token worse on loss."
    )
    assert errors == ERRORS


def test_what_the_bounds_leave_out_is_not_spoken_of(measured: Measured) -> None:
    reason, _, low, errors = sentences(measured, {"loss": (None, 1.3)})
    assert reason.startswith("Each of the 2 points on the front within the bounds falls short")
    assert low.startswith("Against task_arithmetic(helpful 0.1)") and errors == ERRORS


def test_only_one_left_and_none_that_meets_every_bound(measured: Measured) -> None:
    assert sentences(measured, {"facts": (0.7, None)})[0] == (
        "It is the only point on the front within the bounds."
    )
    assert sentences(measured, {"facts": (0.95, None)})[0] == (
        "No point meets every bound; this one comes closest."
    )


def test_with_one_objective_alone_it_is_the_best_on_it(measured: Measured) -> None:
    alone = Preference({"facts": 1.0, "loss": 0.0})
    found = pick(measured, AXES, alone)
    assert found is not None
    assert why(measured, found, alone, False)[:2] == [
        "It is the best of the 4 points on the front on facts.",
        "It reaches the best of the scale on every weighted objective.",
    ]


def test_alone_on_the_front_it_has_no_neighbours() -> None:
    only = measure([scored(mix(0.1, 0.0), 0.2, 1.0, "only")], ("facts", "loss"))
    assert sentences(only, {}) == [
        "It is the only point on the front.",
        "It reaches the best of the scale on every weighted objective.",
    ]


def test_a_proportion_of_one_has_its_interval_for_an_error() -> None:
    mean = np.array([[1.0], [0.9]])
    measured = Measured(
        ("facts",), ("a", "b"), (), mean, np.array([[0.0], [0.03]]), np.full((2, 1), 40),
        {}, np.array([[0.912], [0.8]]), np.array([[1.0], [0.95]]),
    )  # fmt: skip
    said = difference(measured, FACTS, 0, 1, 0.1)
    assert said == "0.100 ± 0.037 better on facts"
    assert difference(measured, FACTS, 0, 1, 0.0) == "the same on facts"
    assert difference(measured, FACTS, 1, 0, -0.05) == (
        "0.050 ± 0.037 worse on facts (within the noise)"
    )


def test_without_errors_nothing_is_said_of_noise() -> None:
    mean = np.array([[1.0], [2.0]])
    cost = Axis("cost", False, "× the base's parameters")
    measured = Measured(("cost",), ("a", "b"), (), mean, np.full((2, 1), np.nan), np.ones((2, 1)))
    assert difference(measured, cost, 0, 1, 1.0) == "1.000 × the base's parameters better on cost"


def test_a_utility_is_explained_with_its_error_and_the_next_best(measured: Measured) -> None:
    utility = expression("facts - loss/10", ("facts", "loss"), "utility")
    found = pick(measured, AXES, EVEN, criteria=Criteria(utility=utility))
    assert found is not None and found.row == 3
    value = utility_text(measured, utility, 3)
    assert value.startswith("0.70") and " ± " in value
    first, second = why_useful(measured, found, utility, False)
    assert first == f"Its utility, {value}, is the largest of the 4 points on the front."
    assert second.startswith("Next is") and utility_text(measured, utility, 1) in second
    nowhere = expression("log(facts - 0.7)", ("facts", "loss"), "utility")
    found = pick(measured, AXES, EVEN, criteria=Criteria(utility=nowhere))
    assert found is not None
    assert why_useful(measured, found, nowhere, False)[-1] == "It has no value at 3 of them."
