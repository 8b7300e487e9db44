"""The surrogate: exact where the truth is quadratic, honest where it is not or cannot be known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.errors import ParetoscopeError
from engine.search.surrogate import LINKS, Surrogate, TooFew, features, fit
from engine.search.surrogate import parameters_needed as needed

RNG = np.random.default_rng
AB = ("a", "b")
ABC = ("a", "b", "c")


def places(n: int, k: int, seed: int = 0) -> np.ndarray:
    return RNG(seed).uniform(0.0, 1.5, (n, k))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-values))


def binomial(n: int, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, proportions and the coefficients that they were drawn with."""
    positions, beta = places(n, 2, seed), RNG(seed + 1).normal(0.0, 1.0, 6)
    truth = sigmoid(features(positions) @ beta)
    return positions, RNG(seed + 2).binomial(examples, truth) / examples, beta


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_quadratic_comes_back_exactly(k: int) -> None:
    positions, beta = places(3 * needed(k), k), RNG(1).normal(size=needed(k))
    found = fit("abcde"[:k], positions, features(positions) @ beta, link="identity")
    np.testing.assert_allclose(found.beta, beta, atol=1e-8)
    new = places(7, k, 2)
    np.testing.assert_allclose(found.predict(new).mean, features(new) @ beta, atol=1e-8)
    assert found.calibration == 1.0 and found.n == len(positions)


def test_a_log_quadratic_comes_back_exactly_and_stays_above_zero() -> None:
    positions, beta = places(20, 2), np.array([0.1, -1.0, -2.0, 0.5, 0.3, 0.2])
    found = fit(AB, positions, np.exp(features(positions) @ beta), link="log")
    np.testing.assert_allclose(found.beta, beta, atol=1e-8)
    far = found.predict([[30.0, -30.0], [0.0, 30.0]])
    assert (far.low >= 0.0).all() and np.isfinite(far.high).all()


def test_a_narrow_range_far_from_zero_is_fitted_as_well() -> None:
    positions = 10.0 + 0.1 * RNG(0).uniform(size=(20, 2))
    truth = 3.0 + (positions[:, 0] - 10.0) ** 2 - (positions[:, 1] - 10.05)
    found = fit(AB, positions, truth, link="identity")
    np.testing.assert_allclose(found.predict(positions).mean, truth, atol=1e-7)


def test_proportions_of_many_examples_come_back_near_the_truth() -> None:
    positions, mean, beta = binomial(60, 100_000, 3)
    found = fit(AB, positions, mean, count=np.full(60, 100_000), link="logit")
    new = places(30, 2, 9)
    truth = sigmoid(features(new) @ beta)
    np.testing.assert_allclose(found.predict(new).mean, truth, atol=0.01)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_proportions_of_0_and_1_stay_finite_and_keep_a_band(value: float) -> None:
    mean = np.full(12, value)
    found = fit(AB, places(12, 2), mean, count=np.full(12, 40), link="logit")
    shown = found.predict([[0.5, 0.5], [1.5, 1.5], [40.0, 40.0]])
    for column in (shown.mean, shown.low, shown.high):
        assert np.isfinite(column).all() and (column >= 0.0).all() and (column <= 1.0).all()
    assert shown.mean[0] == pytest.approx(value, abs=1e-9)
    assert shown.high[0] - shown.low[0] > 0.01


def test_bands_catch_what_is_measured_next_about_95_times_in_100() -> None:
    inside, calibrations = [], []
    for seed in range(0, 120, 3):
        positions, mean, _ = binomial(60, 64, seed)
        count = np.full(30, 64)
        found = fit(AB, positions[:30], mean[:30], count=count, link="logit")
        shown = found.predict(positions[30:])
        inside.append(((mean[30:] >= shown.low) & (mean[30:] <= shown.high)).mean())
        assert found.calibration is not None
        calibrations.append(found.calibration)
    assert 0.92 < np.mean(inside) < 0.98
    assert 0.92 < np.mean(calibrations) < 0.98
    assert min(calibrations) < 1.0


def test_leaving_one_out_in_closed_form_is_near_fitting_without_each_point() -> None:
    """A step in the middle: a quadratic is wrong there, and some points lie outside."""
    positions = places(40, 1)
    mean = np.where(positions[:, 0] > 1.2, 0.9, 0.1) + RNG(1).normal(0.0, 0.01, 40)
    error = np.full(40, 0.02)
    found = fit("a", positions, mean, stderr=error, link="identity")
    caught = []
    for row in range(40):
        rest = np.arange(40) != row
        other = fit("a", positions[rest], mean[rest], stderr=error[rest], link="identity")
        shown = other.predict(positions[row : row + 1])
        caught.append(shown.low[0] <= mean[row] <= shown.high[0])
    assert found.calibration is not None and found.calibration < 1.0
    assert found.calibration == pytest.approx(np.mean(caught), abs=1.5 / 40)


def test_what_a_quadratic_misses_widens_the_band_on_its_own_scale_only() -> None:
    """A cliff: in the middle anything may be, far from it on the flat the band stays narrow."""
    positions = np.linspace(0.0, 1.5, 40)[:, None]
    mean = np.where(positions[:, 0] > 0.75, 0.98, 0.02)
    found = fit("a", positions, mean, count=np.full(40, 300), link="logit")
    shown = found.predict([[0.0], [0.75], [1.5]])
    width = shown.high - shown.low
    assert found.scatter > 0.1 and width[1] > 0.9 and max(width[0], width[2]) < 0.4


def test_residuals_smaller_than_sampling_narrow_the_band() -> None:
    positions = places(60, 1)
    beta = np.array([0.2, -0.5, 0.3])
    mean = sigmoid(features(positions) @ beta)  # the same luck everywhere
    found = fit("a", positions, mean, count=np.full(60, 100), link="logit")
    shown = found.predict([[0.7]])
    assert found.scatter == 0.0 and shown.high[0] - shown.low[0] < 0.1  # 0.19 by sampling alone


def test_noise_says_which_points_count() -> None:
    positions = np.linspace(0.0, 1.5, 12)[:, None]
    mean, error = np.full(12, 2.0), np.full(12, 0.01)
    mean[5], error[5] = 9.0, 10.0
    found = fit("a", positions, mean, stderr=error, link="identity")
    assert found.predict([[positions[5, 0]]]).mean[0] == pytest.approx(2.0, abs=0.01)
    error[5] = np.nan  # no error is known: it counts like the others
    found = fit("a", positions, mean, stderr=error, link="identity")
    assert found.predict([[positions[5, 0]]]).mean[0] > 2.5


def test_a_band_grows_where_nothing_was_measured() -> None:
    positions, mean, _ = binomial(30, 300, 4)
    found = fit(AB, positions, mean, count=np.full(30, 300), link="logit")
    rows = features([[0.75, 0.75], [3.0, 3.0]])
    near, far = np.sqrt(((rows @ found.factor) ** 2).sum(axis=1))
    assert far > 5 * near


def test_an_error_of_0_beside_others_is_no_certainty() -> None:
    """Examples that all agree, as no repeated word in twelve answers, do not outweigh the rest."""
    positions = np.random.default_rng(0).uniform(0.0, 1.5, (12, 2))
    mean = np.where(np.arange(12) % 4 == 0, 0.85, 1.0)
    error = np.where(mean == 1.0, 0.0, 0.11)
    shown = fit(("a", "b"), positions, mean, stderr=error, link="identity").predict(positions)
    assert (shown.high - shown.low).min() > 0.11
    assert ((shown.low < mean) & (mean < shown.high)).all()


def test_steps_without_noise_are_fitted_with_a_band_that_holds_most_of_them() -> None:
    """As `cost`: deterministic, constant but for a jump at zero coefficients."""
    positions = np.array([[a, b] for a in (0.0, 0.5, 1.0, 1.5) for b in (0.0, 0.5, 1.0, 1.5)])
    steps = 1.0 + 2.0 * (positions > 0).any(axis=1)
    shown = fit(AB, positions, steps, link="identity", least=0.0).predict(positions)
    assert ((steps >= shown.low) & (steps <= shown.high)).mean() >= 0.9
    assert (shown.low >= 0.0).all()
    same = fit(AB, positions, np.ones(16), link="identity").predict([[0.3, 0.3]])
    assert same.mean[0] == pytest.approx(1.0) and same.high[0] - same.low[0] < 1e-3


def test_on_a_simplex_only_proportions_matter() -> None:
    raw = RNG(0).dirichlet(np.ones(3), size=15)
    beta = RNG(1).normal(size=6)
    truth = features(raw[:, :2]) @ beta
    scale = RNG(2).uniform(0.5, 3.0, (15, 1))
    found = fit("abc", raw * scale, truth, link="identity", simplex=True)
    np.testing.assert_allclose(found.beta, beta, atol=1e-8)
    once, twice = found.predict([[0.2, 0.3, 0.5]]), found.predict([[0.4, 0.6, 1.0]])
    assert once.mean[0] == pytest.approx(twice.mean[0])


def test_a_simplex_needs_as_many_as_it_has_free_shares() -> None:
    assert [needed(k) for k in (1, 2, 3, 4)] == [3, 6, 10, 15]
    assert [needed(k, simplex=True) for k in (2, 3, 4)] == [3, 6, 10]
    assert features(np.ones((2, 3)), simplex=True).shape == (2, needed(3, True))


@pytest.mark.parametrize(
    ("positions", "have"),
    [
        (np.empty((0, 2)), 0),
        (places(5, 2), 5),
        (np.repeat(places(5, 2), 3, axis=0), 5),  # duplicates say nothing new
        (np.column_stack((np.linspace(0, 1, 20), np.zeros(20))), 3),  # one axis alone
        (np.column_stack((np.linspace(0, 1, 20),) * 2), 3),  # a diagonal
    ],
)
def test_too_few_counts_independent_positions(positions: np.ndarray, have: int) -> None:
    with pytest.raises(TooFew, match=f"{have} independent positions of the 6") as caught:
        fit(AB, positions, np.ones(len(positions)), link="identity")
    assert (caught.value.have, caught.value.need) == (have, 6)
    assert isinstance(caught.value, ParetoscopeError)


def test_as_many_points_as_parameters_go_through_and_promise_nothing() -> None:
    positions = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0], [0, 0.5]])
    mean = np.array([0.1, 0.5, 0.4, 0.8, 0.3, 0.35])
    found = fit(AB, positions, mean, count=np.full(6, 300), link="logit")
    np.testing.assert_allclose(found.predict(positions).mean, mean, atol=1e-9)
    assert found.calibration is None
    assert found.predict([[0.5, 0.5]]).high[0] - found.predict([[0.5, 0.5]]).low[0] > 0.05


def test_few_examples_pull_less_than_many() -> None:
    """The same outlying proportion, of 4 rows and of 4000."""
    positions = np.linspace(0.0, 1.5, 12)[:, None]
    mean = np.full(12, 0.5)
    mean[6] = 0.9
    pulled = []
    for n in (4, 4000):
        count = np.full(12, 400)
        count[6] = n
        found = fit("a", positions, mean, count=count, link="logit")
        pulled.append(float(found.predict(positions[6:7]).mean[0]) - 0.5)
    assert 0.0 < pulled[0] < 0.01 and pulled[1] > 5 * pulled[0]


def test_outside_the_points_is_said() -> None:
    """Beyond the box, and beside a diagonal on which all points lie but a few near it."""
    t = np.linspace(0.2, 1.2, 20)
    positions = np.column_stack([t, t + 0.05 * np.sin(9 * t)])
    found = fit(AB, positions, 0.3 * t, link="identity")
    asked = [[0.7, 0.7], [1.3, 0.7], [0.19, 0.5], [1.1, 0.3], [0.3, 1.1]]
    assert found.predict(asked).outside.tolist() == [False, True, True, True, True]
    assert not found.outside(positions).any()
    assert found.document()["box"] == found.box.T.tolist()  # type: ignore[union-attr]
    shared = fit(ABC, np.abs(places(30, 3)) + 0.5, np.ones(30), link="identity", simplex=1)
    near, far = shared.outside([[5.0, 5.0, 5.0], [1.0, 0.0, 0.0]])
    assert not near and far, "of shares, whatever the sum"


def test_points_without_a_score_or_a_place_are_set_aside() -> None:
    positions, mean, _ = binomial(14, 64, 5)
    count = np.full(14, 64)
    mean[0], count[1], positions[2, 0] = np.nan, 0, np.nan
    assert fit(AB, positions, mean, count=count, link="logit").n == 11


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(ValueError, match="numbers of examples"):
        fit(AB, places(9, 2), np.ones(9), link="logit")
    with pytest.raises(ValueError, match=r"no fit of \(8,\) scores"):
        fit(AB, places(9, 2), np.ones(8), link="log")
    assert LINKS == ("logit", "log", "identity")


def test_the_document_is_json_and_enough_to_draw_the_surface() -> None:
    positions, mean, _ = binomial(30, 64, 6)
    found: Surrogate = fit(AB, positions, mean, count=np.full(30, 64), link="logit")
    data = found.document()
    assert json.loads(json.dumps(data)) == data
    assert data["names"] == ["a", "b"] and data["basis"] == "quadratic" and len(data["beta"]) == 6
