"""The expected calibration error against a plain loop and simulated models of known calibration."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.scoring.calibration import ece
from engine.scoring.choices import Choices
from engine.scoring.registry import find_scorer
from engine.scoring.scores import Score, summarise

SCORER = find_scorer("ece")


def by_hand(sure: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Guo et al., equation 3: Σ |B| / n · |acc(B) − conf(B)|."""
    total = 0.0
    for k in range(bins):
        own = (sure > k / bins) & (sure <= (k + 1) / bins)
        if own.any():
            total += own.mean() * abs(right[own].mean() - sure[own].mean())
    return total


def draw(n: int, seed: int, over: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    sure = random.uniform(0.3, 0.99, n)
    return sure, (random.uniform(size=n) < sure - over).astype(float)


def scored(sure: np.ndarray, right: np.ndarray, bins: int = 15) -> Score:
    return summarise(SCORER, list(sure - right), options={"bins": bins})


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_a_plain_loop_gives_the_same(bins: int) -> None:
    sure, right = draw(300, bins)
    score = scored(sure, right, bins)
    assert score.mean == pytest.approx(by_hand(sure, right, bins), abs=1e-12)
    assert score.mean == pytest.approx(np.mean([each or 0.0 for each in score.values]))


def test_the_error_is_that_of_repeated_draws() -> None:
    """Of a model too sure by 0.15: the bootstrap's error, and an interval that mostly covers."""
    scores = [scored(*draw(400, seed, 0.15)) for seed in range(60)]
    means = np.array([each.mean for each in scores])
    errors = np.array([each.stderr for each in scores])
    assert errors.mean() == pytest.approx(means.std(ddof=1), rel=0.25)
    assert scored(*draw(400, 0)).stderr == scored(*draw(400, 0)).stderr


def test_confidence_is_the_softmax_of_the_choices() -> None:
    row: Any = SimpleNamespace(choices=("a", "b", "c"), answer=1)
    seen = Choices((math.log(0.2), math.log(0.5), math.log(0.3)), (1, 1, 1))
    assert ece(seen, row) == pytest.approx(-0.5)
    row.answer = 0
    assert ece(seen, row) == pytest.approx(0.5)
    tied = Choices((-1.0, -1.0, -9e9), (1, 1, 1))
    assert ece(tied, row) == pytest.approx(0.0)  # half sure, half right
    assert math.isnan(ece(Choices((-math.inf,) * 3, (1, 1, 1)), row))


def test_certain_models_lie_in_the_bins_at_the_ends() -> None:
    assert scored(np.ones(4), np.ones(4)).mean == 0.0
    assert scored(np.ones(4), np.zeros(4)).mean == 1.0
    assert scored(np.ones(4), np.array([1.0, 0.0, 1.0, 0.0])).mean == 0.5
