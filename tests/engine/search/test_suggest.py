"""The posterior behind `suggest`, its batches, and evolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cmaes import CMA

from engine.errors import BadInput
from engine.front.pareto import hypervolume
from engine.search.evolving import next_population, population, weighted
from engine.search.posterior import Posterior, scaled
from engine.search.suggest import Arm, Goal, Suggestion, suggest

RANGES = np.array([[0.0, 1.5], [0.0, 1.0]])
GOALS = (
    Goal("facts", True, "logit", 0.0, False, 0.1, 1.0),
    Goal("safe", True, "logit", 0.0, False, 0.1, 1.0),
)
Floats = np.ndarray[Any, np.dtype[np.float64]]


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def truth(places: Floats) -> Floats:
    """Two objectives against each other, and a narrow best between."""
    a, b = places.T
    return np.column_stack([sigmoid(3 * a - 2 * b - 1 - (a - 1) ** 2), sigmoid(4 * b - 2 * a - 1)])


def arm(places: Floats, of: Callable[[Floats], Floats] = truth, **more: Any) -> Arm:
    mean = of(places)
    rows = np.full(mean.shape, 200.0)
    error = np.sqrt(np.abs(mean * (1 - mean)) / 199)
    given: dict[str, Any] = {"method": "task_arithmetic", "parameters": {}, "simplex": 0} | more
    return Arm(
        names=("x", "y"), ranges=RANGES, places=places, mean=mean, stderr=error, n=rows, **given
    )  # fmt: skip


def spread(n: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).uniform(size=(n, 2)) * RANGES[:, 1]


def test_the_posterior_knows_a_quadratic_and_what_it_does_not_know() -> None:
    places = spread(25)
    values = truth(places)[:, 0]
    units = scaled(places, RANGES, 0)
    model = Posterior(units, values, np.full(25, 2000.0), "logit", 0.0)
    new = spread(200, 9)
    normal = np.random.default_rng(1).standard_normal((400, 200))
    drawn = model.draws(scaled(new, RANGES, 0), normal)
    assert np.abs(np.median(drawn, axis=0) - truth(new)[:, 0]).mean() < 0.02
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    caught = ((truth(new)[:, 0] >= low - 0.01) & (truth(new)[:, 0] <= high + 0.01)).mean()
    assert caught > 0.9
    few = Posterior(units[:4], values[:4], np.full(4, 2000.0), "logit", 0.0)
    assert few.draws(scaled(new, RANGES, 0), normal).std() > 2 * drawn.std(axis=0).mean()


def test_draws_are_joint_and_points_of_few_rows_are_uncertain() -> None:
    places = np.array([[0.1, 0.1], [0.7, 0.5], [1.4, 0.9], [0.2, 0.9]])
    n = np.array([1000.0, 4.0, 1000.0, 1000.0])
    model = Posterior(scaled(places, RANGES, 0), np.array([0.2, 0.5, 0.7, 0.4]), n, "logit", 0.0)
    normal = np.random.default_rng(0).standard_normal((2000, 4))
    own = model.draws(scaled(places, RANGES, 0), normal).std(axis=0)
    assert own[1] > 3 * own[[0, 2, 3]].max()
    near = np.array([[0.7, 0.9], [0.72, 0.9], [0.1, 0.4]])
    drawn = model.draws(scaled(near, RANGES, 0), normal[:, :3])
    together = np.corrcoef(drawn.T)
    assert together[0, 1] > 0.95 > together[0, 2]


def nothing() -> Floats:
    return np.empty((0, 2))


def test_the_same_points_and_seed_give_the_same_batch_of_new_places() -> None:
    known = arm(spread(12))
    found = suggest([known], nothing(), GOALS, 4, (3, 12))
    assert found == suggest([known], nothing(), GOALS, 4, (3, 12))
    assert found != suggest([known], nothing(), GOALS, 4, (4, 12))
    assert len(set(found.positions)) == 4 and found.gain and found.gain > 0 and found.noise
    for _, place in found.positions:
        assert (RANGES[:, 0] <= place).all() and (place <= RANGES[:, 1]).all()
        assert np.abs(known.places - place).max(axis=1).min() > 0.0005


def grown(seed: int, pick: Callable[[Arm, int], Floats]) -> float:
    places = spread(6, seed)
    while len(places) < 22:
        places = np.vstack((places, pick(arm(places), len(places))))
    return hypervolume(truth(places), [True, True], [0.1, 0.1])


def test_it_beats_random_points() -> None:
    def suggested(known: Arm, done: int) -> Floats:
        found: Suggestion = suggest([known], nothing(), GOALS, 4, (0, done))
        return np.array([place for _, place in found.positions])

    for seed in range(3):
        by_chance = [grown(seed, lambda _, n, k=k: spread(4, 77 + k + n)) for k in range(3)]
        assert grown(seed, suggested) > max(by_chance)


def test_the_arm_of_most_gain_a_second_gets_the_batch() -> None:
    def poor(places: Floats) -> Floats:
        return 0.4 * truth(places)

    good, bad = arm(spread(10)), arm(spread(10, 1), poor, method="pcb")
    found = suggest([bad, good], nothing(), GOALS, 4, (0, 20))
    assert {number for number, _ in found.positions} == {1}
    slow, quick = replace(arm(spread(10)), seconds=100.0), arm(spread(10), method="pcb")
    found = suggest([slow, quick], nothing(), GOALS, 4, (0, 20))
    assert {number for number, _ in found.positions} == {1}


def test_a_bound_moves_the_search_to_where_it_is_met() -> None:
    bound = (GOALS[0], replace(GOALS[1], reference=0.6))
    known = arm(spread(14))
    places = np.array([p for _, p in suggest([known], nothing(), bound, 6, (0, 14)).positions])
    free = np.array([p for _, p in suggest([known], nothing(), GOALS, 6, (0, 14)).positions])
    assert truth(places)[:, 1].min() > 0.5 > truth(free)[:, 1].min()


def test_what_is_counted_is_known_and_shares_sum_to_one() -> None:
    def counted(places: Floats) -> Floats:
        return np.column_stack([truth(places)[:, 0], np.full(len(places), 3.0)])

    cost = Goal("cost", False, "identity", 0.0, True, 4.0, 1.0)
    places = spread(9) + 0.05
    shared = arm(places / places.sum(axis=1, keepdims=True), counted, simplex=1)
    found = suggest([shared], nothing(), (GOALS[0], cost), 3, (0, 9))
    assert found.positions
    for _, place in found.positions:
        assert sum(place) == pytest.approx(1.0, abs=0.002)


def test_an_evolution_is_that_of_the_package_and_goes_on_where_it_was() -> None:
    ranges = np.array([[0.0, 2.0], [0.0, 2.0]])

    def value(place: tuple[float, ...]) -> float:
        return -((place[0] - 1.5) ** 2) - (place[1] - 0.4) ** 2

    known: dict[tuple[float, ...], float | None] = {}
    plain = CMA(np.full(2, 0.5), 1 / 6, bounds=np.array([[0.0, 1.0]] * 2), seed=5)
    for generation in range(25):
        places = [tuple(each) for each in next_population(ranges, 0, known, 5).tolist()]
        if generation < 5:
            units = [plain.ask() for _ in range(population(2))]
            np.testing.assert_allclose(places, 2 * np.array(units), atol=1e-4)
            plain.tell([(u, -value(p)) for u, p in zip(units, places, strict=True)])
            for place in places[:3]:  # stopped in the middle of it: the rest is asked for
                known[place] = value(place)
            rest = [tuple(each) for each in next_population(ranges, 0, known, 5).tolist()]
            assert rest == places[3:]
        known |= {place: value(place) for place in places}
    assert max(known, key=value) == pytest.approx((1.5, 0.4), abs=0.02)
    failed = dict.fromkeys(known)
    assert next_population(ranges, 0, failed, 5).shape == (population(2), 2)
    with pytest.raises(BadInput, match="two coefficients"):
        next_population(ranges[:1], 0, {}, 5)


def test_weighted_sums_are_over_the_frozen_ranges() -> None:
    mean = np.array([[0.5, 3.0, 1.0], [1.0, 1.0, 1.0], [np.nan, 1.0, 1.0]])
    ideal, nadir = np.array([1.0, 1.0, 1.0]), np.array([0.0, 5.0, 1.0])
    found = weighted(mean, ideal, nadir, np.array([0.5, 0.25, 0.25]))
    assert found == [pytest.approx(0.5 * 0.5 + 0.25 * 0.5), pytest.approx(0.75), None]
    shares = next_population(np.array([[0.0, 1.0]] * 3), 1, {}, 0)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=2e-4)
