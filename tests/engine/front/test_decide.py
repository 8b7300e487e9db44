"""Knees, neighbours and trades, on fronts small enough to see."""

from __future__ import annotations

import numpy as np
import pytest

from engine.front import decide
from engine.front.decide import knees, neighbours, trade
from engine.front.preference import Range

DOWN = [False, False]
BENT = np.array([[0.0, 1.0], [0.1, 0.2], [0.5, 0.15], [1.0, 0.0]])


def test_the_knee_of_a_bent_front() -> None:
    assert knees(BENT, DOWN).tolist() == [False, True, False, False]


def test_directions_and_units_change_no_knee() -> None:
    other = BENT * [-100.0, 3.0] + [7.0, -2.0]
    assert knees(other, [True, False]).tolist() == [False, True, False, False]
    frozen = [Range(0.0, 5.0), Range(0.0, 0.5)]
    assert knees(BENT, DOWN, frozen).tolist() == [False, True, False, False]


def test_a_front_may_have_two_knees_and_the_order_of_the_points_does_not_matter() -> None:
    front = np.array([[0.0, 1.0], [0.05, 0.7], [0.45, 0.5], [0.5, 0.2], [1.0, 0.0]])
    expected = np.array([False, True, False, True, False])
    order = np.array([3, 0, 4, 2, 1])
    assert knees(front, DOWN).tolist() == expected.tolist()
    assert knees(front[order], DOWN).tolist() == expected[order].tolist()


def test_duplicates_of_a_knee_are_knees_and_dominated_points_never() -> None:
    values = np.vstack((BENT, BENT[1], [0.2, 0.3]))
    assert knees(values, DOWN).tolist() == [False, True, False, False, True, False]


@pytest.mark.parametrize(
    "values",
    [
        [[0.0, 1.0], [0.6, 0.9], [1.0, 0.0]],  # concave
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]],  # straight
        [[0.0, 1.0], [1.0, 0.0]],
        [[0.3, 0.3], [0.3, 0.3], [0.3, 0.3]],
        np.empty((0, 2)),
    ],
)
def test_no_knee_where_there_is_none(values: np.ndarray) -> None:
    assert not knees(values, DOWN).any()


def test_an_objective_without_a_range_counts_for_nothing() -> None:
    flat = np.column_stack((BENT, np.full(len(BENT), 4.0)))
    assert knees(flat, [False] * 3).tolist() == knees(BENT, DOWN).tolist()


def test_the_knee_of_a_front_in_three_objectives() -> None:
    corners = np.eye(3)
    rng = np.random.default_rng(0)
    plane = rng.dirichlet(np.ones(3) * 3, size=20)
    values = np.vstack((corners, plane, [0.1, 0.1, 0.1]))
    kept = (values[:, None, :] >= values[None, -1:, :]).all(axis=2).reshape(-1)
    values = np.vstack((values[~kept], values[-1:]))
    found = knees(values, [False] * 3)
    assert found[-1] and found.sum() == 1
    assert knees(-values, [True] * 3).tolist() == found.tolist()


def test_one_point_that_is_best_twice_leaves_a_plane_of_equal_counts() -> None:
    values = np.array([[0.0, 0.0, 1.0], [0.9, 0.1, 0.5], [0.2, 0.2, 0.1], [1.0, 1.0, 0.0]])
    assert knees(values, [False] * 3).tolist() == [False, False, True, False]


def test_three_points_are_enough_for_a_knee() -> None:
    assert knees([[0.0, 1.0], [0.2, 0.3], [1.0, 0.0]], DOWN).tolist() == [False, True, False]


def test_neighbours_as_deep_are_knees_both() -> None:
    values = [[0.0, 1.0], [0.1, 0.6], [0.4, 0.3], [1.0, 0.0]]
    assert knees(values, DOWN).tolist() == [False, True, True, False]


def test_depth_is_the_distance_from_the_plane_through_the_best_points() -> None:
    chance, cut = np.random.default_rng(2), [0, 0]
    for _ in range(40):
        members, extremes = chance.random((4, 3)), chance.random((3, 3)) * (1.0 - np.eye(3))
        normal = np.cross(extremes[1] - extremes[0], extremes[2] - extremes[0])
        normal /= np.linalg.norm(normal) * np.sign(normal.sum())
        cuts_every_axis = bool(normal.min() > 0.0)
        cut[cuts_every_axis] += 1
        if cuts_every_axis:
            wanted = [(extremes[0] - each) @ normal for each in members]
        else:  # all objectives count the same
            wanted = [(extremes.sum() / 3 - each.sum()) / 3**0.5 for each in members]
        assert decide._depth(members, extremes) == pytest.approx(np.array(wanted))
    assert min(cut) >= 5


@pytest.mark.parametrize("twice", [0, 1, 2])
def test_best_points_that_fall_together_span_no_plane(twice: int) -> None:
    members, extremes = np.array([[0.2, 0.3, 0.1]]), np.eye(3)
    extremes[twice] = extremes[twice - 1]
    wanted = (1.0 - 0.6) / 3**0.5
    assert decide._depth(members, extremes) == pytest.approx([wanted])


def test_neighbours_along_a_front_of_two() -> None:
    front = np.array([3, 0, 1, 2])
    assert neighbours(BENT, DOWN, None, front, 1) == (0, 2)
    assert neighbours(BENT, DOWN, None, front, 1, [0.2, 0.8]) == (2, 0)
    assert neighbours(BENT, DOWN, None, front, 0) == (None, 1)
    assert neighbours(-BENT, [True, True], None, front, 3) == (2, None)


def test_duplicates_of_the_pick_are_not_its_neighbours() -> None:
    values = np.vstack((BENT, BENT[1]))
    assert neighbours(values, DOWN, None, [0, 1, 2, 3, 4], 1) == (0, 2)
    assert neighbours(values, DOWN, None, [1], 1) == (None, None)


def test_neighbours_in_three_objectives_lie_on_either_side_of_the_leading_one() -> None:
    values = np.array(
        [[0.5, 0.5, 0.5], [0.4, 0.6, 0.5], [0.0, 1.0, 0.5], [0.6, 0.45, 0.45], [0.9, 0.0, 0.5]]
    )
    unit, down, rows = [Range(0.0, 1.0)] * 3, [False] * 3, range(5)
    assert neighbours(values, down, unit, rows, 0, [0.6, 0.2, 0.2]) == (1, 3)
    assert neighbours(values, down, unit, rows, 0, [0.2, 0.6, 0.2]) == (3, 1)
    # where little of the third objective is much, its equals are near
    fine = [Range(0.0, 1.0), Range(0.0, 1.0), Range(0.0, 0.01)]
    assert neighbours(values, down, fine, rows, 0, [0.2, 0.6, 0.2]) == (4, 1)


def test_a_trade_says_gains_in_own_units_whatever_the_direction() -> None:
    values = np.array([[0.6, 2.0], [0.7, 2.5]])
    assert trade(values, [True, False], 0, 1) == pytest.approx([0.1, -0.5])
    assert trade(values, [True, False], 1, 0) == pytest.approx([-0.1, 0.5])
    assert trade(values, [True, False], 1, 1).tolist() == [0.0, 0.0]
