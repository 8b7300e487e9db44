"""FERERO against golden optima, by hand where nothing meets what is asked, and its prices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.search.ferero import Preference, Region, solve, subproblem

GOLDEN = Path(__file__).parents[2] / "golden" / "pareto"
QUADRATIC = np.load(GOLDEN / "ferero_quadratic.npz")
TOY = np.load(GOLDEN / "ferero_toy_truth.npz")


def quadratic(place):
    away, bends = place - QUADRATIC["mus"], QUADRATIC["H"]
    values = QUADRATIC["c"] + 0.5 * np.einsum("mi,mij,mj->m", away, bends, away)
    return values, np.einsum("mij,mj->mi", bends, away)


def toy(place):
    """1 − exp(−|λ ∓ 1/√n|²), the example of arXiv 2412.01773, section 5."""
    centre = len(place) ** -0.5
    near = [np.exp(-((place - centre) ** 2).sum()), np.exp(-((place + centre) ** 2).sum())]
    slopes = [2 * (place - centre) * near[0], 2 * (place + centre) * near[1]]
    return 1 - np.array(near), np.array(slopes)


BOX = Region(np.full(4, float(QUADRATIC["lo"])), np.full(4, float(QUADRATIC["hi"])))


@pytest.mark.parametrize("case", range(3))
def test_the_golden_quadratic(case):
    weights = QUADRATIC["prefs"][case]
    rows = np.array([[weights[0], -weights[1], 0.0], [0.0, weights[1], -weights[2]]])
    asked = Preference.of(3, equal=(rows, rows @ QUADRATIC["c"]))
    found = solve(quadratic, QUADRATIC["x0"], BOX, asked)
    assert found.why == "still" and len(found.visited) <= 12
    assert found.values == pytest.approx(QUADRATIC["F_cheb"][case], abs=1e-5)
    assert found.place == pytest.approx(QUADRATIC["lam_cheb"][case], abs=1e-4)
    # the prices: along the front, what one objective loses the others gain
    inside = (found.place > 1e-6) & (found.place < 1.2 - 1e-6)
    assert (found.step.prices @ quadratic(found.place)[1])[inside] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("case", range(3))
def test_the_worst_of_weighted_objectives_is_the_golden_quadratic_too(case):
    def above(place):
        values, slopes = quadratic(place)
        return values - QUADRATIC["c"], slopes

    asked = Preference.of(3, cone=np.diag(QUADRATIC["prefs"][case]), worst=True)
    found = solve(above, QUADRATIC["x0"], BOX, asked)
    expected = QUADRATIC["F_cheb"][case] - QUADRATIC["c"]
    assert found.why == "still" and found.values == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("case", range(4))
def test_the_golden_toy(case):
    first, second = TOY["pref"][case]
    asked = Preference.of(2, equal=(np.array([[second, -first]]), np.zeros(1)))
    region = Region(np.full(20, -2.0), np.full(20, 2.0))
    found = solve(toy, TOY["x0"][case], region, asked, steps=300)
    assert found.why == "still" and found.values == pytest.approx(TOY["analytic_f"][case], abs=1e-5)


def test_without_a_preference_it_ends_on_the_front_and_nothing_got_worse():
    start = np.array([1.1, 0.1, 1.1, 1.1])
    found = solve(quadratic, start, BOX, Preference.of(3))
    before = quadratic(start)[0]
    assert found.why == "still" and (found.values <= before + 1e-9).all()
    assert (found.step.prices >= -1e-9).all()
    # no direction within the box lowers all of them
    again = subproblem(Preference.of(3), found.values, quadratic(found.place)[1], found.place, BOX)
    assert again.gain > -1e-6


def test_a_cone_accepts_a_loss_for_a_gain():
    front = solve(quadratic, QUADRATIC["x0"], BOX, Preference.of(3))
    before, prices = front.values, front.step.prices
    lost, gained = np.argsort(-prices)[:2]
    rate = 0.5 * prices[lost] / prices[gained]  # half of what the front gives for it here
    cone = np.eye(3)
    cone[lost, gained] = 1 / rate
    found = solve(quadratic, front.place, BOX, Preference.of(3, cone=cone))
    assert found.values[lost] > before[lost] + 0.01 and found.values[gained] < before[gained] - 0.01
    assert (cone @ found.values <= cone @ before + 1e-9).all()


def test_limits_are_met_and_the_binding_one_has_a_price():
    limits = (np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array([1.3, 9.0]))
    found = solve(quadratic, QUADRATIC["x0"], BOX, Preference.of(3, limits=limits))
    assert found.why == "still" and found.violation < 1e-6 and found.values[0] <= 1.3 + 1e-6
    assert found.step.binding[0] > 0 and found.step.binding[1] == pytest.approx(0.0, abs=1e-6)


def test_what_cannot_be_met_ends_where_it_is_missed_least():
    limits = (np.array([[1.0, 1.0, 0.0]]), np.array([0.5]))  # both are above 0.8 everywhere
    found = solve(quadratic, QUADRATIC["x0"], BOX, Preference.of(3, limits=limits), steps=200)
    assert found.why in ("infeasible", "stuck") and not found.step.met
    grid = np.linspace(0.0, 1.2, 7)
    places = np.stack(np.meshgrid(*[grid] * 4), axis=-1).reshape(-1, 4)
    least = min(quadratic(place)[0][:2].sum() for place in places) - 0.5
    assert found.violation <= least + 1e-3 and found.violation > 0.5


def test_a_sum_that_is_kept_is_kept():
    region = Region(np.zeros(4), np.ones(4), total=True)
    found = solve(quadratic, np.array([0.7, 0.1, 0.1, 0.1]), region, Preference.of(3))
    assert all(each.place.sum() == pytest.approx(1.0) for each in found.visited)


def test_no_step_is_long_and_none_leaves_the_box():
    seen = []

    def steep(place):
        seen.append(place)
        return 1e3 * quadratic(place)[0], 1e3 * quadratic(place)[1]

    found = solve(steep, np.full(4, 1.2), BOX, Preference.of(3), steps=60)
    assert all((each >= 0).all() and (each <= 1.2).all() for each in seen)
    assert np.linalg.norm(np.diff([each for each in seen], axis=0), axis=1).max() < 0.5
    assert (found.values <= steep(np.full(4, 1.2))[0]).all()


def test_evaluations_are_counted_and_told():
    told = []
    found = solve(
        quadratic, QUADRATIC["x0"], BOX, Preference.of(3), steps=3,
        told=lambda count, visited: told.append((count, visited)),
    )  # fmt: skip
    assert found.why == "steps" and [count for count, _ in told] == [1, 2, 3]
    assert [each for _, each in told] == list(found.visited)


def test_where_there_is_no_value_it_steps_back():
    def broken(place):
        values, slopes = quadratic(place)
        return (np.full(3, np.nan) if place[0] > 0.5 else values), slopes

    found = solve(broken, QUADRATIC["x0"], BOX, Preference.of(3), steps=60)
    assert np.isfinite(found.values).all() and found.place[0] <= 0.5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.0, 1.2), min_size=4, max_size=4), st.floats(1.25, 2.0))
def test_from_anywhere_it_ends_stationary_and_within_what_is_asked(start, most):
    limits = (np.array([[1.0, 0.0, 0.0]]), np.array([most]))
    found = solve(quadratic, np.array(start), BOX, Preference.of(3, limits=limits), steps=200)
    assert found.why in ("still", "stuck") and found.violation < 1e-5
