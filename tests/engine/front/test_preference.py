from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import BadInput
from engine.front.bounds import Bounds, Unmet
from engine.front.pareto import front_mask
from engine.front.preference import (
    Range,
    chebyshev,
    nearest_to_bounds,
    ranges_of,
    recommend,
    scale_weights,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "pareto"
AB = ("a", "b")
UP = [True, True]
CONCAVE = [[0.0, 1.0], [0.4, 0.5], [1.0, 0.0]]  # a weighted sum never finds the middle one


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("set_*.npz")))
def test_golden_choices(name):
    golden = np.load(GOLDEN / f"{name}.npz")
    values, down = golden["F"], np.zeros(golden["F"].shape[1], dtype=bool)
    names = tuple(f"o{column}" for column in range(values.shape[1]))
    ranges = ranges_of(names, values[golden["nd_keep"]], down)
    assert [ranges[each].ideal for each in names] == pytest.approx(golden["ideal"])
    assert [ranges[each].nadir for each in names] == pytest.approx(golden["nadir"])
    for weights, chosen in zip(golden["pref"], golden["sel_acheb"], strict=True):
        asked = dict(zip(names, 7 * weights, strict=True))  # scaled to sum one
        expected = golden["front_idx"][chosen]
        assert recommend(names, values, down, asked).index == expected
        assert recommend(names, -values, ~down, asked).index == expected


def test_golden_bound():
    golden = np.load(GOLDEN / "mixed_direction.npz")
    values, up = golden["F"], golden["maximise"]
    names = ("first", "second", "latency")
    bounds: Bounds = {"first": (0.4, None)}
    for weights in np.random.default_rng(1).dirichlet(np.ones(3), size=20):
        found = recommend(names, values, up, dict(zip(names, weights, strict=True)), bounds)
        assert golden["nd_keep_feasible"][found.index] and found.unmet == ()


def test_the_scalarisation_by_hand():
    found = chebyshev(np.array([[0.5, 1.0], [2.0, 0.0]]), np.array([0.75, 0.25]))
    assert found == pytest.approx([0.375 + 0.625e-6, 1.5 + 1.5e-6], abs=1e-12)
    # c is better by far more than a is worse
    values = [[0.0, 1.0, 0.0], [0.5 - 1e-7, 0.5, 0.5], [0.5, 0.5, 0.0], [1.0, 0.0, 0.5]]
    weights = {"a": 1, "b": 1, "c": 0.5}
    assert recommend(("a", "b", "c"), values, [True] * 3, weights).index == 1


def test_concave_parts_are_reached():
    assert recommend(AB, CONCAVE, UP, {"a": 1, "b": 1}).index == 1
    assert recommend(AB, CONCAVE, UP, {"a": 9, "b": 1}).index == 2
    assert recommend(AB, CONCAVE, UP, {"b": 1}).index == 0


def test_units_do_not_matter():
    values = np.array(CONCAVE) * [1000.0, 1e-3] + [5.0, -7.0]
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 1
    assert recommend(AB, values * [-1, 1], [False, True], {"a": 1, "b": 1}).index == 1


def test_dominated_points_are_never_chosen_and_do_not_move_the_ranges():
    values = [*CONCAVE, [0.39, 0.49], [-50.0, -50.0]]
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 1


def test_only_the_weighted_objective_counts_then_the_weighted_sum():
    # both are best in a; the weighted sum is equal too, so the earlier one
    values = [[1.0, 0.0, 0.5], [1.0, 0.5, 0.0], [0.0, 1.0, 1.0]]
    assert recommend(("a", "b", "c"), values, [True] * 3, {"a": 1}).index == 0
    # equal in the largest term (0.5), different in the sum
    values = [[0.0, 1.0, 0.4], [0.5, 0.5, 0.0], [0.5, 0.5, 1.0], [1.0, 0.0, 0.4]]
    assert recommend(("a", "b", "c"), values, [True] * 3, {"a": 1, "b": 1}).index == 2


def test_duplicates_give_the_earlier_point():
    values = [[0.0, 1.0], [0.4, 0.5], [0.4, 0.5], [1.0, 0.0]]
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 1


def test_mirrored_ties_give_the_earlier_point():
    values = np.array([[0.0, 1.0], [0.3, 0.7], [0.7, 0.3], [1.0, 0.0]]) / 3
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 1
    assert recommend(AB, values[::-1], UP, {"a": 1, "b": 1}).index == 1


def test_an_objective_without_a_range_adds_nothing():
    values = [[0.0, 5.0], [1.0, 5.0]]
    assert recommend(AB, values, UP, {"a": 1, "b": 100}).index == 1
    assert recommend(AB, [[2.0, 3.0]], UP, {"a": 1}).index == 0


def test_bounds_narrow_the_choice_and_not_the_ranges():
    values = [[0.0, 1.0], [0.2, 0.9], [0.5, 0.55], [0.9, 0.3], [1.0, 0.0]]
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 2
    assert recommend(AB, values, UP, {"a": 1, "b": 1}, {"b": (0.6, None)}).index == 1
    assert recommend(AB, values, UP, {"a": 1, "b": 1}, {"a": (0.9, None)}).index == 3
    assert recommend(AB, values, UP, {"a": 1, "b": 1}, {"a": (None, 0.2)}).index == 1


def test_an_unmet_bound_gives_the_least_violation():
    found = recommend(AB, CONCAVE, UP, {"b": 1}, {"a": (2.0, None)})
    assert found.index == 2 and found.unmet == (Unmet("a", 2.0, 1.0),)
    found = recommend(AB, CONCAVE, UP, {"a": 1}, {"b": (None, -0.5)})
    assert found.index == 2 and found.unmet == (Unmet("b", -0.5, 0.0),)


def test_bounds_that_conflict_name_those_missed():
    bounds = {"a": (0.9, None), "b": (0.45, None)}
    found = recommend(AB, CONCAVE, UP, {"a": 1, "b": 1}, bounds)
    # (1, 0) misses b by 0.45, (0.4, 0.5) misses a by 0.5
    assert found.index == 2 and found.unmet == (Unmet("b", 0.45, 0.0),)
    moved = {**bounds, "b": (found.unmet[0].closest, None)}
    assert recommend(AB, CONCAVE, UP, {"a": 1, "b": 1}, moved).unmet == ()


def test_violations_are_compared_in_units_of_the_range():
    values = np.array(CONCAVE) * [1000.0, 1.0]
    bounds = {"a": (900.0, None), "b": (0.45, None)}
    assert recommend(AB, values, UP, {"a": 1, "b": 1}, bounds).index == 2


def test_frozen_ranges_replace_those_of_the_front():
    values = [[0.0, 1.0], [0.5, 0.8], [1.0, 0.0]]
    assert recommend(AB, values, UP, {"a": 1, "b": 1}).index == 1
    frozen = {"a": Range(ideal=1.0, nadir=0.0), "b": Range(ideal=1.0, nadir=-100.0)}
    assert recommend(AB, values, UP, {"a": 1, "b": 1}, ranges=frozen).index == 2


def test_reference_of_a_range():
    assert Range(ideal=1.0, nadir=0.0).reference == pytest.approx(-0.1)
    assert Range(ideal=1.0, nadir=3.0).reference == pytest.approx(3.2)
    assert Range(ideal=1.0, nadir=1.0).reference == 1.0


def test_weights_are_scaled_to_sum_one():
    assert scale_weights(AB, {"b": 3, "a": 1}).tolist() == [0.25, 0.75]
    assert scale_weights(AB, {"a": 1e308, "b": 1e308}).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({}, "every weight is 0"),
        ({"a": 0.0}, "every weight is 0"),
        ({"a": -1.0}, "-1"),
        ({"a": float("nan")}, "nan"),
        ({"aa": 1.0}, "Did you mean a"),
    ],
)
def test_weights_that_cannot_be_used(weights, said):
    with pytest.raises(BadInput, match=said):
        recommend(AB, CONCAVE, UP, weights)


@pytest.mark.parametrize(
    "bounds", [{"c": (1.0, None)}, {"a": (None, float("inf"))}, {"a": (float("nan"), None)}]
)
def test_bounds_that_cannot_be_used(bounds):
    with pytest.raises(BadInput, match="bound on"):
        recommend(AB, CONCAVE, UP, {"a": 1}, bounds)


def test_the_choice_is_on_the_front_whatever_the_weights():
    random = np.random.default_rng(2)
    for _ in range(50):
        values = random.integers(0, 6, size=(30, 3)).astype(float)
        weights = dict(zip("abc", random.random(3), strict=True))
        up = random.random(3) < 0.5
        assert front_mask(values, up)[recommend(("a", "b", "c"), values, up, weights).index]


def test_violations_are_added_in_units_of_each_range() -> None:
    """0.2 of a wide range is nearer than 0.5 of a narrow one, wherever the ranges begin."""
    names, values = ("wide", "narrow"), [[18.0, 101.0], [20.0, 100.5]]
    ranges = {"wide": Range(20.0, 10.0), "narrow": Range(101.0, 100.0)}
    bounds = {"wide": (20.0, None), "narrow": (101.0, None)}
    assert nearest_to_bounds(names, values, bounds, ranges).tolist() == [0]
    flat = ranges | {"wide": Range(20.0, 20.0)}  # a range of no width counts in its own units
    assert nearest_to_bounds(names, values, bounds, flat).tolist() == [1]
