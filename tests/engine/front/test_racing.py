"""Racing against a planted truth: what is stopped, and how seldom it is on the true front."""

from __future__ import annotations

import numpy as np
import pytest

from engine.front.noise import Kind
from engine.front.pareto import front_mask
from engine.front.racing import SHARES, block, chances, results_on

NAMES, MAXIMIZE = ("first", "second"), [True, True]


def race(kinds: list[Kind], values: list[np.ndarray], threshold: float) -> tuple[np.ndarray, int]:
    """bool [points], those that are left for all rows; and the rows that were scored to stop the
    others, each block whole."""
    left, spent = np.ones(len(values[0]), dtype=bool), 0
    for share in SHARES:
        n = block(share, values[0].shape[1])
        own = [results_on(k, v[left, :n], "rows") for k, v in zip(kinds, values, strict=True)]
        spent += n * int(left.sum())
        keep = ~(chances(NAMES, MAXIMIZE, own) < threshold)
        left[np.flatnonzero(left)[~keep]] = False
    return left, spent


def world(seed: int, rows: int = 128) -> tuple[np.ndarray, list[np.ndarray]]:
    """Truths [40, 2], a trade-off with most points well inside it, and results by row: hard rows
    are hard for all."""
    random = np.random.default_rng(seed)
    along = random.uniform(0, 1, 40)
    inside = random.choice([0.0, 0.5, 0.8], 40, p=[0.15, 0.5, 0.35])
    truth = np.column_stack([along, 1 - along**2]) - inside[:, None]
    hard = random.normal(0, 0.5, (2, 1, rows))
    own = random.normal(0, 0.3, (2, 40, rows))
    return truth, list(truth.T[:, :, None] + hard + own)


def test_what_is_clearly_worse_is_stopped_and_the_true_front_is_not() -> None:
    threshold, lost, true, stopped, inside, spent = 0.05, 0, 0, 0, 0, 0
    for seed in range(25):
        truth, values = world(seed)
        left, rows = race(["mean", "mean"], values, threshold)
        front = front_mask(truth, MAXIMIZE)
        lost, true = lost + int((front & ~left).sum()), true + int(front.sum())
        stopped, inside = stopped + int((~left & ~front).sum()), inside + int((~front).sum())
        spent += rows
    assert true > 100
    assert lost / true <= threshold
    assert stopped / inside > 0.8
    assert spent < 0.4 * 25 * 40 * 128


@pytest.mark.parametrize("kind", ["proportion", "mean", "perplexity"])
def test_one_that_wins_everywhere_stays_and_one_that_loses_everywhere_goes(kind: Kind) -> None:
    random = np.random.default_rng(0)
    share = np.repeat([[0.9], [0.5], [0.1]], 64, axis=1)
    values = share + 0.05 * random.normal(size=share.shape)
    if kind == "proportion":
        values = (random.uniform(size=share.shape) < share).astype(float)
    elif kind == "perplexity":
        values = np.exp(values)
    own = results_on(kind, values, "rows")
    found = chances(NAMES, MAXIMIZE, [own, own])
    assert found[0] > 0.99 and found[2] < 0.001


def test_an_objective_that_is_counted_keeps_a_cheap_point() -> None:
    values = np.repeat([[0.9], [0.1]], 32, axis=1) + np.random.default_rng(1).normal(size=(2, 32))
    cost = results_on("exact", np.empty((2, 0)), "cost", np.array([2.0, 1.0]))
    found = chances(("score", "cost"), [True, False], [results_on("mean", values, "rows"), cost])
    assert found.tolist() == [1.0, 1.0] or (found[1] == 1.0 and found[0] > 0.5)


def test_blocks_are_large_enough_to_have_an_error() -> None:
    assert [block(share, 64) for share in SHARES] == [8, 16, 32]
    assert [block(share, 6) for share in SHARES] == [6, 6, 6]
