"""The pick: what the engine recommends over the points measured, bounds and frozen ranges."""

from __future__ import annotations

import numpy as np
import pytest

import engine  # noqa: F401
from engine.errors import BadInput
from engine.front.criteria import criteria
from engine.front.preference import Range, recommend
from engine.recipe import Names, Recipe, resolve
from studio.decide.bounds import within
from studio.decide.front import frozen
from studio.decide.picking import candidates, pick
from studio.decide.preference import Preference, equal, rebalanced
from studio.points.view import Axis, Measured, measure
from tests.studio.points.test_view import Point

FACTS = Axis("facts", True)
LOSS = Axis("loss", False)
COST = Axis("cost", False)
NAMES = Names(("helpful", "terse"))


def points(values: list[tuple[float, ...]], names: tuple[str, ...] = ("facts", "loss")) -> Measured:
    """Points of one method; NaN for a score that is missing."""
    mean = np.array(values, dtype=float)
    return Measured(
        names, tuple(f"p{i}" for i in range(len(mean))),
        tuple(Recipe("pcb", {"a": 0.01 * i}) for i in range(len(mean))),
        mean, np.full(mean.shape, 0.02),
        np.full(mean.shape, 40),
    )  # fmt: skip


def prefer(facts: float) -> Preference:
    return rebalanced(equal(["facts", "loss"]), "facts", facts)


TRADE = points([(0.1, 1.0), (0.5, 1.2), (0.9, 2.0), (0.4, 1.9), (np.nan, 0.1), (0.95, np.nan)])


@pytest.mark.parametrize(("facts", "row"), [(1.0, 2), (0.0, 0), (0.5, 1)])
def test_the_weights_decide_which_point_of_the_front(facts: float, row: int) -> None:
    found = pick(TRADE, [FACTS, LOSS], prefer(facts))
    assert found is not None and found.row == row
    assert found.front.rows.tolist() == [0, 1, 2]
    assert not found.unmet


def test_it_is_what_the_engine_recommends() -> None:
    rng = np.random.default_rng(3)
    axes = [FACTS, LOSS, COST]
    names = [axis.name for axis in axes]
    values = rng.normal(size=(300, 3)).round(1)
    measured = points(values.tolist(), ("facts", "loss", "cost"))
    for _ in range(50):
        weights = rng.multinomial(100, [1 / 3] * 3) / 100
        preference = Preference(dict(zip(names, weights.tolist(), strict=True)))
        low = float(rng.normal())
        bounds = {"facts": (low, None), "loss": (None, 0.5)} if rng.random() < 0.5 else {}
        found = pick(measured, axes, preference, bounds)
        maximize = [axis.maximize for axis in axes]
        wanted = recommend(names, values, maximize, preference.weights, bounds)
        assert found is not None
        assert (found.row, found.unmet) == (wanted.index, wanted.unmet)


def test_nothing_to_pick_where_no_point_has_every_score() -> None:
    measured = points([(0.1, np.nan), (np.nan, 1.0)])
    assert pick(measured, [FACTS, LOSS], prefer(0.5)) is None
    assert pick(measured, [FACTS], Preference({"facts": 1.0})) is not None


def test_a_bound_moves_the_pick_and_an_unmet_one_is_named_with_what_is_closest() -> None:
    found = pick(TRADE, [FACTS, LOSS], prefer(1.0), {"loss": (None, 1.5)})
    assert found is not None and found.row == 1 and not found.unmet
    found = pick(TRADE, [FACTS, LOSS], prefer(0.0), {"facts": (0.99, None)})
    assert found is not None and found.row == 2
    [missed] = found.unmet
    assert (missed.name, missed.bound, missed.closest) == ("facts", 0.99, 0.9)


def test_a_bound_on_an_objective_that_is_not_weighed_counts() -> None:
    measured = points(
        [(0.9, 1.0, 5.0), (0.8, 1.1, 2.0), (0.2, 0.9, 4.0)], ("facts", "loss", "cost")
    )
    axes, every = [FACTS, LOSS], [FACTS, LOSS, COST]
    found = pick(measured, axes, prefer(1.0), {"cost": (None, 3.0)}, every=every)
    assert found is not None and found.row == 1
    assert found.front.names == ("facts", "loss") and found.front.rows.tolist() == [1]
    assert found.front.ranges["loss"] == Range(0.9, 1.0)  # of every point, as without the bound
    found = pick(measured, axes, prefer(1.0), {}, every=every)
    assert found is not None and found.row == 0
    found = pick(measured, axes, prefer(1.0), {"cost": (None, 1.0)}, every=every)
    assert found is not None and found.row == 2 and found.unmet[0].closest == 4.0
    unknown = points([(0.9, 1.0, np.nan)], ("facts", "loss", "cost"))
    assert pick(unknown, axes, prefer(1.0), {"cost": (None, 3.0)}, every=every) is None


def test_the_pick_is_on_the_front_that_a_chart_draws_of_the_points_within_bounds() -> None:
    rng = np.random.default_rng(4)
    measured = points(rng.normal(size=(200, 3)).tolist(), ("facts", "loss", "cost"))
    every = [FACTS, LOSS, COST]
    for bounds in ({"cost": (None, 0.0)}, {"facts": (None, 0.5)}, {"loss": (0.2, 0.9)}):
        drawn = within(measured, every, bounds)
        members = {drawn.ids[row] for row in np.flatnonzero(drawn.front_of([FACTS, LOSS]))}
        found = candidates(measured, [FACTS, LOSS], bounds, every=every)
        assert {measured.ids[row] for row in found.rows} == members
        np.testing.assert_array_equal(found.values, measured.mean[found.rows][:, :2])


def test_frozen_ranges_are_those_of_the_models_once_all_are_scored() -> None:
    def model(name: str, facts: float, loss: float | None) -> Point:
        recipe = resolve(Recipe("single", {}, {"model": name}), NAMES)
        scores = {"facts": {"mean": facts}, "loss": {"mean": loss}}
        return Point(name, recipe.as_dict(), scores)

    some = [model("base", 0.2, 2.0), model("helpful", 0.6, 2.5)]
    last = model("terse", 0.3, 1.5)
    axes = [FACTS, LOSS]

    def read(points: list[Point]) -> dict[str, Range] | None:
        return frozen(measure(points, ("facts", "loss")), axes, len(NAMES.models))

    assert read(some) is None
    assert read([*some, model("terse", 0.3, None)]) is None
    found = read([*some, last])
    assert found == {"facts": Range(0.6, 0.2), "loss": Range(1.5, 2.5)}


def test_frozen_ranges_change_what_a_weight_means() -> None:
    wide = {"facts": Range(1.0, 0.0), "loss": Range(0.0, 100.0)}
    found = pick(TRADE, [FACTS, LOSS], prefer(0.5), ranges=wide)
    assert found is not None and found.row == 2  # the loss hardly varies on this scale


def test_what_is_chosen_among_is_found_once_for_the_points_there_are() -> None:
    measured = points([(0.1, 1.0), (0.5, 1.2)])
    first = candidates(measured, [FACTS, LOSS])
    assert candidates(measured, (FACTS, LOSS)) is first
    assert candidates(measured, [LOSS, FACTS]) is not first


def test_constraints_trades_and_utility_are_those_of_the_engine() -> None:
    rng, axes = np.random.default_rng(7), [FACTS, LOSS, COST]
    names = ["facts", "loss", "cost"]
    values = rng.normal(size=(120, 3)).round(1)
    measured, down = points(values.tolist(), ("facts", "loss", "cost")), [True, False, False]
    even = equal(names)
    for text in ("facts - loss >= 1", "facts + cost >= 90"):  # met by some, by none
        for more in ({}, {"cone": ["1 facts for 0.5 loss"]}, {"utility": "facts - loss**2"}):
            asked = criteria(names, [text], **more)
            found = pick(measured, axes, even, criteria=asked)
            kept = values
            if not (
                met := asked.constraints[0].side.met(asked.constraints[0].at(names, kept))
            ).any():
                met[:] = True
            # here the front is that of the points that meet what is asked, as it is with bounds
            rows = np.flatnonzero(met)
            whole = recommend(
                names, kept[rows], down, even.weights, criteria=asked,
                ranges=candidates(measured, axes).ranges,
            )  # fmt: skip
            assert found is not None and found.row == rows[whole.index]
            assert [each.name for each in found.unmet] == [each.name for each in whole.unmet]


def test_a_constraint_may_name_what_is_not_compared() -> None:
    measured = points([(0.1, 1.0), (0.5, 1.2), (0.9, 2.0)])
    asked = criteria(("facts", "loss"), ["2*loss <= 2.5"])
    found = pick(measured, [FACTS], equal(["facts"]), every=[FACTS, LOSS], criteria=asked)
    assert found is not None and found.row == 1


def test_a_utility_without_a_value_says_so() -> None:
    with pytest.raises(BadInput, match="has no value"):
        pick(TRADE, [FACTS, LOSS], prefer(0.5), criteria=criteria(("facts",), utility="log(-1)"))
