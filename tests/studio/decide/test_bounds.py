"""Bounds: as text, in words, as sliders, and which points meet them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.scoring.registry import SHARE
from studio.decide.bounds import decimals, ends, from_text, mask, narrowed, to_text, within, words
from studio.points.view import Axis
from tests.studio.decide.test_picking import FACTS, LOSS, TRADE

NAMES = ("facts", "manners", "loss")


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
    low, high, step = ends(np.array(values), "nats per token")
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


def test_bounds_asked_for_take_the_places_of_others_end_by_end() -> None:
    before = {"facts": (0.2, None), "loss": (None, 3.0)}
    asked = {"facts": (None, 0.8), "loss": (1.0, 2.0), "manners": (0.5, None)}
    assert narrowed(before, asked) == {
        "facts": (0.2, 0.8), "loss": (1.0, 2.0), "manners": (0.5, None)
    }  # fmt: skip
    assert narrowed(before, {}) == before


def test_what_is_bound_and_how_many_meet_it() -> None:
    axes = [FACTS, LOSS, Axis("cost", False)]
    assert words(TRADE, axes[:2], {"facts": (0.4, 0.9), "loss": (None, 1.9)}) == (
        "facts at least 0.4, facts at most 0.9, loss at most 1.9: 2 of 6 points."
    )
    assert words(TRADE, axes[:2], {}).startswith("No bounds.")


def test_the_mask_is_of_points_that_meet_every_bound() -> None:
    assert mask(TRADE, [FACTS, LOSS], {}).all()
    found = mask(TRADE, [FACTS, LOSS], {"facts": (0.4, 0.9), "loss": (None, 1.9)})
    assert found.tolist() == [False, True, False, True, False, False]


def test_the_points_within_are_made_once_and_without_bounds_are_the_points() -> None:
    bounds = {"facts": (0.4, None)}
    found = within(TRADE, [FACTS, LOSS], bounds)
    assert found.ids == ("p1", "p2", "p3", "p5")
    assert within(TRADE, [FACTS, LOSS], dict(bounds)) is found
    assert within(TRADE, [FACTS, LOSS], {"facts": (None, None)}) is TRADE


def test_bounds_as_text_and_back() -> None:
    bounds = {"facts": (0.6, None), "loss": (None, 1.25), "manners": (0.1, 0.9)}
    text = to_text(bounds)
    assert text == "facts:0.6..,loss:..1.25,manners:0.1..0.9"
    assert from_text(text, NAMES) == bounds
    assert to_text({"facts": (None, None)}) == ""


@pytest.mark.parametrize(
    "text",
    ["", "facts", "facts:0.6", "facts:x..", "cost:1..", "facts:1..,facts:..2", "facts:nan.."],
)
def test_what_are_no_bounds_bind_nothing(text: str) -> None:
    assert from_text(text, NAMES) == {}
