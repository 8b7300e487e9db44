"""Wins of a pair of columns, by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from studio.compare.wins import sign_test, wins, wins_table, wins_words
from tests.studio.compare.test_slices import NAN, examples


def test_a_pair_by_hand() -> None:
    """Of five, the first is right alone on three, the second on one, and they tie on one."""
    [found] = wins(examples([1, 1, 1, 0, 1], [0, 0, 0, 1, 1]))
    assert (found.n, found.first, found.second, found.share) == (5, 3, 1, 0.75)
    assert found.difference == pytest.approx(0.4)
    gaps = np.array([1, 1, 1, -1, 0.0])
    assert found.stderr == pytest.approx(gaps.std(ddof=1) / math.sqrt(5))
    assert (found.low, found.high) == pytest.approx((0.3006, 0.9544), abs=1e-4)  # Wilson, 3 of 4
    assert found.p == pytest.approx(2 * (1 + 4) / 16)


def test_where_less_is_better_the_smaller_wins_and_the_difference_is_the_scorers() -> None:
    [found] = wins(examples([1.0, 2.0], [1.5, 2.5], maximize=False, proportion=False))
    assert (found.first, found.second) == (2, 0)
    assert found.difference == -0.5 and found.stderr == 0.0


def test_examples_without_a_value_count_for_nothing() -> None:
    [found] = wins(examples([1, NAN, 0], [0, 1, NAN]))
    assert (found.n, found.first, found.second) == (1, 1, 0) and math.isnan(found.stderr)
    assert wins(examples([1, 0], [NAN, NAN])) == []
    assert wins(examples([1, 0])) == []


def test_every_pair_of_measured_columns_is_counted() -> None:
    found = examples([1, 0], [0, 1], [0, 0], measured=[True, False, True])
    assert [(each.one, each.other) for each in wins(found)] == [(0, 2)]
    [row] = wins_table(found)
    assert (row["first"], row["second"], row["first wins"], row["ties"]) == ("A helpful", "C", 1, 1)


def test_in_words_only_where_something_decides() -> None:
    assert wins_words(examples([1, 0], [1, 0])) == []
    [line] = wins_words(examples([1] * 12, [0] * 11 + [1]))
    assert line == (
        "A helpful wins 11, B harmless wins 0 of 12: A helpful takes 100% [74%, 100%] of those "
        "decided; difference +0.917 ± 0.083; sign test p below 0.001."
    )


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 1, 1.0), (0, 6, 2 / 64), (6, 0, 2 / 64),
     (1, 9, 2 * 11 / 1024), (4, 5, 1.0)],
)  # fmt: skip
def test_the_sign_test_is_exact(first: int, second: int, p: float) -> None:
    assert sign_test(first, second) == pytest.approx(p, rel=1e-12)


def test_the_sign_test_of_many_neither_overflows_nor_rounds() -> None:
    whole = Fraction(2 * sum(math.comb(5000, k) for k in range(2401)), 1 << 5000)
    assert sign_test(2400, 2600) == float(whole) and 0.0048 < whole < 0.005
    assert sign_test(0, 5000) == 0.0  # below any float
