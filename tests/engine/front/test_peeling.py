from __future__ import annotations

import moocore
import numpy as np
import pytest

from engine.front.peeling import peel

CASES = {
    "apart": lambda dice: dice.random((2000, 4)),
    "together": lambda dice: 0.95 * dice.random((2000, 1)) + 0.05 * dice.random((2000, 6)),
    "rounded": lambda dice: np.round(dice.random((2000, 1)) + 0.3 * dice.random((2000, 3)), 2),
    "doubled": lambda dice: np.repeat(dice.random((300, 5)), 3, axis=0),
    "scales": lambda dice: dice.standard_cauchy((1500, 3)) * [1e-9, 1.0, 1e12],
    "one number": lambda dice: np.repeat(dice.random((200, 1)), 3, axis=1),
    "equal": lambda dice: np.ones((150, 3)),
    "against": lambda dice: (lambda one: np.hstack([one, -one, one * one]))(dice.random((900, 1))),
    "one": lambda dice: dice.random((1, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_ranks_are_those_of_peeling_all_that_is_left(name):
    points = CASES[name](np.random.default_rng(4))
    points = np.ascontiguousarray(np.random.default_rng(5).permutation(points))
    assert (peel(points) == np.asarray(moocore.pareto_rank(points)) + 1).all()
