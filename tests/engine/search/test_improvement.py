"""Expected gain of hypervolume: exact volumes, greedy batches, noise, bounds and seconds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.search.improvement import choose, gain, volume

ONE = np.ones(2)


def test_a_gain_is_the_difference_of_two_volumes() -> None:
    rng = np.random.default_rng(0)
    for m in (2, 3, 4):
        reference = np.ones(m)
        for _ in range(20):
            front, point = rng.uniform(0, 1.1, (6, m)), rng.uniform(0, 1.1, m)
            both = volume(np.vstack((front, point)), reference)
            assert gain(point, front, reference) == pytest.approx(both - volume(front, reference))
    assert gain(np.array([0.5, 1.2]), np.empty((0, 2)), ONE) == 0.0


def test_the_batch_is_the_best_pair_and_its_gain_is_joint() -> None:
    """Two that are good alone and the same together are not taken both."""
    measured = np.array([[[0.9, 0.9]]])
    candidates = np.array([[[0.2, 0.5], [0.21, 0.5], [0.6, 0.1], [0.95, 0.95]]])
    found = choose(measured, candidates, ONE, np.ones(4), 2)
    pairs = {
        pair: volume(np.vstack((measured[0], candidates[0, list(pair)])), ONE)
        for pair in itertools.combinations(range(4), 2)
    }
    best = max(pairs, key=lambda pair: pairs[pair])
    assert set(found.chosen) == set(best) == {0, 2}
    assert found.gain == pytest.approx(pairs[best] - volume(measured[0], ONE))
    assert found.volume == pytest.approx(0.01) and found.noise == 0.0


def test_a_lucky_score_is_no_wall() -> None:
    """Where what is measured is uncertain, what lies behind it in half the draws still counts."""
    candidates = np.broadcast_to([[[0.4, 0.4]]], (2, 1, 2))
    lucky = np.array([[[0.3, 0.3]], [[0.8, 0.8]]])
    found = choose(lucky, candidates, ONE, np.ones(1), 1)
    assert found.chosen == [0] and found.gain == pytest.approx((0.36 - 0.04) / 2)
    assert found.noise > 0.1
    assert choose(lucky[:1], candidates[:1], ONE, np.ones(1), 1).chosen == []


def test_seconds_and_bounds_count() -> None:
    candidates = np.array([[[0.2, 0.5], [0.5, 0.25]]])
    nothing = np.empty((1, 0, 2))
    assert choose(nothing, candidates, ONE, np.ones(2), 1).chosen == [0]
    assert choose(nothing, candidates, ONE, np.array([2.0, 1.0]), 1).chosen == [1]
    bound = np.array([1.0, 0.45])  # the second objective must be below
    assert choose(nothing, candidates, bound, np.array([1.0, 9.0]), 2).chosen == [1]
