"""The posterior over slider positions, judged by regret: what a voter loses by its best point."""

from __future__ import annotations

import numpy as np
import pytest

from engine.front.pareto import front_mask
from engine.front.preference import chebyshev
from studio.votes.posterior import Duel, posterior, utilities


def front(random: np.random.Generator, count: int = 40, objectives: int = 3) -> np.ndarray:
    """Terms of a dense front, float64 [points, objectives], each column from 0 to 1."""
    points = random.dirichlet(np.ones(objectives), 400) ** 0.5
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= 1 - 0.15 * random.random((400, 1))
    kept = 1 - points[front_mask(points, [True] * objectives)][:count]
    return (kept - kept.min(axis=0)) / np.ptp(kept, axis=0)


def regrets(seed: int, asked: str, votes: int) -> list[float]:
    """What a simulated voter, who is right 82 times in 100 at a tenth of a range, loses by the
    posterior's best point, before the first vote and after each."""
    random = np.random.default_rng(seed)
    terms = front(random)
    own = utilities(terms, random.dirichlet(np.ones(3))[None])[0]
    duels: list[Duel] = []
    found = []
    for turn in range(votes + 1):
        known = posterior(terms, duels, seed=turn)
        found.append(float(own.max() - own[known.best]))
        one, other = random.choice(len(terms), 2, replace=False).tolist()
        if asked == "proposed":
            pair = known.next_pair()
            assert pair is not None
            one, other = pair
        wins = random.random() < 1 / (1 + np.exp(-15 * (own[one] - own[other])))
        duels.append((one, other, float(wins)))
    return found


def test_proposed_pairs_find_a_voters_point_sooner_than_random_ones() -> None:
    asked = np.array([regrets(seed, "proposed", 15) for seed in range(24)]).mean(axis=0)
    random = np.array([regrets(seed, "random", 15) for seed in range(24)]).mean(axis=0)
    assert asked[15] < 0.25 * asked[0]  # 0.13 of a range before the first vote
    assert asked[15] < 0.6 * random[15]
    assert asked[5] < random[5]


def test_utilities_are_minus_what_the_preference_panel_minimises() -> None:
    random = np.random.default_rng(1)
    terms, weights = random.random((7, 4)), random.dirichlet(np.ones(4), 5)
    for row, each in enumerate(weights):
        assert utilities(terms, weights)[row] == pytest.approx(-chebyshev(terms, each))


def test_the_posterior_is_that_of_a_grid() -> None:
    """Two objectives: one weight, so that it can be summed over a fine grid."""
    terms = np.array([[0.0, 1.0], [0.3, 0.4], [1.0, 0.0]])
    duels: list[Duel] = [(0, 1, 1.0), (1, 2, 0.5), (0, 2, 1.0)]
    found = posterior(terms, duels, draws=60_000)
    w = np.linspace(0.0, 1.0, 4001)
    utility = utilities(terms, np.stack([w, 1 - w], axis=1))
    likelihood = np.zeros(len(w))
    for decided in (2.0, 5.0, 10.0, 20.0, 40.0):
        each = np.ones(len(w))
        for one, other, score in duels:
            chance = 1 / (1 + np.exp(-decided * (utility[:, one] - utility[:, other])))
            each *= chance**score * (1 - chance) ** (1 - score)
        likelihood += each
    share = likelihood / likelihood.sum()
    assert found.position[0] == pytest.approx(share @ w, abs=0.005)
    assert found.expected == pytest.approx(share @ utility, abs=0.005)
    assert found.best == (share @ utility).argmax() and found.spread[0] < 0.25  # 0.29 before
    regret = share @ utility.max(axis=1) - (share @ utility).max()
    assert found.regret == pytest.approx(regret, abs=0.003)


def test_many_votes_are_met_with_more_draws() -> None:
    random = np.random.default_rng(5)
    terms = front(random)
    own = utilities(terms, np.array([[0.6, 0.3, 0.1]]))[0]
    pairs = [random.choice(len(terms), 2, replace=False).tolist() for _ in range(300)]
    found = posterior(terms, [(a, b, float(own[a] > own[b])) for a, b in pairs])
    assert len(found.share) > 2000 and own.max() - own[found.best] < 0.02
    assert found.position == pytest.approx([0.6, 0.3, 0.1], abs=0.1)


def test_it_is_the_same_by_seed_and_knows_when_there_is_nothing_to_ask() -> None:
    terms = front(np.random.default_rng(0))
    one, other = posterior(terms, [(0, 1, 1.0)], 3), posterior(terms, [(0, 1, 1.0)], 3)
    assert np.array_equal(one.share, other.share) and one.next_pair() == other.next_pair()
    assert not np.array_equal(one.weights, posterior(terms, [(0, 1, 1.0)], 4).weights)
    assert posterior(np.zeros((1, 2)), []).next_pair() is None
    assert posterior(np.zeros((3, 2)), []).next_pair() is None  # duplicates of one point
    assert one.draws > 100
