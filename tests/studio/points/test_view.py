"""The view model: columns, front, nearest point, words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import engine  # noqa: F401
from engine.recipe import Names, Recipe, resolve
from studio.points.numbers import number
from studio.points.recipes import recipe_text
from studio.points.view import Axis, Measured, axes_of, measure
from studio.points.words import front_words, readout

NAMES = Names(("helpful", "terse"))
FACTS = Axis("facts", True, "share of examples")
LOSS = Axis("loss", False, "nats per token")
AXES = (FACTS, LOSS)


@dataclass
class Point:
    id: str
    recipe: dict[str, Any]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None


def mix(helpful: float, terse: float, **parameters: Any) -> Recipe:
    c = {"helpful": helpful, "terse": terse}
    return resolve(Recipe("task_arithmetic", c, parameters), NAMES)


def single(model: str) -> Recipe:
    return resolve(Recipe("single", {}, {"model": model}), NAMES)


def scored(recipe: Recipe, facts: float | None, loss: float | None, name: str) -> Point:
    def score(mean: float | None) -> dict[str, Any]:
        return {"mean": mean, "stderr": 0.01, "n": 40, "low": None, "high": None}

    return Point(name, recipe.as_dict(), {"facts": score(facts), "loss": score(loss)})


@pytest.fixture
def measured() -> Measured:
    points = [
        scored(single("base"), 0.2, 2.0, "b"),
        scored(single("helpful"), 0.6, 2.5, "h"),
        scored(mix(0.5, 0.5), 0.6, 2.5, "dup"),
        scored(mix(1.0, 0.0), 0.5, 2.6, "worse"),
        scored(mix(0.0, 1.0), 0.9, None, "half"),
        Point("bad", mix(1.5, 1.5).as_dict(), {}, error="the logits are not finite"),
    ]
    return measure(points, ("facts", "loss"))


def test_columns_hold_what_was_scored_and_failures_are_counted_apart(measured: Measured) -> None:
    assert measured.ids == ("b", "h", "dup", "worse", "half")
    assert dict(measured.failures) == {"bad": "the logits are not finite"}
    np.testing.assert_array_equal(measured.mean[0], [0.2, 2.0])
    assert np.isnan(measured.mean[4, 1])
    assert measured.complete(0) and not measured.complete(4)
    assert measured.singles.tolist() == [True, True, False, False, False]


def test_front_keeps_duplicates_and_sets_incomplete_points_aside(measured: Measured) -> None:
    assert measured.front_of(AXES).tolist() == [True, True, True, False, False]


def test_front_over_one_objective_uses_its_direction(measured: Measured) -> None:
    assert measured.front_of([LOSS]).tolist() == [True, False, False, False, False]
    assert measured.front_of([FACTS]).tolist() == [False, False, False, False, True]


def test_an_empty_study_has_an_empty_front() -> None:
    empty = measure([], ("facts", "loss"))
    assert empty.front_of(AXES).tolist() == []
    assert empty.nearest(mix(0.5, 0.5)) is None


def test_nearest_is_exact_only_for_the_recipe_itself(measured: Measured) -> None:
    found = measured.nearest(mix(0.5, 0.5))
    assert found is not None and found.exact and measured.ids[found.row] == "dup"
    found = measured.nearest(mix(0.9, 0.0))
    assert found is not None and not found.exact and measured.ids[found.row] == "worse"
    assert found.distance == pytest.approx(0.1)


def test_a_slider_of_a_method_s_own_is_near_nothing_else(measured: Measured) -> None:
    given = {"strong": "base", "amateur": "base", "plausibility": 0.1}
    assert measured.nearest(Recipe("contrastive", {"contrast": 0.5}, given)) is None


def test_without_points_of_these_parameters_the_models_stand_in(measured: Measured) -> None:
    """Another strength is another mixture: equal coefficients are near, never exact."""
    found = measured.nearest(mix(1.0, 0.0, strength=0.5))
    assert found is not None and not found.exact
    assert found.distance == 0.0
    assert measured.ids[found.row] in ("h", "worse")


def test_proportions_are_what_is_compared_where_a_method_knows_only_those() -> None:
    def fusion(base: float, helpful: float) -> Recipe:
        return resolve(Recipe("logit_fusion", {"base": base, "helpful": helpful}), NAMES)

    measured = measure([scored(fusion(1.0, 1.0), 0.5, 1.0, "even")], ("facts", "loss"))
    found = measured.nearest(fusion(0.4, 0.4))
    assert found is not None and found.exact


def test_readout_is_json_and_never_claims_a_score_for_an_unmeasured_recipe(
    measured: Measured,
) -> None:
    near = readout(measured, AXES, mix(0.9, 0.0), None, (3, 6))
    assert json.loads(json.dumps(near)) == near
    assert near["title"] == "Not measured yet: Evaluate"
    assert near["note"].startswith("Too few points to predict: 3 of 6.")
    assert near["mark"]["kind"] == "nearest"
    assert near["mark"]["label"] == "nearest measured, 0.10 away"
    assert near["mark"]["values"] == {"facts": 0.5, "loss": 2.6}
    exact = readout(measured, AXES, mix(0.5, 0.5))
    assert exact["mark"]["kind"] == "measured" and exact["mark"]["label"] == "this recipe"
    assert exact["lines"][0] == ["facts ↑", "0.600 ± 0.010"]
    assert readout(measure([], ("facts", "loss")), AXES, mix(1, 1))["mark"] is None


def test_a_prediction_is_called_one_and_carries_its_band(measured: Measured) -> None:
    shown = readout(measured, AXES, mix(0.9, 0.0), {"facts": (0.7, 0.6, 0.8)})
    assert json.loads(json.dumps(shown)) == shown
    assert shown["title"] == "Predicted, not measured" and not shown["whole"]
    assert shown["lines"] == [
        ["facts ↑", "0.700, 0.600 … 0.800"],
        ["loss ↓", "not predicted"],
    ]
    assert shown["mark"]["kind"] == "predicted"
    assert shown["mark"]["values"] == {"facts": 0.7}
    assert shown["mark"]["bands"] == {"facts": [0.6, 0.8]}
    assert shown["mark"]["coefficients"]["helpful"] == 0.9
    assert not shown["note"].startswith("Outside") and shown["mark"]["label"] == "predicted"
    told = {"facts": (0.7, 0.6, 0.8)}
    far = readout(measured, AXES, mix(0.9, 0.0), told, trust={"facts": (0.938, True)})
    assert far["lines"][0] == ["facts ↑", "0.700, 0.600 … 0.800 (LOO 94 %)"]
    assert far["note"].startswith("Outside the points measured: extrapolated.")
    assert far["mark"]["label"] == "predicted, extrapolated"
    measured_one = readout(measured, AXES, mix(0.5, 0.5), {"facts": (0.7, 0.6, 0.8)})
    assert measured_one["mark"]["kind"] == "measured", "a measured point is never shown predicted"


def test_a_missing_score_is_said_and_gets_no_place_on_the_chart(measured: Measured) -> None:
    shown = readout(measured, AXES, mix(0.0, 1.0))
    assert shown["lines"][1] == ["loss ↓", "not measured"]
    assert "loss" not in shown["mark"]["values"]
    assert shown["mark"]["kind"] == "measured" and not shown["whole"]
    assert shown["title"] == "Measured in part: Evaluate"


def test_while_a_recipe_is_measured_its_ring_stays_and_nobody_is_told_to_evaluate(
    measured: Measured,
) -> None:
    partly = mix(0.0, 1.0)
    band = {"facts": (0.7, 0.6, 0.8), "loss": (2.2, 2.1, 2.3)}
    shown = readout(measured, AXES, partly, band, now=True)
    own = readout(measured, AXES, partly)["mark"]["values"]["facts"]
    assert shown["title"] == "Being measured" and shown["lines"][1] == ["loss ↓", "not measured"]
    assert shown["mark"]["values"] == {"facts": own, "loss": 2.2}
    assert shown["mark"]["kind"] == "predicted" and set(shown["mark"]["bands"]) == {"loss"}
    alone = readout(measured, AXES, partly, now=True)["mark"]
    assert alone["kind"] == "nearest" and set(alone["values"]) == {"facts", "loss"}
    assert readout(measured, AXES, mix(0.9, 0.0), now=True)["title"] == "Being measured"


def test_words_count_front_and_what_cannot_be_shown(measured: Measured) -> None:
    text = front_words(measured, AXES, AXES[:1])
    assert text == "3 of 5 points on the front. 1 set aside: not measured on loss."
    text = front_words(measured, AXES[:1], AXES)
    assert text == "1 of 5 points on the front. 1 not shown: not measured on loss."


@pytest.mark.parametrize(
    ("mean", "stderr", "text"),
    [
        (0.6123, 0.0281, "0.612 ± 0.028"),
        (0.5, float("nan"), "0.500"),
        (12345.6, 2.0, "1.235e+04 ± 2.000"),
        (float("nan"), 0.1, "not measured"),
    ],
)
def test_numbers_carry_their_error(mean: float, stderr: float, text: str) -> None:
    assert number(mean, stderr) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ((1.0, 0.0, 0.987, 1.0), "1.000 [0.987, 1.000]"),
        ((0.0, None, 0.0, 0.793), "0.000 [0.000, 0.793]"),
        ((0.5, 0.02, 0.46, 0.54), "0.500 ± 0.020 [0.460, 0.540]"),
        ((2.0, 0.0, None, None), "2.000 ± 0.000"),
        ((1.0, 0.0, float("nan"), float("nan")), "1.000 ± 0.000"),
    ],
)
def test_a_score_shows_its_interval_and_no_error_of_zero_beside_it(
    score: tuple[float | None, ...], text: str
) -> None:
    assert number(*score) == text


def test_every_column_of_a_score_is_kept() -> None:
    score = {"mean": 1.0, "stderr": 0.0, "n": 300, "low": 0.987, "high": 1.0}
    found = measure([Point("p", single("base").as_dict(), {"facts": score})], ("facts", "loss"))
    assert (found.mean[0, 0], found.stderr[0, 0], found.n[0, 0]) == (1.0, 0.0, 300)
    assert (found.low[0, 0], found.high[0, 0]) == (0.987, 1.0)
    assert np.isnan(found.low[0, 1]) and found.n[0, 1] == 0
    assert found.score_text(0, "facts") == "1.000 [0.987, 1.000]"
    assert found.score_text(0, "loss") == "not measured"


def test_only_keeps_the_points_of_a_mask_whole(measured: Measured) -> None:
    kept = measured.only(np.array([False, True, False, True, False]))
    assert kept.ids == ("h", "worse") and kept.row_of == {"h": 0, "worse": 1}
    assert kept.recipes == (measured.recipes[1], measured.recipes[3])
    assert kept.singles.tolist() == [True, False]
    np.testing.assert_array_equal(kept.mean, measured.mean[[1, 3]])
    np.testing.assert_array_equal(kept.n, measured.n[[1, 3]])
    assert kept.low.shape == kept.mean.shape and kept.failures == measured.failures
    assert kept.front_of(AXES).tolist() == [True, False]
    assert len(measured.only(np.zeros(5, dtype=bool))) == 0


def test_recipe_text_names_only_what_differs_from_the_default() -> None:
    assert recipe_text(mix(0.5, 0.0)) == "task_arithmetic(helpful 0.5)"
    assert recipe_text(mix(0.5, 0.0, strength=0.8)).endswith("[strength 0.8]")
    assert recipe_text(single("base")) == "base"


def test_axes_say_direction_and_unit_in_words() -> None:
    from engine.study import Objective

    checked = [
        Objective("facts", "exact_match", direction="maximize"),
        Objective("loss", "nll", direction="minimize"),
        Objective("cost", "cost", direction="minimize"),
    ]
    titles = [axis.title for axis in axes_of(checked)]
    assert titles == [
        "facts ↑ maximise (share of examples)",
        "loss ↓ minimise (nats per token)",
        "cost ↓ minimise (× the base's parameters)",
    ]


def test_points_like_a_recipe_share_its_method_and_parameters(measured: Measured) -> None:
    assert measured.like(mix(0.3, 0.3)).tolist() == [2, 3, 4]
    assert measured.like(mix(0.3, 0.3, strength=0.5)).tolist() == []
    assert measured.like(single("helpful")).tolist() == [1]


def test_an_objective_without_a_value_is_told_with_its_reason() -> None:
    """Measured, and not a number: it is said why, and nobody is asked to measure it again."""
    lost = scored(mix(0.0, 1.0), 0.9, None, "lost")
    lost.error = "loss: the perplexity is beyond a float: 1e400; ask fewer tokens"
    both = scored(mix(0.2, 0.2), 0.5, None, "both")
    both.error = "facts: not this one; loss: constant logits"
    waits = scored(mix(0.1, 1.0), 0.7, None, "waits")
    dead = scored(mix(0.3, 1.0), None, None, "dead")
    dead.error = "facts: constant logits; loss: constant logits"
    found = measure([lost, both, waits, dead], ("facts", "loss"))
    why = "the perplexity is beyond a float: 1e400; ask fewer tokens"
    assert found.score_text(0, "loss") == f"no score: {why}"
    assert found.score_text(0, "facts") == "0.900 ± 0.010"
    assert found.score_text(1, "loss") == "no score: constant logits"
    assert found.score_text(2, "loss") == "not measured"
    assert [found.complete(row) for row in range(3)] == [True, True, False]
    assert found.only(np.array([True, False, False])).score_text(0, "loss") == f"no score: {why}"
    assert found.score_text(0, "loss") == f"no score: {why}"
    assert readout(found, AXES, mix(0.0, 1.0))["title"] == "Measured"
    assert found.failures == {"dead": dead.error}
    told = readout(found, AXES, mix(0.3, 1.0), failure=found.failures["dead"])
    assert told["title"] == "Failed: no score" and told["note"] == dead.error
    assert told["lines"] == [] and told["mark"] is None
