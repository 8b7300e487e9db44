"""The front under noise: against the golden vectors, simulated truths, and what must hold."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from docs.reliability import curve, said_and_true, scattered, trading
from engine.errors import BadInput
from engine.front.criteria import criteria
from engine.front.noise import Kind, Results, draw, errors
from engine.front.pareto import front_mask
from engine.front.preference import Range, recommend
from engine.front.shrinking import shrunk
from engine.front.sure import contenders, on_front, picked, sureness
from engine.front.table import Table, front_report, recommend_report

GOLDEN = Path(__file__).parents[2] / "golden" / "pareto" / "noise_p_nd.npz"


def of_values(kind: Kind, values: np.ndarray, rows: str = "rows") -> Results:
    values = np.asarray(values, dtype=float)
    n = np.isfinite(values).sum(axis=1)
    stderr = np.nanstd(values, axis=1, ddof=1) / np.sqrt(n)
    return Results(kind, np.nanmean(values, axis=1), stderr, values, rows)


def test_golden_probabilities_of_gaussian_draws() -> None:
    golden = np.load(GOLDEN)
    half = np.random.default_rng(1).standard_normal((10_000, *golden["mu"].shape))
    drawn = golden["mu"] + np.concatenate([half, -half]) * golden["sd"]
    found = on_front(drawn, [False, False])
    assert np.abs(found - golden["p_nd"]).max() < 0.01
    # of scores without rows, each with its own error: the same, in fewer draws
    none = np.empty((len(golden["mu"]), 0))
    results = [
        Results("mean", golden["mu"][:, each], golden["sd"][:, each], none) for each in (0, 1)
    ]
    few = on_front(draw(results, 4000), [False, False])
    assert np.abs(few - golden["p_nd"]).max() < 0.04


@pytest.mark.parametrize("truths", [scattered, trading])
def test_probabilities_are_calibrated(truths) -> None:
    said, true, seen = said_and_true(truths, 64, worlds=40)
    assert abs(said.mean() - true.mean()) < 0.02
    assert abs(said.mean() - true.mean()) < abs(seen.mean() - true.mean())
    for p, share, error, _ in curve(said, true):
        assert abs(share - p) < 3.5 * error, (p, share, error)


def test_draws_have_the_error_of_the_score_and_are_paired() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(size=(1, 120))
    values = np.array([[0.0], [0.3]]) + hard + 0.1 * random.normal(size=(2, 120))
    for result in (of_values("mean", values), of_values("proportion", values > 0)):
        drawn = draw([result], 4000)[:, :, 0]
        assert drawn.mean(axis=0) == pytest.approx(result.mean, abs=0.01)
        assert drawn.std(axis=0) == pytest.approx(result.stderr, rel=0.06)
        paired = (result.values[1] - result.values[0]).std(ddof=1) / np.sqrt(120)
        assert (drawn[:, 1] - drawn[:, 0]).std() == pytest.approx(paired, rel=0.2)
        assert (drawn[:, 1] - drawn[:, 0]).std() < 0.75 * np.hypot(*result.stderr)


def test_a_perplexity_has_the_error_it_was_given() -> None:
    values = np.exp(np.random.default_rng(0).normal(1.0, 0.5, (3, 80)))
    mean = np.exp(np.log(values).mean(axis=1))
    result = Results("perplexity", mean, 0.07 * mean, values)
    drawn = draw([result], 4000)[:, :, 0]
    assert np.log(drawn).std(axis=0) == pytest.approx(0.07, rel=0.05)


def test_none_of_n_is_not_certain() -> None:
    values = np.zeros((2, 40))
    values[1] = 1.0
    drawn = draw([of_values("proportion", values)], 8000)[:, :, 0]
    beta = np.random.default_rng(0).beta(0.5, 40.5, 200_000)
    for share in (0.5, 0.9, 0.99):
        expected = np.quantile(beta, share)
        assert np.quantile(drawn[:, 0], share) == pytest.approx(expected, rel=0.15)
        assert np.quantile(1 - drawn[:, 1], share) == pytest.approx(expected, rel=0.15)
    none = errors(
        ["proportion", "exact"], np.array([[0.0, 2.0]]), np.array([[0.0, np.nan]]), [[40, 1]]
    )
    assert none[0, 0] == pytest.approx(beta.std(), rel=0.02) and none[0, 1] == 0.0


def test_one_row_of_difference_is_a_sign_test() -> None:
    values = np.ones((2, 60))
    values[1, 7] = 0.0
    drawn = draw([of_values("proportion", values)], 20_000)[:, :, 0]
    assert (drawn[:, 0] > drawn[:, 1]).mean() == pytest.approx(0.5 + 1 / np.pi, abs=0.015)


def test_points_on_fewer_rows_keep_their_own_error_and_share_what_they_can() -> None:
    random = np.random.default_rng(3)
    hard = random.normal(size=400)
    values = np.stack([hard, hard + 0.1, hard + random.normal(size=400) * 0.01])
    values[1, 100:] = np.nan
    result = of_values("mean", values)
    drawn = draw([result], 4000)[:, :, 0]
    assert drawn.std(axis=0) == pytest.approx(result.stderr, rel=0.05)
    correlation = np.corrcoef(drawn.T)
    assert correlation[0, 2] > 0.99 and correlation[0, 1] == pytest.approx(0.5, abs=0.06)


def test_equal_points_stay_ties_and_what_is_exact_stays_exact() -> None:
    random = np.random.default_rng(5)
    right = (random.random((40, 50)) < 0.6).astype(float)
    loss = random.normal(size=(40, 50))
    right[7], loss[7] = right[3], loss[3]
    cost = np.repeat([1.0, 2.0], 20)
    exact = Results("exact", cost, np.full(40, np.nan), np.empty((40, 0)))
    results = [of_values("proportion", right, "a"), of_values("mean", loss, "b"), exact]
    maximize = np.array([True, False, False])
    mean = np.stack([each.mean for each in results], axis=1)
    error = np.stack([results[0].stderr, results[1].stderr, np.zeros(40)], axis=1)

    def load(places: np.ndarray) -> list[Results]:
        return [each.only(places) for each in results]

    sure = sureness(("a", "b", "c"), maximize, mean, error, load)
    assert (sure.drawn[:, 3] == sure.drawn[:, 7]).all() and sure.front[3] == sure.front[7]
    assert (sure.drawn[:, :, 2] == cost).all()
    again = sureness(("a", "b", "c"), maximize, mean, error, load)
    assert (again.front == sure.front).all() and 0 < sure.front.max() <= 1


def test_without_errors_the_front_is_that_of_the_means() -> None:
    mean = np.random.default_rng(0).random((30, 3))
    none, flip = np.empty((30, 0)), np.array([True, False, True])
    results = [Results("exact", column, column * np.nan, none) for column in mean.T]
    assert (on_front(draw(results, 5), flip) == front_mask(mean, flip)).all()
    ranges = {name: Range(1.0, 0.0) for name in "abc"}
    weights = np.array([0.2, 0.5, 0.3])
    found = picked(draw(results, 5), tuple("abc"), flip, weights, ranges, {"a": (0.4, None)})
    asked = dict(zip("abc", weights.tolist(), strict=True))
    best = recommend(tuple("abc"), mean, flip, asked, {"a": (0.4, None)}, ranges)
    inside = found.argmax() == best.index or mean[best.index, 0] >= 0.4
    assert inside and found.max() == 1.0


def test_who_has_no_chance_has_none_in_any_draw() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.1, 0.9, (600, 3))
    values = random.random((3, 600, 100)) < truth.T[:, :, None]
    results = [of_values("proportion", each, str(place)) for place, each in enumerate(values)]
    mean = np.stack([each.mean for each in results], axis=1)
    error = np.stack([each.stderr for each in results], axis=1)
    chance = contenders(mean, error, [True] * 3)
    every = on_front(draw(results), [True] * 3)
    assert 0 < chance.sum() < 600 and every[~chance].max() < 1e-3
    assert chance[front_mask(mean, [True] * 3)].all()


def test_of_too_many_with_a_chance_the_best_are_judged(monkeypatch) -> None:
    random = np.random.default_rng(0)
    mean = random.random((700, 2))
    none, error = np.empty((700, 0)), np.full((700, 2), 0.05)
    results = [Results("mean", column, error[:, 0], none) for column in mean.T]

    def judged():
        return sureness(
            ("a", "b"), [True, True], mean, error, lambda at: [each.only(at) for each in results]
        )

    every = judged()
    monkeypatch.setattr("engine.front.sure.MOST", 100)
    best = judged()
    assert len(best.rows) == 100 < len(every.rows) and np.isfinite(every.front).all()
    known = np.isfinite(best.front)
    assert np.isnan(best.front).sum() == len(every.rows) - 100
    assert np.abs(best.front - every.front)[known].max() < 0.1
    assert known[front_mask(mean, [True, True])].all()


def test_five_hundred_points_in_a_thousand_draws_take_less_than_a_second() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.1, 0.9, (500, 3))
    values = random.random((3, 500, 200)) < truth.T[:, :, None]
    results = [of_values("proportion", each, str(place)) for place, each in enumerate(values)]
    mean = np.stack([each.mean for each in results], axis=1)
    error = np.stack([each.stderr for each in results], axis=1)
    start = time.process_time()  # what it takes by itself, whatever else the machine does
    sureness(tuple("abc"), [True] * 3, mean, error, lambda at: [each.only(at) for each in results])
    assert time.process_time() - start < 1.0


def test_shrinking_takes_luck_away_and_leaves_few_points_alone() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(0.0, 0.1, 200)
    seen = truth + random.normal(0.0, 0.1, 200)
    drawn = (seen + random.normal(0.0, 0.1, (2000, 200)))[:, :, None]
    found = shrunk(drawn).mean(axis=0)[:, 0]
    assert np.square(found - truth).mean() < 0.7 * np.square(seen - truth).mean()
    assert (shrunk(drawn[:, :5]) == drawn[:, :5]).all()


def test_a_score_without_an_error_has_no_probability() -> None:
    values = np.random.default_rng(0).normal(size=(4, 1))
    results = [Results("mean", values[:, 0], np.full(4, np.nan), values)]
    mean = values.copy()
    sure = sureness(("a",), [True], mean, np.full((4, 1), np.nan), lambda at: results)
    assert np.isnan(sure.front).all()


def table() -> Table:
    random = np.random.default_rng(2)
    values = (random.random((2, 4, 100)) < np.array([[0.2, 0.5, 0.52, 0.8], [0.8, 0.5, 0.3, 0.1]])
              [:, :, None]).astype(float)  # fmt: skip
    results = [of_values("proportion", each, str(place)) for place, each in enumerate(values)]
    mean = np.stack([each.mean for each in results], axis=1)
    error = np.stack([each.stderr for each in results], axis=1)

    def sure(rows, names, every, trades):
        columns = ["ab".index(name) for name in names]
        part = np.ix_(rows, columns)
        return sureness(
            names, [True] * len(names), mean[part], error[part],
            lambda at: [results[column].only(rows[at]) for column in columns], every, trades,
        )  # fmt: skip

    def document(row):
        scores = {name: {"mean": mean[row, at], "stderr": error[row, at]} for at, name in
                  enumerate("ab")}  # fmt: skip
        return {"id": "pqrs"[row], "scores": scores}

    return Table(
        ("a", "b"), np.array([True, True]), ("p", "q", "r", "s"), mean, np.zeros(4, bool),
        document, error, sure,
    )  # fmt: skip


def test_documents_say_how_sure_they_are() -> None:
    front = front_report(table(), bounds={"a": (0.5, None)})
    assert front["probability"]["p"] == 1.0 and 0.9 < front["probability"]["s"] < 1.0
    (bound,) = front["bounds"]
    assert (bound["name"], bound["words"], bound["bound"]) == ("a", "at least", 0.5)
    assert bound["probability"]["p"] == 0.0 and bound["probability"]["s"] == 1.0
    assert 0.1 < bound["probability"]["q"] < 0.9
    found = recommend_report(table(), {"a": 1.0})
    assert found["point"]["id"] == "s" and found["share"] == pytest.approx(0.936, abs=0.03)
    assert [each["point"] for each in found["rivals"]] == ["r"]
    near = recommend_report(table(), {"a": 1.0, "b": 1.0})
    assert 0.5 < near["share"] <= 1.0
    assert near["share"] + sum(each["share"] for each in near["rivals"]) <= 1.0001


def test_trades_constraints_and_utilities_are_judged_in_each_draw() -> None:
    names, plain = ("a", "b"), table()
    trades = criteria(names, cone=["1 b for 1 a"])  # every gain of a is worth as much of b
    fewer = front_report(plain, criteria=trades)["probability"]
    every = front_report(plain)["probability"]
    assert all(fewer[each] <= every[each] for each in every) and fewer["r"] < every["r"]
    assert sum(fewer.values()) < sum(every.values()) - 0.5

    useful = criteria(names, utility="b - max(0, 0.5 - a)")
    found = recommend_report(plain, {}, criteria=useful)
    drawn = plain.sure(np.arange(4), names, True, ()).drawn
    best = (drawn[:, :, 1] - np.maximum(0, 0.5 - drawn[:, :, 0])).argmax(axis=1)
    chosen = plain.ids.index(found["point"]["id"])
    assert found["share"] == pytest.approx((best == chosen).mean(), abs=0.02)

    only = criteria(names, constraints=["a + b >= 0.95"])  # p has 1.04, q 0.93, r 0.92, s 0.82
    found = recommend_report(plain, {"a": 1.0}, criteria=only)
    assert found["point"]["id"] == "p" and found["share"] < 0.6
    assert {each["point"] for each in found["rivals"]} >= {"q", "r"}
    part = recommend_report(plain, {"a": 1.0}, objectives=["a"], criteria=only)
    assert part["share"] is not None  # its constraint names an objective the front is not over


def test_a_cautious_pick_asks_for_more_than_the_mean() -> None:
    plain = table()
    mean, error = plain.values[1], plain.error[1]
    bound = {"a": (float(mean[0] - 0.5 * error[0]), None)}
    assert recommend_report(plain, {"b": 1.0}, bound)["point"]["id"] == "q"
    assert recommend_report(plain, {"b": 1.0}, bound, cautious=1.0)["point"]["id"] != "q"
    for wrong in (-1.0, float("nan")):
        with pytest.raises(BadInput, match="--cautious"):
            recommend_report(plain, {"b": 1.0}, cautious=wrong)
    bare = Table(*(getattr(plain, each) for each in ("names", "maximize", "ids", "values",
                                                     "failed", "document")))  # fmt: skip
    assert front_report(bare)["probability"] is None
    assert recommend_report(bare, {"b": 1.0})["share"] is None
    with pytest.raises(BadInput, match="no standard errors"):
        recommend_report(bare, {"b": 1.0}, cautious=1.0)
