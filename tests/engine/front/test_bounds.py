"""Bounds: their sides, which values meet them, and of several the narrowest."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import BadInput
from engine.front.bounds import FREE, Side, Unmet, bounds_of, check_bounds, sides, sides_of, unmet

VALUES = np.array([0.1, 0.6, 0.9, np.nan])


def test_a_pair_has_a_side_for_each_end_that_binds() -> None:
    assert sides(FREE) == []
    assert sides((0.6, 0.9)) == [Side("at least", 0.6), Side("at most", 0.9)]
    assert [(each.value, each.outwards) for each in sides((None, 0.0))] == [(0.0, 1)]
    bounds = {"a": (None, 1.0), "b": FREE, "c": (2.0, 1.0)}
    assert [(name, side.value) for name, side in sides_of(bounds)] == [
        ("a", 1.0), ("c", 2.0), ("c", 1.0),
    ]  # fmt: skip


def test_a_value_at_a_bound_meets_it_and_one_that_is_missing_does_not() -> None:
    low, high = sides((0.6, 0.6))
    assert low.met(VALUES).tolist() == [False, True, True, False]
    assert high.met(VALUES).tolist() == [True, True, False, False]
    assert low.violation(VALUES[:3]) == pytest.approx([0.5, 0.0, 0.0])
    assert high.violation(VALUES[:3]) == pytest.approx([0.0, 0.0, 0.3])


def test_of_several_bounds_on_one_side_the_narrowest_binds() -> None:
    found = bounds_of([("a", 0.2), ("b", 1.0), ("a", 0.4)], [("c", 3.0), ("a", 0.9), ("a", 0.7)])
    assert found == {"a": (0.4, 0.7), "b": (1.0, None), "c": (None, 3.0)}


def test_what_is_missed_is_named_with_the_value_that_would_meet_it() -> None:
    bounds = {"b": (2.0, 1.0), "a": (None, 5.0)}
    found = unmet(("a", "b"), np.array([4.0, 1.5]), bounds)
    assert found == (Unmet("b", 2.0, 1.5), Unmet("b", 1.0, 1.5))
    assert [each.words for each in found] == ["at least", "at most"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_bounds_nothing(value: float) -> None:
    with pytest.raises(BadInput, match="not finite"):
        check_bounds(("a",), {"a": (None, value)})
