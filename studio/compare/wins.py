"""How often one column wins over another, and how sure that is.

Of n examples that both columns have a value of, the first does better on `first`, the second on
`second`, and they tie on the rest:

    share       first / (first + second), with Wilson's 95 % interval: 0.5 is no difference
    difference  mean of (value of first − value of second) over all n, its standard error
                sd(ddof 1) / √n: paired, so what both find hard counts for nothing
    p           exact sign test, two-sided: how likely a split at least as uneven is where each
                example that decides is as likely won by either; 1 where none decides
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

from engine.scoring.intervals import wilson
from studio.compare.slices import Examples


@dataclass(frozen=True)
class Wins:
    """One pair of columns.

    Attributes:
        one, other: the columns, by their place.
        n: examples that both have a value of.
        first, second: examples on which one, or the other, does better.
        difference, stderr: of the values as the scorer gives them; stderr NaN where n is 1.
        low, high: of the share of decided examples that the first wins; NaN if none is decided.
        p: of the sign test.
    """

    one: int
    other: int
    n: int
    first: int
    second: int
    difference: float
    stderr: float
    low: float
    high: float
    p: float

    @property
    def share(self) -> float:
        """Of decided examples; NaN if there are none."""
        decided = self.first + self.second
        return self.first / decided if decided else math.nan


def sign_test(first: int, second: int) -> float:
    """The exact two-sided p value for these numbers of wins."""
    n, fewer = first + second, min(first, second)
    if 2 * fewer >= n:
        return 1.0
    term = total = 1  # binomial coefficients as whole numbers: nothing is rounded before the end
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        total += term
    return float(Fraction(2 * total, 1 << n))


def wins(examples: Examples) -> list[Wins]:
    """Every pair of measured columns that share an example with a value."""
    found = []
    for one, other in combinations(examples.columns, 2):
        gaps = examples.values[one] - examples.values[other]
        gaps = gaps[np.isfinite(gaps)]
        if not len(gaps):
            continue
        first, second = (int(examples.better(*pair).sum()) for pair in ((one, other), (other, one)))
        decided = first + second
        low, high = wilson(first, decided) if decided else (math.nan, math.nan)
        spread = float(gaps.std(ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan
        found.append(
            Wins(
                one, other, len(gaps), first, second, float(gaps.mean()), spread, low, high,
                sign_test(first, second),
            )
        )  # fmt: skip
    return found


def wins_table(examples: Examples) -> list[dict[str, Any]]:
    """The table of pairs, with numeric columns."""
    return [
        {
            "first": examples.heading(each.one),
            "second": examples.heading(each.other),
            "first wins": each.first,
            "second wins": each.second,
            "ties": each.n - each.first - each.second,
            "first's share": each.share,
            "low": each.low,
            "high": each.high,
            "difference": each.difference,
            "± error": each.stderr,
            "p": each.p,
        }
        for each in wins(examples)
    ]


def wins_words(examples: Examples) -> list[str]:
    """A line for each pair that something decides: who wins, how often, and whether that could be
    chance."""
    found = []
    for each in wins(examples):
        if not each.first + each.second:
            continue
        one, other = examples.heading(each.one), examples.heading(each.other)
        found.append(
            f"{one} wins {each.first}, {other} wins {each.second} of {each.n}: "
            f"{one} takes {each.share:.0%} [{each.low:.0%}, {each.high:.0%}] of those decided; "
            f"difference {each.difference:+.3f} ± {each.stderr:.3f}; sign test p {_p(each.p)}."
        )
    return found


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
