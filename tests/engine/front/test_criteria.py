"""Constraints, trades and a utility against plain enumeration: on every golden set, and on drawn
tables with ties, duplicates, constant columns and missing scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from engine.errors import BadInput
from engine.front.bounds import Side, Unmet
from engine.front.cone import Trade, front_under, ordered, rows_of, trade
from engine.front.criteria import Criteria, constraint, criteria
from engine.front.preference import RHO, TIE, recommend
from engine.front.table import Table, front_report, recommend_report

GOLDEN = Path(__file__).parents[2] / "golden" / "pareto"
SETS = sorted(path.stem for path in GOLDEN.glob("set_*.npz"))
AB = ("a", "b")
UP = np.array([True, True])


def table(values, maximize=UP, names=AB):
    values = np.asarray(values, dtype=float)
    ids = [str(row) for row in range(len(values))]

    def document(row):
        scores = {
            name: {"mean": value, "stderr": 0.1}
            for name, value in zip(names, values[row].tolist(), strict=True)
        }
        return {"id": ids[row], "scores": scores}

    return Table(names, maximize, ids, values, np.zeros(len(values), dtype=bool), document)


# ---- plain enumeration: no numpy tricks, the definitions word by word


def better(one, other, names, maximize, trades):
    """Whether `one` is better: what it gains lies in the cone of e_i and the trades' directions,
    and is not nothing. One trade at most: the cone is {g : g_lost ≥ 0 or made up for, rest ≥ 0}."""
    gain = [(a - b) if up else (b - a) for a, b, up in zip(one, other, maximize, strict=True)]
    if not any(gain):
        return False
    for each in trades:
        lost, gained = names.index(each.lost), names.index(each.gained)
        if gain[lost] < 0:  # pay for the loss out of what is gained
            gain[gained] += gain[lost] * each.rate
            gain[lost] = 0.0
    return all(each >= -1e-12 for each in gain)


def enumerate_front(values, names, maximize, trades=()):
    return [
        row
        for row, one in enumerate(values)
        if not any(better(other, one, names, maximize, trades) for other in values)
    ]


def enumerate_pick(
    values, names, maximize, weights, constraints, trades=(), utility=None, fronts=None
):
    if fronts is None:
        fronts = {each: enumerate_front(values, names, maximize, each) for each in ((), trades)}
    pareto, members = fronts[()], fronts[trades]
    spread, best = {}, {}
    for column, name in enumerate(names):
        own = [values[row][column] for row in pareto]
        spread[name] = (max(own) - min(own)) or 0.0
        best[name] = max(own) if maximize[column] else min(own)

    def violation(row):
        total = 0.0
        for coefficients, sign, bound in constraints:
            left = sum(c * values[row][names.index(name)] for name, c in coefficients.items())
            unit = sum(abs(c) * (spread[name] or 1.0) for name, c in coefficients.items())
            total += max(sign * (bound - left), 0.0) / unit
        return total

    def shortfall(row):
        scaled = [
            w * abs(values[row][c] - best[n]) / spread[n] if spread[n] else 0.0
            for c, (n, w) in enumerate(zip(names, weights, strict=True))
        ]
        return max(scaled) + RHO * sum(scaled), sum(scaled)

    least = min(map(violation, members))
    left = [row for row in members if violation(row) <= (least + TIE if least else 0.0)]
    if utility is not None:
        return max(left, key=lambda row: (utility(values[row]), -row))
    first = min(shortfall(row)[0] for row in left)
    left = [row for row in left if shortfall(row)[0] <= first + TIE]
    second = min(shortfall(row)[1] for row in left)
    return next(row for row in left if shortfall(row)[1] <= second + TIE)


@pytest.mark.parametrize("name", SETS)
def test_recommend_is_what_enumeration_finds(name):
    golden = np.load(GOLDEN / f"{name}.npz")
    values, flip = golden["F"], np.zeros(golden["F"].shape[1], dtype=bool)
    names = tuple(f"o{column}" for column in range(values.shape[1]))
    nadir, ideal = golden["nadir"], golden["ideal"]
    middle = 2 * (ideal[0] + nadir[0]) / 2 + (ideal[-1] + nadir[-1]) / 2
    rows = [row.tolist() for row in values]
    rate = float((nadir[1] - ideal[1]) / ((nadir[0] - ideal[0]) or 1.0)) or 1.0
    trades = (Trade("o0", "o1", rate),)
    last = names[-1]
    fronts = {each: enumerate_front(rows, names, flip, each) for each in ((), trades)}
    for bound in (middle, 2 * ideal[0] + ideal[-1] - 1.0):  # within reach; out of reach
        text = f"2*o0 + {last} <= {float(bound)!r}"
        limits = [({"o0": 2.0, last: 1.0}, -1, float(bound))]
        for weights in golden["pref"]:
            asked = dict(zip(names, weights.tolist(), strict=True))
            for accepted in ((), trades):
                plain = criteria(names, [text], [str(each) for each in accepted])
                plain = Criteria(plain.constraints, accepted)
                found = recommend(names, values, flip, asked, criteria=plain)
                expected = enumerate_pick(
                    rows, names, flip, weights, limits, accepted, fronts=fronts
                )
                assert found.index == expected
                at = 2 * values[expected][0] + values[expected][-1]
                missed = [] if at <= bound else [Unmet(f"2*o0 + {last}", float(bound), at)]
                assert [each.name for each in found.unmet] == [each.name for each in missed]
                assert [each.closest for each in found.unmet] == pytest.approx(
                    [each.closest for each in missed]
                )
        useful = criteria(names, [text], utility=f"-(o0**2) - 2*{last}")
        found = recommend(names, values, flip, {}, criteria=useful)
        worth = enumerate_pick(
            rows, names, flip, weights, limits, (),
            lambda row: -(row[0] ** 2) - 2 * row[-1], fronts,
        )  # fmt: skip
        assert found.index == worth


def test_a_golden_bound_as_a_constraint():
    golden = np.load(GOLDEN / "mixed_direction.npz")
    names = ("first", "second", "latency")
    asked = criteria(names, ["first >= 0.4"])
    for weights in np.random.default_rng(1).dirichlet(np.ones(3), size=20):
        preferred = dict(zip(names, weights.tolist(), strict=True))
        given_ = golden["F"], golden["maximise"], preferred
        found = recommend(names, *given_, criteria=asked)
        assert found == recommend(names, *given_, {"first": (0.4, None)})
        assert golden["nd_keep_feasible"][found.index] and found.unmet == ()


# ---- constraints


def test_a_constraint_is_read_to_one_sum():
    found = constraint("2*facts - refusals/4 >= 0.5 + facts", ("refusals", "facts"), "x")
    assert found.coefficients == (("refusals", -0.25), ("facts", 1.0))
    assert found.side == Side("at least", 0.5) and str(found) == "-0.25*refusals + facts >= 0.5"
    assert str(constraint("`my loss` <= 2**3", ("my loss",), "x")) == "`my loss` <= 8"


@pytest.mark.parametrize(
    "text",
    ["a + b", "a > 1", "a == 1", "0 <= a <= 1", "a*b >= 1", "1/a >= 1", "a >= a", "1 >= 0",
     "max(a, b) >= 1", "a / 0 >= 1", "a**2 <= 1", "c >= 1", "1e308*10*a >= 1",
     "1e308*a + 1e308*b >= 0", "1e-320*a >= 0", "a >= 1e200"],
)  # fmt: skip
def test_what_is_no_linear_constraint_is_refused(text):
    with pytest.raises(BadInput):
        constraint(text, AB, "--constraint")


def test_what_cannot_be_met_is_named_with_the_closest_value():
    values = [[0.0, 1.0], [0.4, 0.5], [1.0, 0.0]]
    found = recommend(AB, values, UP, {"b": 1}, criteria=criteria(AB, ["a + 2*b >= 3", "a <= 2"]))
    assert found.index == 0 and found.unmet == (Unmet("a + 2*b", 3.0, 2.0),)
    assert found.unmet[0].words == "at least"


def test_constraints_may_be_over_objectives_that_are_not_compared():
    whole = table([[0.0, 1.0, 5.0], [0.4, 0.5, 1.0], [1.0, 0.0, np.nan]], [True] * 3, (*AB, "c"))
    whole = Table(whole.names, np.array([True] * 3), *list(vars(whole).values())[2:])
    asked = criteria(("a", "b", "c"), ["c <= 2"])
    found = recommend_report(whole, {"b": 1}, None, ["a", "b"], None, asked)
    assert found["point"]["id"] == "1" and found["unmet"] == []
    nothing = criteria(("a", "b", "c"), ["c >= 9"])
    found = recommend_report(whole, {"b": 1}, None, ["a", "b"], None, nothing)
    assert found["point"]["id"] == "0" and found["unmet"][0]["closest"] == 5.0


# ---- trades


def test_rows_of_one_trade_are_those_by_hand():
    assert rows_of(AB, ()).tolist() == [[1, 0], [0, 1]]
    found = rows_of(AB, (Trade("a", "b", 0.4),))
    assert found == pytest.approx(np.array([[0.4, 1.0], [0.0, 1.0]]))
    assert rows_of(AB, (Trade("a", "c", 1.0),)).tolist() == [[1, 0], [0, 1]]


def test_trades_in_chains_and_forks_bound_the_same_cone():
    """A row is never negative on a direction of the cone, and together they exclude all else."""
    names, draw = ("x", "y", "z"), np.random.default_rng(0)
    for trades in (
        (Trade("x", "y", 0.4), Trade("y", "z", 2.0)),
        (Trade("x", "y", 0.5), Trade("z", "y", 2.0)),
        (Trade("x", "y", 1.0), Trade("x", "z", 3.0)),
    ):
        directions = np.eye(3).tolist()
        for each in trades:
            directions.append([0.0] * 3)
            directions[-1][names.index(each.gained)] = each.rate
            directions[-1][names.index(each.lost)] = -1.0
        rows = rows_of(names, trades)
        assert (rows @ np.array(directions).T >= -1e-12).all()
        for point in draw.normal(size=(200, 3)):
            inside = nnls(np.array(directions).T, point)[1] < 1e-9
            assert inside == bool((rows @ point >= -1e-9).all())


def test_trades_that_give_something_for_nothing_are_refused():
    with pytest.raises(BadInput, match="for nothing"):
        criteria(AB, cone=["1 a for 0.5 b", "1 b for 0.5 a"])
    even = criteria(AB, cone=["1 a for 0.5 b", "1 b for 2 a"])  # one currency
    values = [[1.0, 0.0], [0.0, 0.5], [0.0, 0.4]]
    assert front_under(AB, values, UP, even.trades).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "text",
    ["a", "a for a", "a for c", "0 a for b", "-1 a for b", "a for nan b", "a to b", 7,
     "1e-300 a for 1e300 b", "1e300 a for 1e-300 b"],
)  # fmt: skip
def test_what_is_no_trade_is_refused(text):
    with pytest.raises(BadInput):
        trade(text, AB, "--cone")


def test_a_trade_between_spans_that_no_number_joins_is_refused():
    values = [[0.0, 0.0], [1e250, 1e-250], [2e250, 0.0]]
    with pytest.raises(BadInput, match="cannot be reckoned"):
        front_under(AB, values, UP, (Trade("a", "b", 1.0),))


def test_a_trade_of_a_minimised_objective_is_a_rise():
    names, flip = ("facts", "loss"), [True, False]
    values = [[0.5, 1.0], [0.8, 1.2], [0.6, 1.2]]
    accepted = criteria(names, cone=["1 loss for 1 facts"]).trades
    assert front_under(names, values, flip, ()).tolist() == [True, True, False]
    assert front_under(names, values, flip, accepted).tolist() == [False, True, False]


# ---- the documents


def test_the_front_leaves_out_what_misses_a_constraint_and_comes_by_utility():
    whole = table([[0.0, 1.0], [0.4, 0.5], [1.0, 0.0], [0.3, 0.4]])
    found = front_report(whole, criteria=criteria(AB, ["b <= 0.9"], utility="b - a"))
    assert found["front"] == ["1", "2"] and found["excluded"] == 1
    assert found["utility"] == pytest.approx({"1": 0.1, "2": -1.0})
    assert found["constraints"] == ["b <= 0.9"] and found["points"] == 4
    accepted = front_report(whole, criteria=criteria(AB, cone=["1 b for 0.5 a"]))
    assert accepted["front"] == ["2"] and accepted["cone"] == ["1 b for 0.5 a"]
    assert set(accepted["ranks"]) == {"0", "1", "2", "3"}
    none = front_report(whole, criteria=criteria(AB, ["b >= 9"]))
    assert none["front"] == [] and none["hypervolume"] is None and none["excluded"] == 4


def test_a_utility_comes_with_its_error():
    found = recommend_report(
        table([[0.0, 1.0], [0.4, 0.5]]), {}, criteria=criteria(AB, utility="3*a + 4*b")
    )
    assert found["point"]["id"] == "0" and found["utility"]["mean"] == 4.0
    assert found["utility"]["stderr"] == pytest.approx(0.5)


def test_a_utility_without_a_value_is_refused():
    with pytest.raises(BadInput, match="has no value"):
        recommend(AB, [[0.0, 0.0]], UP, {}, criteria=criteria(AB, utility="1/a"))
    found = recommend(AB, [[0.0, 2.0], [1.0, 1.0]], UP, {}, criteria=criteria(AB, utility="1/a"))
    assert found.index == 1


@pytest.mark.parametrize("utility", ["exp(1000*a)", "exp(1000*a) / (1 + exp(1000*a))"])
def test_a_utility_that_overflows_where_it_is_largest_is_refused(utility):
    """exp(1000) is no float64: the point must not drop out in favour of a worse one."""
    values, asked = [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], criteria(AB, utility=utility)
    with pytest.raises(BadInput, match="too large at a point"):
        recommend(AB, values, UP, {}, criteria=asked)
    with pytest.raises(BadInput, match="too large at a point"):
        front_report(table(values), criteria=asked)


# ---- drawn tables

VALUES = st.lists(
    st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) for _ in range(3)]),
    min_size=1, max_size=9,
)  # fmt: skip
THREE = ("a", "b", "c")
ASKED = criteria(THREE, ["2*a - b >= 0.5", "a + c <= 1.5"], ["1 a for 0.5 c"])


@settings(max_examples=60, deadline=None)
@given(
    VALUES,
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.booleans(),
)
def test_drawn_tables_give_what_enumeration_gives(values, maximize, weights, by_utility):
    assume(any(weights))
    limits = [({"a": 2.0, "b": -1.0}, 1, 0.5), ({"a": 1.0, "c": 1.0}, -1, 1.5)]
    asked = ASKED if not by_utility else ASKED.joined(criteria(THREE, utility="a*b - c"))
    whole = sum(weights)
    expected = enumerate_pick(
        values, THREE, maximize, [each / whole for each in weights], limits, ASKED.trades,
        (lambda row: row[0] * row[1] - row[2]) if by_utility else None,
    )  # fmt: skip
    found = recommend(
        THREE, values, np.array(maximize), dict(zip(THREE, weights, strict=True)), criteria=asked
    )
    assert found.index == expected


@settings(max_examples=40, deadline=None)
@given(VALUES, st.tuples(*[st.sampled_from([2.0**-7, 4.0, 1024.0])] * 3))
def test_units_and_signs_change_nothing(values, scale):
    """Objectives in other units, or minimised with their signs turned: the criteria are too. An
    objective that is the same all along the front has no range to count violations in."""
    front = np.array(values)[enumerate_front(values, THREE, [True] * 3)]
    assume((np.ptp(front, axis=0) > 0).all())
    values, weights = np.array(values), {"a": 1.0, "b": 2.0, "c": 1.0}
    up, (s, t, u) = np.array([True] * 3), scale
    found = recommend(THREE, values, up, weights, criteria=ASKED).index
    scaled = criteria(
        THREE, [f"2*a/{s} - b/{t} >= 0.5", f"a/{s} + c/{u} <= 1.5"], [f"{s} a for {0.5 * u} c"]
    )
    assert recommend(THREE, values * scale, up, weights, criteria=scaled).index == found
    turned = criteria(THREE, ["b - 2*a >= 0.5", "-a - c <= 1.5"], ["1 a for 0.5 c"])
    assert recommend(THREE, -values, ~up, weights, criteria=turned).index == found


@settings(max_examples=40, deadline=None)
@given(VALUES, st.integers(0, 8))
def test_duplicates_and_dominated_points_change_nothing(values, place):
    up, weights = np.array([True] * 3), {"a": 1.0, "b": 1.0}
    found = recommend(THREE, values, up, weights, criteria=ASKED)
    worst = tuple((np.min(values, axis=0) - 1.0).tolist())
    more = [*values, values[place % len(values)], worst]
    again = recommend(THREE, more, up, weights, criteria=ASKED)
    assert again.index == found.index and again.unmet == found.unmet


@settings(max_examples=40, deadline=None)
@given(VALUES, st.lists(st.integers(0, 26), max_size=4), st.booleans())
def test_missing_scores_are_set_aside(values, holes, by_utility):
    full = np.array(values)
    full.flat[[each % full.size for each in holes]] = np.nan
    whole = np.isfinite(full).all(axis=1)
    given_ = table(full, np.array([True] * 3), THREE)
    asked = ASKED.joined(criteria(THREE, utility="a - b")) if by_utility else ASKED
    if not whole.any():
        with pytest.raises(BadInput, match="none of"):
            recommend_report(given_, {"a": 1.0}, criteria=asked)
        return
    found = recommend_report(given_, {"a": 1.0}, criteria=asked)["point"]["id"]
    alone = recommend(THREE, full[whole], np.array([True] * 3), {"a": 1.0}, criteria=asked)
    assert int(found) == np.flatnonzero(whole)[alone.index]


def test_no_points_are_an_error_and_an_empty_front():
    nothing = table(np.zeros((0, 2)))
    with pytest.raises(BadInput, match="none of 0 points"):
        recommend_report(nothing, {"a": 1.0}, criteria=criteria(AB, ["a >= 1"]))
    found = front_report(nothing, criteria=criteria(AB, ["a >= 1"], ["1 a for 1 b"], "a"))
    assert found["front"] == [] and found["utility"] == {}
    assert ordered(AB, np.zeros((0, 2)), UP, ()).shape == (0, 2)
