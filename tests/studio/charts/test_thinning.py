"""Thinning: the outline stays, the densities stay, the same rows come again."""

from __future__ import annotations

import numpy as np
import pytest

from studio.charts.thinning import thinned


@pytest.fixture
def cloud() -> np.ndarray:
    """9 of 10 points crowd into a tenth of the plane; one stands alone, last."""
    random = np.random.default_rng(0)
    crowd = random.uniform(0, 0.1, (18_000, 2))
    rest = random.uniform(0, 1, (2_000, 2))
    return np.vstack([crowd, rest, [[5.0, 5.0]]])


def test_few_points_are_all_drawn() -> None:
    assert thinned(np.zeros((5, 2)), 5).tolist() == [0, 1, 2, 3, 4]
    assert thinned(np.zeros((0, 2)), 5).tolist() == []


def test_as_many_as_wanted_are_drawn_each_once_and_the_same_again(cloud: np.ndarray) -> None:
    rows = thinned(cloud, 1000)
    assert len(rows) == 1000 and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, thinned(cloud.copy(), 1000))


def test_a_point_that_stands_alone_is_never_lost(cloud: np.ndarray) -> None:
    assert 20_000 in thinned(cloud, 100)


def test_where_there_are_more_points_more_are_drawn() -> None:
    random = np.random.default_rng(0)
    values = np.vstack([random.uniform(0, 1, (16_000, 2)), random.uniform(1, 2, (4_000, 2))])
    rows = thinned(values, 2000)
    assert 2.5 < (rows < 16_000).sum() / (rows >= 16_000).sum() < 5.5


def test_points_at_one_place_and_three_dimensions_are_thinned_too() -> None:
    assert len(thinned(np.ones((500, 3)), 100)) == 100
    assert len(thinned(np.random.default_rng(0).normal(size=(5000, 3)), 400)) == 400


def test_what_must_be_kept_is_kept_beyond_the_number_wanted(cloud: np.ndarray) -> None:
    keep = np.zeros(len(cloud), dtype=bool)
    keep[:50] = True
    rows = thinned(cloud, 100, keep)
    assert set(range(50)) <= set(rows.tolist()) and 100 <= len(rows) <= 150


def test_an_added_point_changes_few_of_those_drawn(cloud: np.ndarray) -> None:
    before = set(thinned(cloud, 1000).tolist())
    after = set(thinned(np.vstack([cloud, [[0.05, 0.05]]]), 1000).tolist())
    assert len(before - after) < 50
