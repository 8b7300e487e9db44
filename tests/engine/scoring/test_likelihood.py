from __future__ import annotations

import math

import pytest

from engine.scoring.choices import Choices
from engine.scoring.data import Row
from engine.scoring.likelihood import choice, cost, kl_to_base, nll, perplexity

ROW = Row(0, 1, "0" * 64, prompt="?", choices=("a", "éééé", "bcd"), answer=1)


def seen(*sums: float, alone: tuple[float, ...] | None = None) -> Choices:
    return Choices(sums, (1, 3, 2), alone)


def test_choice_takes_the_largest_sum_and_shares_among_equals() -> None:
    assert choice(seen(-3.0, -2.0, -2.5), ROW) == 1.0
    assert choice(seen(-1.0, -2.0, -2.5), ROW) == 0.0
    assert choice(seen(-2.0, -2.0, -2.5), ROW) == 0.5
    assert choice(seen(-2.5, -2.0, -2.0), ROW) == 0.5
    assert choice(seen(-2.0, -2.5, -2.0), ROW) == 0.0
    assert choice(seen(-2.0, -2.0, -2.0), ROW) == pytest.approx(1 / 3)
    assert choice(seen(-math.inf, -2.0, -math.inf), ROW) == 1.0


@pytest.mark.parametrize(
    ("normalize", "sizes"), [("bytes", (1, 8, 3)), ("chars", (1, 4, 3)), ("tokens", (1, 3, 2))]
)
def test_choice_per_byte_character_and_token(normalize: str, sizes: tuple[int, ...]) -> None:
    """The delimiter is not among them: lm-eval's acc_norm counts characters without it."""
    first, right, last = (-size * 1.0 for size in sizes)
    assert choice(seen(first, right + 0.1, last), ROW, normalize=normalize) == 1.0
    assert choice(seen(first, right - 0.1, last), ROW, normalize=normalize) == 0.0
    assert choice(seen(first, right + 0.1, last), ROW, normalize="none") == 0.0


def test_choice_by_characters_is_that_of_lm_eval() -> None:
    """("a", "of") at (-1.0, -1.9): by characters without the space "of" is the likelier."""
    row = Row(0, 1, "0" * 64, prompt="?", choices=("a", "of"), answer=1)
    found = Choices((-1.0, -1.9), (1, 1))
    assert choice(found, row, normalize="chars") == 1.0
    assert choice(found, row) == 0.0


def test_choice_against_what_it_is_without_the_prompt() -> None:
    found = Choices((-1.0, -5.0, -3.0), (1, 1, 1), (-1.5, -8.0, -3.0))
    assert choice(found, ROW, normalize="unconditional") == 1.0
    assert choice(Choices(found.sums, found.tokens), ROW) == 0.0


def test_equal_texts_are_equal_choices_whatever_the_rounding() -> None:
    row = Row(0, 1, "0" * 64, prompt="?", choices=("yes", "no", "yes"), answer=2)
    assert choice(seen(-2.0, -3.0, -2.0000002), row) == 0.5
    assert choice(seen(-2.0000002, -3.0, -2.0), row) == 0.5


def test_choice_without_numbers_has_no_value() -> None:
    assert math.isnan(choice(seen(-math.inf, -math.inf, -math.inf), ROW))
    assert math.isnan(choice(seen(-1.0, math.nan, -2.0), ROW))
    alone = (-1.0, math.nan, -1.0)
    assert math.isnan(choice(seen(-1.0, -1.0, -2.0, alone=alone), ROW, normalize="unconditional"))
    empty = Row(0, 1, "0" * 64, prompt="?", choices=("a", "", "b"), answer=1)
    assert math.isnan(choice(seen(-1.0, -1.0, -2.0), empty, normalize="chars"))


@pytest.mark.parametrize("scorer", [nll, perplexity])
def test_losses_are_means_over_tokens(scorer: object) -> None:
    assert scorer([-1.0, -2.0, -6.0], ROW) == 3.0  # type: ignore[operator]
    assert scorer([-1.0, -math.inf], ROW) == math.inf  # type: ignore[operator]


def test_divergence_is_a_mean_over_positions_and_cost_is_itself() -> None:
    assert kl_to_base([0.5, 0.0, 1.0], ROW) == 0.5
    assert cost(2.5, None) == 2.5
