"""Range sliders that bind: their ends, steps and words."""

from __future__ import annotations

import numpy as np
import pytest

from engine.scoring.registry import SHARE
from pages.panels.explore.bounding import decimals, ends, words
from studio.points.view import Axis
from tests.studio.decide.test_picking import FACTS, LOSS, TRADE


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([1.234, 2.1], (1.23, 2.1, 0.01)),
        ([0.0, 700.0], (0.0, 700.0, 10.0)),
        ([3.0], (3.0, 3.05, 0.05)),
        ([0.0], (0.0, 0.01, 0.01)),
        ([-1.5, -1.0], (-1.5, -1.0, 0.005)),
        ([0.00123, 0.00456], (0.0012, 0.0046, 0.00005)),
    ],
)
def test_ends_lie_outside_of_what_is_measured_on_round_steps(
    values: list[float], found: tuple[float, float, float]
) -> None:
    low, high, step = ends(np.array(values), "nats a token")
    assert (low, high, step) == pytest.approx(found)
    assert low <= min(values) and high >= max(values) and low < high


def test_a_share_goes_from_0_to_1() -> None:
    assert ends(np.array([0.4, 0.6]), SHARE) == (0.0, 1.0, 0.01)


def test_a_bound_beyond_what_is_measured_widens_the_slider() -> None:
    low, high, _ = ends(np.array([1.0, 2.0]), "", (None, 4.0))
    assert (low, high) == (1.0, 4.0)


@pytest.mark.parametrize(("step", "digits"), [(10.0, 0), (1.0, 0), (0.5, 1), (0.01, 2), (2e-5, 5)])
def test_digits_of_a_step(step: float, digits: int) -> None:
    assert decimals(step) == digits


def test_what_is_bound_and_how_many_meet_it() -> None:
    axes = [FACTS, LOSS, Axis("cost", False)]
    assert words(TRADE, axes[:2], {"facts": (0.4, 0.9), "loss": (None, 1.9)}) == (
        "facts at least 0.4, facts at most 0.9, loss at most 1.9: 2 of 6 points."
    )
    assert words(TRADE, axes[:2], {}).startswith("No bounds.")
