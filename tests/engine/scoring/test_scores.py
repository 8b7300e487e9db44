from __future__ import annotations

import json
import math
import random

import pytest

from engine.scoring.intervals import student
from engine.scoring.registry import find_scorer
from engine.scoring.scores import summarise

EXACT, NLL, PERPLEXITY = (find_scorer(name) for name in ("exact_match", "nll", "perplexity"))


def test_a_proportion_by_hand() -> None:
    score = summarise(EXACT, [1.0, 1.0, 0.0, 1.0])
    assert score.mean == 0.75 and score.n == 4
    assert score.stderr == pytest.approx(0.25)  # sd = sqrt(0.75 / 3) = 0.5, over 2
    # Wilson's interval for 3 of 4, as in R: binom::binom.wilson(3, 4)
    assert score.low == pytest.approx(0.3006418, abs=1e-6)
    assert score.high == pytest.approx(0.9544127, abs=1e-6)
    assert score.values == (1.0, 1.0, 0.0, 1.0)


def test_a_mean_by_hand() -> None:
    score = summarise(NLL, [1.0, 2.0, 3.0])
    assert score.mean == 2.0
    assert score.stderr == pytest.approx(1 / math.sqrt(3))
    # Student's t with 2 degrees: 4.302653; the lower end, −0.48, is below what a loss can be
    assert score.low == 0.0
    assert score.high == pytest.approx(2.0 + 4.302652729911275 / math.sqrt(3))


@pytest.mark.parametrize("scorer", [NLL, PERPLEXITY])
def test_one_example_has_no_error(scorer: object) -> None:
    score = summarise(scorer, [0.5])  # type: ignore[arg-type]
    assert (score.stderr, score.low, score.high) == (None, None, None)
    single = summarise(EXACT, [1.0])
    assert single.stderr is None and single.low is not None and single.high == 1.0


def test_equal_examples_have_an_error_of_zero() -> None:
    score = summarise(NLL, [0.1] * 10)
    assert score.stderr == pytest.approx(0.0, abs=1e-16)
    assert summarise(PERPLEXITY, [0.5] * 4, [1.0, 2.0, 3.0, 4.0]).stderr == pytest.approx(0.0)


def test_perplexity_weighs_tokens_and_not_examples() -> None:
    score = summarise(PERPLEXITY, [1.0, 2.0], [3.0, 1.0])
    assert score.mean == pytest.approx(math.exp(5 / 4))
    # residuals t(v − r) = 3 · −¼ and 1 · ¾; variance of the ratio = n/(n−1) · Σ e² / T²
    error = math.sqrt(2 * (0.75**2 + 0.75**2)) / 4
    assert score.stderr == pytest.approx(math.exp(5 / 4) * error)
    assert score.low == 1.0  # exp(5/4 − 12.7 error) is below what a perplexity can be
    assert score.high == pytest.approx(math.exp(5 / 4 + student(1) * error))
    assert score.values == (pytest.approx(math.e), pytest.approx(math.e**2))


def test_the_error_of_perplexity_is_that_of_repeated_draws() -> None:
    draw = random.Random(3)

    def sample(n: int) -> tuple[list[float], list[float]]:
        tokens = [float(draw.randint(2, 30)) for _ in range(n)]
        return [draw.gammavariate(4.0, 0.3) + 0.01 * each for each in tokens], tokens

    scores = [summarise(PERPLEXITY, *sample(200)) for _ in range(400)]
    means = [score.mean for score in scores]
    centre = sum(means) / len(means)  # type: ignore[arg-type]
    spread = math.sqrt(sum((mean - centre) ** 2 for mean in means) / (len(means) - 1))  # type: ignore[operator]
    claimed = sum(score.stderr for score in scores) / len(scores)  # type: ignore[misc]
    assert claimed == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("scorer", [EXACT, NLL, PERPLEXITY])
def test_what_is_not_finite_is_null_and_takes_the_mean_with_it(
    scorer: object, value: float
) -> None:
    score = summarise(scorer, [1.0, value, 0.0])  # type: ignore[arg-type]
    assert (score.mean, score.stderr, score.low, score.high, score.n) == (*[None] * 4, 3)
    assert score.values[1] is None and score.values[0] is not None
    assert score.error is not None and "1 of 3 examples" in score.error
    assert "example 2" in score.error
    json.dumps([score.as_dict(), score.values], allow_nan=False)


def test_a_perplexity_beyond_all_numbers_is_null() -> None:
    score = summarise(PERPLEXITY, [1e4, 1e4])
    assert score.mean is None and score.stderr is None and score.values == (None, None)
    assert score.error == "its perplexity exceeds the range of a float"
    long = summarise(PERPLEXITY, [1e4, 1.0], [1.0, 1e6])
    assert long.mean == pytest.approx(math.exp((1e4 + 1e6) / (1e6 + 1)))
    json.dumps([long.as_dict(), long.values], allow_nan=False)


def test_no_values_and_wrong_weights_are_faults() -> None:
    with pytest.raises(ValueError, match="at least one"):
        summarise(NLL, [])
    with pytest.raises(ValueError, match="weights"):
        summarise(PERPLEXITY, [1.0], [1.0, 2.0])


def test_no_number_is_below_what_is_possible_nor_a_negative_zero() -> None:
    rounded = summarise(NLL, [-0.0, -1e-9])  # logits minus their logsumexp round above 0
    assert rounded.mean == 0.0 and math.copysign(1.0, rounded.mean) == 1.0
    assert rounded.low == 0.0
    sure = summarise(PERPLEXITY, [-1e-9, -1e-9])
    assert (sure.mean, sure.low, sure.high) == (1.0, 1.0, 1.0)
    assert all(math.copysign(1.0, each) == 1.0 for each in summarise(NLL, [-0.0]).values)  # type: ignore[arg-type]
