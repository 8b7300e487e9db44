"""From what is asked to scaled objectives and back: constraints, trades, rates in own units; and
the climb of a utility along the front."""

from __future__ import annotations

import numpy as np
import pytest

from engine.search.climbing import climb
from engine.search.ferero import Region, solve
from engine.search.wanted import Wanted, told_of

NAMES = ["facts", "loss"]
"""facts = 80 − 40 |λ − a|², a share in per cent to be maximised; loss = 2 + |λ − b|²."""

A, B = np.array([0.9, 0.2]), np.array([0.1, 0.6])
BOX = Region(np.zeros(2), np.ones(2))


def own(place):
    return np.array([80 - 40 * ((place - A) ** 2).sum(), 2 + ((place - B) ** 2).sum()])


def asked(**payload):
    given = {"compare": NAMES, "ranges": {"facts": [80.0, 48.0], "loss": [2.0, 2.8]}, **payload}
    return Wanted(NAMES, [True, False], given)


def evaluate_with(wanted, seen=None):
    def evaluate(place):
        if seen is not None:
            seen.append(place)
        slopes = np.array([-80 * (place - A), 2 * (place - B)])
        return wanted.scaled(own(place), slopes)

    return evaluate


def on_front(place):
    """Whether a place lies on the segment from A to B, where the front is."""
    along = B - A
    share = (place - A) @ along / (along @ along)
    return np.linalg.norm(place - A - share * along) < 1e-3 and -1e-3 <= share <= 1 + 1e-3


def test_weights_give_the_chebyshev_optimum_in_own_units():
    wanted = asked(weights={"facts": 1.0, "loss": 3.0})
    found = solve(evaluate_with(wanted), np.array([0.3, 0.9]), BOX, wanted.preference())
    values = wanted.own(found.values)
    shortfall = (80 - values[0]) / 32, (values[1] - 2) / 0.8
    assert shortfall[0] == pytest.approx(3 * shortfall[1], abs=1e-5) and on_front(found.place)


def test_rates_are_what_a_move_along_the_front_costs():
    wanted = asked(weights={"facts": 1.0, "loss": 1.0})
    found = solve(evaluate_with(wanted), np.array([0.3, 0.9]), BOX, wanted.preference())
    told = told_of(found, wanted, ["a", "b"], BOX)
    [rate] = told["rates"]
    assert (rate["of"], rate["in"]) == ("loss", "facts")
    moved = own(found.place + 1e-4 * (B - A)) - own(found.place)  # towards less loss
    assert rate["rate"] == pytest.approx(moved[0] / moved[1], rel=1e-3)
    assert told["why"] == "still" and told["unmet"] == [] and told["binding"] == []


def test_constraints_hold_in_own_units_and_are_named():
    wanted = asked(weights={"loss": 1.0}, constraints=["facts >= 70", "loss <= 9"])
    found = solve(evaluate_with(wanted), np.array([0.3, 0.9]), BOX, wanted.preference())
    told = told_of(found, wanted, ["a", "b"], BOX)
    assert told["values"]["facts"] == pytest.approx(70.0, abs=1e-3)
    assert told["binding"] == ["facts >= 70"] and told["violation"] < 1e-6
    over_both = asked(weights={"loss": 1.0}, constraints=["facts - 10*loss >= 50"])
    found = solve(evaluate_with(over_both), np.array([0.3, 0.9]), BOX, over_both.preference())
    values = over_both.own(found.values)
    assert values[0] - 10 * values[1] == pytest.approx(50.0, abs=1e-3)


def test_what_cannot_be_met_is_missed_least_and_named():
    wanted = asked(weights={"loss": 1.0}, constraints=["facts >= 95"])
    found = solve(evaluate_with(wanted), np.array([0.3, 0.9]), BOX, wanted.preference())
    [missed] = told_of(found, wanted, ["a", "b"], BOX)["unmet"]
    assert missed["name"] == "facts" and missed["bound"] == 95.0
    assert missed["closest"] == pytest.approx(80.0, abs=0.01)


def test_a_slider_at_its_end_is_said():
    wanted = asked(weights={"facts": 1.0})
    narrow = Region(np.zeros(2), np.array([0.5, 1.0]))
    found = solve(evaluate_with(wanted), np.array([0.3, 0.9]), narrow, wanted.preference())
    assert told_of(found, wanted, ["a", "b"], narrow)["binding"] == ["a is at its highest"]


def test_an_accepted_trade_goes_on_where_the_plain_cone_stops():
    plain = asked()
    start = solve(evaluate_with(plain), np.array([0.3, 0.9]), BOX, plain.preference())
    traded = asked(cone=["1 loss for 10 facts"])
    found = solve(evaluate_with(traded), start.place, BOX, traded.preference())
    before, after = own(start.place), own(found.place)
    assert after[1] > before[1] and after[0] - before[0] > 10 * (after[1] - before[1])
    # it ends where the front gives no more than what was asked for
    rates = [
        told_of(each, wanted, ["a", "b"], BOX)["rates"][0]["rate"]
        for each, wanted in ((start, plain), (found, traded))
    ]
    assert rates[0] > 10.0 and rates[1] <= 10.01


@pytest.mark.parametrize("text", ["facts - 20*loss", "0 - (facts - 70)**2"])
def test_a_utility_is_largest_on_the_front_and_stays_on_it(text):
    """One that rises as objectives get better, and one that would leave the front if followed."""
    wanted = asked(utility=text)
    seen = []
    found = climb(
        evaluate_with(wanted, seen), np.array([0.3, 0.9]), BOX, wanted.preference(),
        wanted.utility, steps=200,
    )  # fmt: skip
    assert on_front(found.place) and len(seen) == len(found.visited) <= 200
    front = [own(A + share * (B - A)) for share in np.linspace(0, 1, 2001)]
    utility = wanted.criteria.utility
    best = utility.at(NAMES, front).max()
    assert utility.at(NAMES, wanted.own(found.values))[0] == pytest.approx(best, abs=0.05)


def test_a_climb_counts_its_evaluations():
    wanted = asked(utility="facts - 20*loss")
    found = climb(
        evaluate_with(wanted), np.array([0.3, 0.9]), BOX, wanted.preference(), wanted.utility,
        steps=6,
    )  # fmt: skip
    assert len(found.visited) <= 7 and found.why in ("steps", "still")
