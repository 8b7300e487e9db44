from __future__ import annotations

import pytest

from engine.decoding.fusion import Mixture
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

PAIR = Names(("a", "b"))
LARGE = Names(("a", "b"), has_target=True)


def mixture(name: str, names: Names, coefficients: dict[str, float], **parameters: str) -> Mixture:
    recipe = resolve(Recipe(name, coefficients, parameters), names)
    return METHODS[name].build(recipe.coefficients, names, **recipe.parameters)


def weights(found: Mixture) -> dict[str, float]:
    return dict(zip(found.models, found.weights, strict=True))


def test_proxy_tuning_on_a_target():
    found = mixture("proxy_tuning", LARGE, {"a": 0.5, "b": 1.0})
    assert weights(found) == {"target": 1.0, "a": 0.5, "b": 1.0, "base": -1.5}
    assert found.kind == "linear"


def test_proxy_tuning_without_a_target_steers_the_base():
    assert weights(mixture("proxy_tuning", PAIR, {"a": 0.5})) == {"base": 0.5, "a": 0.5}


@pytest.mark.parametrize(("names", "start"), [(LARGE, "target"), (PAIR, "base")])
def test_proxy_tuning_of_zeros_is_the_target(names, start):
    assert mixture("proxy_tuning", names, {}) == Mixture((start,), (1.0,))


def test_proxy_tuning_one_hot_is_the_expert():
    assert mixture("proxy_tuning", PAIR, {"b": 1.0}) == Mixture(("b",), (1.0,))


def test_proxy_tuning_on_a_target_runs_no_base_where_the_coefficients_cancel():
    assert weights(mixture("proxy_tuning", LARGE, {"a": 1.0, "b": -1.0})) == {
        "target": 1.0,
        "a": 1.0,
        "b": -1.0,
    }


def test_logit_fusion_takes_proportions():
    found = mixture("logit_fusion", PAIR, {"base": 1.0, "a": 3.0})
    assert weights(found) == {"base": 0.25, "a": 0.75}
    assert found.kind == "linear"
    assert mixture("logit_fusion", PAIR, {"a": 3.0, "b": 1.0}, kind="forward_kl") == Mixture(
        ("a", "b"), (0.75, 0.25), "forward_kl"
    )


@pytest.mark.parametrize("kind", ["reverse_kl", "forward_kl", "jsd", "alpha"])
def test_logit_fusion_one_hot_is_the_model(kind):
    found = mixture("logit_fusion", PAIR, {"b": 0.3}, kind=kind)
    assert (found.models, found.weights) == (("b",), (1.0,))


def test_logit_fusion_refuses_what_it_cannot_weigh():
    with pytest.raises(BadInput, match="sum is 0"):
        mixture("logit_fusion", PAIR, {"a": 1.0, "b": -1.0})
    with pytest.raises(BadInput, match=r"coefficient b: -0.5 is negative"):
        mixture("logit_fusion", PAIR, {"a": 1.0, "b": -0.5}, kind="forward_kl")
    assert weights(mixture("logit_fusion", PAIR, {"a": 1.5, "b": -0.5})) == {"a": 1.5, "b": -0.5}


def test_logit_fusion_s_alpha_is_part_of_its_own_kind_alone():
    plain = resolve(Recipe("logit_fusion", {"a": 1.0}, {"alpha": 0.3}), PAIR)
    assert plain.parameters == {"kind": "reverse_kl"}
    bent = resolve(Recipe("logit_fusion", {"a": 1.0, "b": 1.0}, {"kind": "alpha"}), PAIR)
    assert bent.parameters == {"kind": "alpha", "alpha": 0.5}
    found = mixture("logit_fusion", PAIR, {"a": 1.0, "b": 1.0}, kind="alpha")
    assert (found.kind, found.options) == ("alpha", (("alpha", 0.5),))


def test_single_is_one_model():
    assert mixture("single", LARGE, {}, model="target") == Mixture(("target",), (1.0,))
    with pytest.raises(BadInput, match="target"):
        mixture("single", PAIR, {}, model="target")
    with pytest.raises(BadInput):
        mixture("single", PAIR, {})


def test_sliders():
    assert METHODS["proxy_tuning"].default_range == (0.0, 2.0)
    assert METHODS["logit_fusion"].default_range == (0.0, 1.0)
    assert METHODS["logit_fusion"].coefficient_names(PAIR) == ("base", "a", "b")
    assert METHODS["proxy_tuning"].coefficient_names(LARGE) == ("a", "b")
    assert METHODS["single"].coefficient_names(PAIR) == ()
    assert not [each for each in METHODS["proxy_tuning"].parameters if each.name == "strength"]
