from __future__ import annotations

import math

import pytest

from engine.scoring.data import Row
from engine.scoring.likelihood import choice, cost, kl_to_base, nll, perplexity

ROW = Row(0, 1, "0" * 64, prompt="?", choices=("a", "éééé", "bcd"), answer=1)


def test_choice_takes_the_largest_sum_and_the_first_among_equals() -> None:
    assert choice([-3.0, -2.0, -2.5], ROW) == 1.0
    assert choice([-1.0, -2.0, -2.5], ROW) == 0.0
    assert choice([-2.0, -2.0, -2.5], ROW) == 0.0
    assert choice([-2.5, -2.0, -2.0], ROW) == 1.0
    assert choice([-math.inf, -2.0, -math.inf], ROW) == 1.0


def test_choice_per_byte_of_space_and_choice() -> None:
    # bytes with the space: 2, 9, 4
    assert choice([-2.0, -8.9, -4.0], ROW, normalize="bytes") == 1.0
    assert choice([-2.0, -9.1, -4.0], ROW, normalize="bytes") == 0.0
    assert choice([-2.0, -8.9, -4.0], ROW, normalize="none") == 0.0


def test_choice_without_numbers_has_no_value() -> None:
    assert math.isnan(choice([-1.0, math.nan, -2.0], ROW))


@pytest.mark.parametrize("scorer", [nll, perplexity])
def test_losses_are_means_over_tokens(scorer: object) -> None:
    assert scorer([-1.0, -2.0, -6.0], ROW) == 3.0  # type: ignore[operator]
    assert scorer([-1.0, -math.inf], ROW) == math.inf  # type: ignore[operator]


def test_divergence_is_a_mean_over_positions_and_cost_is_itself() -> None:
    assert kl_to_base([0.5, 0.0, 1.0], ROW) == 0.5
    assert cost(2.5, None) == 2.5
