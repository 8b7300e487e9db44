"""The one front of a page: its objectives, its members, and who is on it through what is hidden."""

from __future__ import annotations

import numpy as np

from engine.front.preference import Range
from studio.decide.front import elsewhere, front_over, names_text, scale_words, through, varying
from studio.points.view import Axis
from tests.studio.decide.test_picking import COST, FACTS, LOSS, TRADE, points

EVERY = (FACTS, LOSS, COST)


def test_it_is_over_what_is_not_the_same_at_every_point() -> None:
    names = ("facts", "loss", "cost")
    assert varying(points([(0.1, 1.0, 2.0), (0.2, 0.9, 2.0)], names), EVERY) == (FACTS, LOSS)
    none = points([(0.1, 1.0, np.nan), (0.2, 0.9, np.nan)], names)
    assert varying(none, EVERY) == (FACTS, LOSS)  # one that was never measured is no part of it
    assert varying(points([(0.1, 1.0, 2.0)], names), EVERY) == EVERY


def test_its_members_with_their_values_and_own_ranges() -> None:
    found = front_over(TRADE, [FACTS, LOSS])
    assert found.rows.tolist() == [0, 1, 2]
    assert found.values.tolist() == [[0.1, 1.0], [0.5, 1.2], [0.9, 2.0]]
    assert found.ranges == {"facts": Range(0.9, 0.1), "loss": Range(1.0, 2.0)}
    wide = {"facts": Range(1.0, 0.0), "loss": Range(0.0, 4.0)}
    assert front_over(TRADE, [FACTS, LOSS], wide).terms[1].tolist() == [0.5, 0.3]


def test_who_is_on_it_only_through_an_objective_that_is_not_shown() -> None:
    measured = points(
        [(0.9, 1.0, 5.0), (0.8, 1.1, 2.0), (0.7, 1.2, 3.0)], ("facts", "loss", "cost")
    )
    assert measured.front_of(EVERY).tolist() == [True, True, False]
    assert elsewhere(EVERY, [FACTS, LOSS]) == (COST,)
    assert through(measured, EVERY, [FACTS, LOSS]).tolist() == [False, True, False]
    assert not through(measured, [FACTS, LOSS], EVERY).any()
    assert through(measured, [COST], [FACTS, LOSS]).tolist() == [False, True, False]


def test_it_is_said_as_far_as_it_fits() -> None:
    assert names_text(EVERY) == "facts, loss, cost"
    eight = [Axis(f"objective_with_a_long_name_{k}", True) for k in range(8)]
    assert names_text(eight) == f"{eight[0].name} and 7 more"
    assert names_text([Axis("x" * 90, True)]) == "x" * 90


def test_the_scale_of_the_weights_is_said() -> None:
    found = front_over(TRADE, [FACTS, LOSS])
    assert scale_words(found, False) == (
        "Weights are relative to the range from the worst to the best score on the front:"
        " facts 0.100 to 0.900, loss 2.000 to 1.000."
    )
    assert "of the unmerged models" in scale_words(found, True)
