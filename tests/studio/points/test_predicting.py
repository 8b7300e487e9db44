"""Predictions from a method's own points, and only from what lies on its surface."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.decoding.fusion import Mixture
from engine.merging.linear import normalised
from engine.merging.task_arithmetic import affine_weights
from engine.prune import Prune
from engine.recipe import METHODS, FrozenDict, Names, Recipe, resolve
from engine.scoring.registry import find_scorer
from engine.search.surrogate import Surrogate, TooFew
from engine.study import FamilySpec, Objective, Study
from studio.points.predicting import (
    anchor,
    missing_recipes,
    predict,
    surfaces,
    too_few,
)
from studio.points.view import Measured

NAMES = Names(("helpful", "terse"))
TARGETED = Names(("helpful", "terse"), has_target=True)
OBJECTIVES = (
    Objective("facts", "exact_match", Path("facts.jsonl"), "maximize"),
    Objective("loss", "nll", Path("loss.jsonl"), "minimize"),
    Objective("cost", "cost", None, "minimize"),
)
GRID = [(a, b) for a in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)]


def mix(a: float, b: float, method: str = "task_arithmetic", **parameters: Any) -> Recipe:
    return resolve(Recipe(method, {"helpful": a, "terse": b}, parameters), NAMES)


def single(model: str) -> Recipe:
    return resolve(Recipe("single", {}, {"model": model}), TARGETED)


def truth(recipe: Recipe) -> tuple[float, float, float]:
    """Quadratic on the scale of each objective's link."""
    a, b = (recipe.coefficients.get(name, 0.0) for name in NAMES.experts)
    if recipe.method == "single":
        a, b = (float(recipe.parameters["model"] == name) for name in NAMES.experts)
    facts = 1 / (1 + np.exp(1 - a - 0.5 * b + 0.4 * a * b + 0.3 * a * a))
    return facts, float(np.exp(1 - 0.3 * b + 0.2 * b * b)), 1.0


def measured(
    recipes: Sequence[Recipe],
    scores: Callable[[Recipe], tuple[float, ...]] = truth,
    failures: Sequence[str] = (),
) -> Measured:
    mean = np.array([scores(each) for each in recipes]).reshape(len(recipes), 3)
    stderr = np.broadcast_to([0.001, 0.001, np.nan], mean.shape).copy()
    n = np.broadcast_to([100_000, 300, 1], mean.shape).copy()
    ids = tuple(f"{row:012d}" for row in range(len(recipes)))
    reasons = dict.fromkeys(failures, "the logits are not finite")
    return Measured(("facts", "loss", "cost"), ids, tuple(recipes), mean, stderr, n, reasons)


def study(**ranges: dict[str, tuple[float, float]]) -> Study:
    spec = FamilySpec(Path("base"), {name: Path(name) for name in NAMES.experts})
    given = {method: FrozenDict(each) for method, each in ranges.items()}
    return Study("s", Path("s.yaml"), spec, OBJECTIVES, FrozenDict(given))


def test_the_link_is_of_what_the_mean_is() -> None:
    links = {
        "exact_match": "logit", "choice": "logit", "refusal": "logit", "nll": "log",
        "perplexity": "log", "kl_to_base": "identity", "strength": "identity", "cost": "identity",
    }  # fmt: skip
    assert {name: find_scorer(name).link for name in links} == links


def test_a_recipe_that_is_not_measured_is_predicted_within_its_band() -> None:
    points = measured([mix(*each) for each in GRID])
    recipe = mix(0.7, 0.3)
    found = predict(points, OBJECTIVES, recipe)
    assert list(found) == ["facts", "loss", "cost"]
    for (mean, low, high), value in zip(found.values(), truth(recipe), strict=True):
        assert low <= value <= high and low <= mean <= high
        assert mean == pytest.approx(value, abs=0.01)
    assert too_few(points, OBJECTIVES, recipe) is None
    assert missing_recipes(points, OBJECTIVES, recipe, study(), NAMES) == []


def test_another_method_or_parameter_is_another_surface() -> None:
    points = measured([mix(*each) for each in GRID])
    for other in (mix(0.7, 0.3, "pcb"), mix(0.7, 0.3, strength=0.5)):
        assert predict(points, OBJECTIVES, other) == {}
        assert too_few(points, OBJECTIVES, other) == (0, 6)
    assert surfaces(points, OBJECTIVES, single("base")) == {}
    assert too_few(points, OBJECTIVES, single("base")) is None
    assert missing_recipes(points, OBJECTIVES, single("base"), study(), NAMES) == []


def test_a_pruned_merge_has_a_surface_of_its_own() -> None:
    """No whole mixture and no unmerged model is on it, and what is missing there is pruned too."""
    prune = Prune("loss", 0.1, rows="0123456789ab")
    whole = [single("base"), *(mix(*each) for each in GRID)]
    pruned = replace(mix(0.7, 0.3), prune=prune)
    assert predict(measured(whole), OBJECTIVES, mix(0.7, 0.3))
    assert predict(measured(whole), OBJECTIVES, pruned) == {}
    assert too_few(measured(whole), OBJECTIVES, pruned) == (0, 6)
    assert anchor(pruned, "base") is None and anchor(pruned, "terse") is None
    own = [replace(mix(*each), prune=prune) for each in GRID]
    found = predict(measured([*whole, *own]), OBJECTIVES, pruned)
    assert found == predict(measured(own), OBJECTIVES, pruned) != {}
    for other in (replace(prune, ratio=0.2), replace(prune, rows="ab"), None):
        assert predict(measured(own), OBJECTIVES, replace(pruned, prune=other)) == {}

    class Rows:
        names = ("loss",)

        def digest(self, objective: str, variant: str) -> str:
            return prune.rows

    names = Names(NAMES.experts, rows=Rows())
    more = missing_recipes(measured(own[:2]), OBJECTIVES, pruned, study(), names)
    assert len(more) == 4 and all(each.prune == prune for each in more)


def test_models_as_they_are_count_where_they_lie_on_the_surface() -> None:
    singles = [single(each) for each in ("base", "target", "helpful", "terse")]
    points = measured(singles)
    counts = {name: too_few(points, OBJECTIVES, mix(0.5, 0.5, name)) for name in METHODS
              if name in ("task_arithmetic", "pcb", "proxy_tuning")}  # fmt: skip
    assert counts == {"task_arithmetic": (3, 6), "pcb": (1, 6), "proxy_tuning": (1, 6)}
    proxy = mix(0.5, 0.5, "proxy_tuning")
    assert too_few(measured(singles[:1] + singles[2:]), OBJECTIVES, proxy) == (0, 6)
    assert too_few(measured(singles[:1] + singles[2:]), OBJECTIVES, proxy, NAMES) == (3, 6)
    assert too_few(points, OBJECTIVES, proxy, TARGETED) == (1, 6)


def test_an_expert_lies_where_its_coefficient_times_strength_is_one() -> None:
    assert anchor(mix(0, 0, strength=0.5), "terse") == (0.0, 2.0)
    assert anchor(mix(0, 0, strength=0.0), "terse") is None
    assert anchor(mix(0, 0, strength=0.0), "base") == (0.0, 0.0)
    assert anchor(mix(0, 0), "target") is None


def test_anchors_follow_from_what_the_methods_do() -> None:
    """At the place an anchor names, the method's own function gives that model alone."""
    for names in (NAMES, TARGETED):
        for kind in ("reverse_kl", "forward_kl"):
            build = METHODS["logit_fusion"].build
            recipe = resolve(Recipe("logit_fusion", {"base": 1.0}, {"kind": kind}), names)
            for model in ("base", "helpful"):
                place = anchor(recipe, model, names)
                assert place is not None
                found = build(dict(zip(recipe.coefficients, place, strict=True)), names, kind=kind)
                assert found.models == (model,) and found.weights == (1.0,)
        recipe = resolve(Recipe("proxy_tuning"), names)
        for model in names.models:
            place = anchor(recipe, model, names)
            if place is None:
                assert names.has_target and model != "target"
                continue
            coefficients = dict(zip(recipe.coefficients, place, strict=True))
            found = METHODS["proxy_tuning"].build(coefficients, names)
            assert found == Mixture((model,), (1.0,))
    for weigh, name in ((affine_weights, "task_arithmetic"), (normalised, "linear")):
        start = {"base": 1.0} if name == "linear" else {}
        recipe = resolve(Recipe(name, start), NAMES)
        for model in NAMES.models:
            place = anchor(recipe, model)
            assert place is not None
            weights = weigh(dict(zip(recipe.coefficients, place, strict=True)))
            assert {each: value for each, value in weights.items() if value} == {model: 1.0}


@pytest.mark.parametrize("method", ["task_arithmetic", "pcb", "proxy_tuning"])
def test_what_is_missing_makes_the_fit_stand(method: str) -> None:
    recipe = mix(0.5, 0.5, method)
    start = [single("base"), mix(0.2, 0.0, method), mix(0.4, 0.0, method), mix(0.9, 0.0, method)]
    points = measured(start)
    few = too_few(points, OBJECTIVES, recipe, NAMES)
    assert few is not None
    more = missing_recipes(points, OBJECTIVES, recipe, study(), NAMES)
    assert len(more) == few[1] - few[0]
    assert all(each == resolve(each, NAMES) and each.method == method for each in more)
    assert not set(more) & set(start)
    assert too_few(measured(start + more), OBJECTIVES, recipe, NAMES) is None


@pytest.mark.parametrize("method", ["linear", "logit_fusion"])
def test_mixtures_that_know_only_proportions_are_asked_as_such(method: str) -> None:
    recipe = resolve(Recipe(method, {"base": 1.0}), NAMES)
    singles = [single(each) for each in NAMES.models]
    assert too_few(measured(singles), OBJECTIVES, recipe) == (3, 6)
    more = missing_recipes(measured(singles), OBJECTIVES, recipe, study(), NAMES)
    assert len(more) == 3
    assert all(sum(each.coefficients.values()) == pytest.approx(1.0) for each in more)
    found = predict(measured(singles + more), OBJECTIVES, recipe)
    assert found["facts"][0] == pytest.approx(truth(single("base"))[0], abs=0.01)


def test_the_studys_own_ranges_are_kept() -> None:
    narrow = study(task_arithmetic={"helpful": (0.2, 0.4), "terse": (-0.5, 0.0)})
    more = missing_recipes(measured([]), OBJECTIVES, mix(0, 0), narrow, NAMES)
    assert len(more) == 6
    for each in more:
        assert 0.2 <= each.coefficients["helpful"] <= 0.4
        assert -0.5 <= each.coefficients["terse"] <= 0.0


def test_points_that_lack_a_score_are_finished_before_new_ones_are_asked() -> None:
    """A new objective: what is measured of the others needs only this score."""

    def without_loss(recipe: Recipe) -> tuple[float, ...]:
        facts, _, cost = truth(recipe)
        return facts, np.nan, cost

    recipes = [mix(*each) for each in GRID[:4]]
    points = measured(recipes, without_loss)
    assert too_few(points, OBJECTIVES, mix(0, 0)) == (0, 6)
    assert predict(points, OBJECTIVES, mix(0, 0)) == {}
    more = missing_recipes(points, OBJECTIVES, mix(0, 0), study(), NAMES)
    assert len(more) == 6 and len(set(more) & set(recipes)) == 4
    whole = measured([mix(*each) for each in GRID], without_loss)
    assert set(predict(whole, OBJECTIVES, mix(0.3, 0.2))) == {"facts", "cost"}
    assert len(missing_recipes(whole, OBJECTIVES, mix(0, 0), study(), NAMES)) == 6


def test_after_a_failure_other_points_are_asked() -> None:
    first = missing_recipes(measured([]), OBJECTIVES, mix(0, 0), study(), NAMES)
    again = missing_recipes(measured([]), OBJECTIVES, mix(0, 0), study(), NAMES)
    other = missing_recipes(measured([], failures=["x"]), OBJECTIVES, mix(0, 0), study(), NAMES)
    assert first == again and set(first) != set(other)


def test_surfaces_are_fitted_once_and_go_with_the_points() -> None:
    points = measured([mix(*each) for each in GRID])
    first = surfaces(points, OBJECTIVES, mix(0.1, 0.1))
    again = surfaces(points, OBJECTIVES, mix(0.9, 0.2))
    assert all(first[name] is again[name] for name in first)
    assert all(isinstance(each, Surrogate) for each in first.values())
    held = weakref.ref(first["facts"])
    del points, first, again
    gc.collect()
    assert held() is None


def test_a_refusal_is_kept_too_without_the_frames_it_came_from() -> None:
    points = measured([mix(0, 0)])
    found = surfaces(points, OBJECTIVES[:1], mix(0.5, 0.5))["facts"]
    assert isinstance(found, TooFew) and found.__traceback__ is None
    assert surfaces(points, OBJECTIVES[:1], mix(0.5, 0.5))["facts"] is found


def test_the_cost_is_one_value_where_every_model_runs_and_unknown_where_one_drops_out() -> None:
    def costs(recipe: Recipe) -> tuple[float, ...]:
        facts, loss, _ = truth(recipe)
        running = sum(value != 0.0 for value in recipe.coefficients.values())
        return facts, loss, 1.0 + running

    points = measured([*(mix(*place) for place in GRID), single("base")], costs)
    assert predict(points, OBJECTIVES, mix(0.3, 0.7))["cost"] == (3.0, 3.0, 3.0)
    assert set(predict(points, OBJECTIVES, mix(0.3, 0.0))) == {"facts", "loss"}
    assert too_few(points, OBJECTIVES, mix(0.3, 0.7)) is None


def test_a_cost_that_varies_where_every_model_runs_is_fitted_like_the_others() -> None:
    def costs(recipe: Recipe) -> tuple[float, ...]:
        facts, loss, _ = truth(recipe)
        return facts, loss, 1.0 + sum(recipe.coefficients.values())

    points = measured([mix(*place) for place in GRID], costs)
    mean, low, high = predict(points, OBJECTIVES, mix(0.3, 0.0))["cost"]
    assert low < mean < high and mean == pytest.approx(1.3, abs=0.01)


BANDS = ("helpful@1", "helpful@2", "terse@1", "terse@2")


def by_depth(method: str, values: Sequence[float]) -> Recipe:
    given = dict(zip(BANDS, values, strict=True)) | ({"base": 0.5} if method == "linear" else {})
    return resolve(Recipe(method, given, {"groups": 2}), NAMES)


def test_models_lie_where_all_their_bands_are_one() -> None:
    recipe = by_depth("task_arithmetic", (0.1, 0.2, 0.3, 0.4))
    assert anchor(recipe, "helpful", NAMES) == (1.0, 1.0, 0.0, 0.0)
    assert anchor(recipe, "base", NAMES) == (0.0, 0.0, 0.0, 0.0)
    assert anchor(by_depth("pcb", (0.1, 0.2, 0.3, 0.4)), "terse", NAMES) is None


@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
def test_a_surface_over_bands_knows_each_band(method: str) -> None:
    """Scores that depend on the first band's proportions alone are predicted from them."""
    rng = np.random.default_rng(3)

    def scores(recipe: Recipe) -> tuple[float, float, float]:
        own = {name: value for name, value in recipe.coefficients.items() if name.endswith("@1")}
        total = sum(own.values()) if method == "linear" else 1.0
        a = own["helpful@1"] / total
        return float(1 / (1 + np.exp(1 - a))), float(np.exp(a)), 1.0

    points = [by_depth(method, rng.uniform(0.1, 1.2, 4).tolist()) for _ in range(60)]
    known = measured(points, scores)
    for _ in range(5):
        here = by_depth(method, rng.uniform(0.2, 1.0, 4).tolist())
        found = predict(known, OBJECTIVES, here, NAMES)
        wanted = scores(here)
        assert found["facts"][0] == pytest.approx(wanted[0], abs=2e-3)
        assert found["loss"][0] == pytest.approx(wanted[1], rel=2e-3)
    few = measured(points[:4], scores)
    assert too_few(few, OBJECTIVES, here, NAMES) is not None
    wanted_points = missing_recipes(few, OBJECTIVES, here, study(), NAMES)
    assert {tuple(each.coefficients) for each in wanted_points} == {tuple(here.coefficients)}
    enough = measured([*points[:4], *wanted_points], scores)
    assert too_few(enough, OBJECTIVES, here, NAMES) is None


def test_a_recipe_of_bands_is_near_a_point_of_the_whole_model() -> None:
    near, far = mix(0.5, 0.5), mix(1.5, 0.0)
    found = measured([far, near]).nearest(by_depth("task_arithmetic", (0.5, 0.5, 0.5, 0.6)))
    assert found is not None and found.row == 1 and not found.exact
    assert found.distance == pytest.approx(0.1)
