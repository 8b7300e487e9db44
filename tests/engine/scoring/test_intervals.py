from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from engine.scoring import intervals
from engine.scoring.intervals import (
    ONE,
    Z95,
    interval,
    interval_columns,
    student,
    wilson,
    with_interval,
)
from engine.scoring.registry import SCORERS
from engine.scoring.scores import summarise

NLL, EXACT, PERPLEXITY, COST = (
    SCORERS[each] for each in ("nll", "exact_match", "perplexity", "cost")
)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    # NIST/SEMATECH e-Handbook 1.3.6.7.2, and R: qt(0.975, df)
    [
        (1, 12.70620473617471),
        (2, 4.302652729911275),
        (3, 3.182446305284263),
        (4, 2.776445105197799),
        (5, 2.570581835636314),
        (10, 2.228138851964939),
        (29, 2.045229642132703),
        (30, 2.042272456301238),
        (99, 1.984216951508341),
        (100, 1.983971518523552),
        (1000, 1.962339080792109),
    ],
)
def test_students_quantile_is_the_published_one(degrees: int, quantile: float) -> None:
    assert student(degrees) == pytest.approx(quantile, rel=1e-10)


def test_the_two_ways_to_a_quantile_meet() -> None:
    assert student(400) == pytest.approx((student(399) + student(401)) / 2, rel=1e-7)
    assert student(10**9) == pytest.approx(Z95)
    with pytest.raises(ValueError, match="degrees"):
        student(0)


@pytest.mark.parametrize("degrees", [399, 401, 450, 1000])
def test_a_quantile_holds_its_share_on_either_side_of_the_series(degrees: int) -> None:
    assert intervals._between(student(degrees), degrees) == pytest.approx(0.95, abs=1e-13)


@pytest.mark.parametrize("n", [1, 2, 7, 300, 10_000])
def test_wilson_stays_inside_and_says_something_at_the_ends(n: int) -> None:
    low, high = wilson(0, n)
    assert low == 0.0 and 0.0 < high < 1.0
    assert wilson(n, n) == (pytest.approx(1.0 - high), 1.0)
    share = Z95**2 / (n + Z95**2)
    assert high == pytest.approx(share)


def test_an_interval_of_small_samples_holds_the_mean_as_often_as_it_says() -> None:
    draw, held = random.Random(1), 0
    for _ in range(2000):
        score = summarise(NLL, [draw.gauss(5.0, 1.0) for _ in range(4)])
        assert score.low is not None and score.high is not None
        held += score.low <= 5.0 <= score.high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)  # the normal interval holds 0.855


def test_an_exact_score_and_one_example_have_none() -> None:
    assert interval(COST, 1.5, None, 1) == (None, None)
    assert interval(NLL, 1.5, None, 1) == (None, None)
    assert interval(EXACT, 1.0, None, 1) == (pytest.approx(0.2065493), 1.0)
    assert interval(NLL, None, None, 3) == (None, None)


def test_what_was_stored_is_not_trusted() -> None:
    stored = {"mean": 0.5, "stderr": 0.5, "n": 3, "low": -0.48, "high": 1.48}
    told = with_interval("nll", stored)
    assert told["low"] == 0.0 and told["high"] == pytest.approx(0.5 + 4.302652729911275 * 0.5)
    share = with_interval("exact_match", {"mean": 0.0, "stderr": 0.0, "n": 10, "low": 0, "high": 0})
    assert share["low"] == 0.0 and share["high"] == pytest.approx(0.27754, abs=1e-5)
    assert with_interval("nll", {"mean": 2.0, "stderr": None, "n": 1})["note"] == ONE
    assert "note" not in with_interval("cost", {"mean": 2.0, "stderr": None, "n": 1})
    nothing = {"mean": None, "stderr": None, "n": 3, "low": None, "high": None}
    assert with_interval("nll", nothing) == nothing
    assert with_interval("a scorer of later", stored) == stored


def test_columns_are_the_same_as_one_by_one() -> None:
    names = ["nll", "exact_match", "perplexity", "cost"]
    mean = np.array([[0.2, 0.0, 1.5, 1.0], [np.nan, 1.0, np.nan, 2.0], [3.0, 0.4, 1e300, 1.0]])
    stderr = np.array([[0.3, 0.0, 0.9, np.nan], [np.nan, 0.0, 2.0, np.nan], [0.1, 0.2, 1e302, 0]])
    n = np.array([[4.0, 9.0, 2.0, 1.0], [np.nan, 1.0, 5.0, 1.0], [700.0, 5.0, 3.0, 1.0]])
    low, high = interval_columns(names, mean, stderr, n)
    for row in range(3):
        for column, name in enumerate(names):
            m, e, k = mean[row, column], stderr[row, column], n[row, column]
            given = (None if math.isnan(each) else float(each) for each in (m, e))
            right = interval(SCORERS[name], *given, None if math.isnan(k) else int(k))
            found = (low[row, column], high[row, column])
            for one, other in zip(right, found, strict=True):
                assert (one is None) == bool(np.isnan(other))
                assert one is None or one == pytest.approx(other)
    assert not (low < 0).any() and low[0, 2] == 1.0


def test_a_scorer_of_any_sign_is_not_cut() -> None:
    reward = replace(NLL, least=-math.inf)
    low, _ = interval(reward, 0.1, 1.0, 3)
    assert low == pytest.approx(0.1 - student(2))
