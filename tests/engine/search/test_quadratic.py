"""What determines a quadratic, and where to measure next."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.quadratic import features, fill, informative, parameters_needed

RANGES = [(2, [0.0, 1.5]), (3, [0.0, 2.0]), (5, [-1.0, 1.0]), (7, [0.0, 1.5])]


def rank(positions: np.ndarray, simplex: bool) -> int:
    return int(np.linalg.matrix_rank(features(positions, simplex)))


@pytest.mark.parametrize("simplex", [False, True])
@pytest.mark.parametrize(("k", "limits"), RANGES)
def test_as_many_as_there_are_parameters_determine_it(
    k: int, limits: list[float], simplex: bool
) -> None:
    if simplex and limits[0] < 0:
        limits = [0.0, 1.0]
    need = parameters_needed(k, simplex)
    found = fill([limits] * k, np.empty((0, k)), need, 0, simplex)
    assert found.shape == (need, k) and rank(found, simplex) == need
    assert (found >= limits[0]).all() and (found <= limits[1]).all()
    np.testing.assert_array_equal(found, np.round(found, 2))
    if simplex:
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_what_is_there_is_built_upon() -> None:
    """Twenty points along one axis determine three parameters; three more positions suffice."""
    axis = np.column_stack((np.linspace(0.0, 1.5, 20), np.zeros(20)))
    more = fill([[0.0, 1.5]] * 2, axis, 3)
    assert rank(np.vstack((axis, more)), False) == 6
    assert informative(np.vstack((axis, more)), more, 9).tolist() == []


def test_the_rest_is_spread_and_nothing_comes_twice() -> None:
    first = np.array([[0.0, 0.0], [1.5, 1.5]])
    found = fill([[0.0, 1.5]] * 2, first, 30, seed=3)
    every = np.vstack((first, found))
    assert len(np.unique(every, axis=0)) == 32
    gaps = np.sqrt(((every[:, None] - every[None]) ** 2).sum(axis=2)) + 9.0 * np.eye(32)
    assert gaps.min() > 0.1  # a square of side 1.5 leaves 32 points about 0.27 apart
    holes = np.random.default_rng(0).uniform(0.0, 1.5, (500, 2))
    assert np.sqrt(((holes[:, None] - every[None]) ** 2).sum(axis=2)).min(axis=1).max() < 0.35


def test_the_same_seed_gives_the_same_positions() -> None:
    one, two, other = (fill([[0.0, 1.0]] * 2, np.empty((0, 2)), 12, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_proportions_that_are_measured_are_not_asked_again() -> None:
    found = fill([[0.0, 1.5]] * 2, np.array([[3.0, 3.0], [0.0, 0.4]]), 5, simplex=True)
    assert not {(0.5, 0.5), (0.0, 1.0)} & {tuple(row) for row in found.tolist()}


def test_a_range_without_room_gives_fewer() -> None:
    assert fill([[0.5, 0.5]], np.empty((0, 1)), 4).tolist() == [[0.5]]
    assert fill([[0.5, 0.5]], np.array([[0.5]]), 4).shape == (0, 1)
    assert len(fill([[0.0, 0.02]], np.empty((0, 1)), 9)) == 3
