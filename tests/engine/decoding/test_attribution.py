"""Who said it, against brute force in float64: with a term, without it, model by model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from engine.decoding.attribution import SUMS, Attribution, attribute
from engine.decoding.fusion import Mixture, combine
from engine.decoding.inputs import NONE_OWN
from engine.errors import BadInput
from engine.jobs.attributing import without_each
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

LARGE = Names(("a", "b"), has_target=True)
PAIR = Names(("a", "b"))
SEEDS = {"base": 0, "target": 1, "a": 2, "b": 3}
CONTEXTS = [[5, 6, 7], [8, 9, 10, 11, 12], [13]]
MORE = [[20, 21, 22, 23], [30], []]
VOCABULARY = 120

CASES = {
    "proxy": (LARGE, "proxy_tuning", {"a": 0.7, "b": 0.4}, {}),
    "proxy without a target": (PAIR, "proxy_tuning", {"a": 1.0, "b": 0.0}, {}),
    "fusion": (PAIR, "logit_fusion", {"base": 0.2, "a": 0.5, "b": 0.3}, {}),
    "harmonic": (PAIR, "logit_fusion", {"base": 0.2, "a": 0.5, "b": 0.3}, {"kind": "forward_kl"}),
    "alpha": (PAIR, "logit_fusion", {"a": 0.6, "b": 0.4}, {"kind": "alpha"}),
    "one model": (PAIR, "logit_fusion", {"a": 1.0}, {}),
    "dynamic": (LARGE, "dynamic_fusion", {"a": 1.0, "b": 1.0}, {}),
    "directed": (PAIR, "dynamic_fusion", {"a": 0.7, "b": 0.4}, {"mode": "directed"}),
    "guided": (PAIR, "arm_guidance", {"a": 0.8, "b": 0.3}, {}),
    "dexperts": (LARGE, "dexperts", {"a": 0.6, "b": 0.5}, {}),
    "contrastive": (LARGE, "contrastive", {"contrast": 0.8}, {}),
    "gated": (LARGE, "gated", {"a": 0.7, "b": 0.4, "threshold": 2.8}, {}),
    "gated, always the base": (PAIR, "gated", {"a": 0.7, "threshold": 9.0}, {}),
    "away from the base": (PAIR, "guidance", {"scale": -1.0}, {"expert": "a"}),
}


@pytest.fixture
def family(tiny, runs):
    """Of a recipe what runs it, on tiny models of the same names."""

    def run(recipe: Recipe, names: Names):
        spec = METHODS[recipe.method]
        mixture = spec.build(recipe.coefficients, names, **recipe.parameters)
        modules = tuple(tiny("llama", SEEDS[name]) for name in mixture.models)
        return runs(modules, mixture, VOCABULARY, 124)

    return run


def moved(family, names, method, coefficients, parameters):
    """The recipe, its mixture, those without each coefficient, and the attribution."""
    recipe = resolve(Recipe(method, coefficients, parameters), names)
    others = {
        name: family(each, names)
        for name, each in without_each(recipe, names).items()
        if each is not None
    }
    model = family(recipe, names)
    read = [(CONTEXTS, NONE_OWN)] * (1 + len(others))
    return recipe, model, others, attribute(model, list(others.values()), read, MORE)


def positions(found: list[Attribution]) -> Iterator[tuple[list[int], int, Attribution, int]]:
    """Everything that was read by itself: context, token, and where the answer stands."""
    for context, more, each in zip(CONTEXTS, MORE, found, strict=True):
        for place, token in enumerate(more):
            yield [*context, *more[:place]], token, each, place


def alone(model, ids: list[int]) -> torch.Tensor:
    """log q in float64 of a mixture at the end of a text, by the models' own forwards."""
    logits = [
        module(input_ids=torch.tensor([ids])).logits[0, -1:].double() for module in model.modules
    ]
    mixture: Mixture = model.mixture
    if mixture.kind == "linear":
        fused = sum(w * each for w, each in zip(mixture.weights, logits, strict=True))
        fused[..., VOCABULARY:] = -torch.inf
    else:  # the rules themselves are held to their references elsewhere
        kept = [each[..., : model.rows].clone() for each in logits]
        fused = combine(mixture, kept, VOCABULARY).double()
    return fused[0].log_softmax(-1)


@pytest.mark.parametrize("case", CASES)
def test_with_and_without_each_term(family, case):
    names, method, coefficients, parameters = CASES[case]
    _, model, others, found = moved(family, names, method, coefficients, parameters)
    assert [len(each.probability) for each in found] == [len(each) for each in MORE]
    for ids, token, each, place in positions(found):
        log_q = alone(model, ids)
        entropy = -(log_q.exp() * log_q).nan_to_num().sum()
        assert each.probability[place].item() == pytest.approx(log_q.exp()[token].item(), abs=2e-6)
        assert each.entropy[place].item() == pytest.approx(entropy.item(), abs=2e-5)
        for other, less in zip(others.values(), each.without, strict=True):
            want = alone(other, ids).exp()[token].item()
            assert less[place].item() == pytest.approx(want, abs=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_contributions_sum_to_the_log_probability_and_the_entropy(family, case):
    names, method, coefficients, parameters = CASES[case]
    _, model, _, found = moved(family, names, method, coefficients, parameters)
    for ids, token, each, place in positions(found):
        if model.mixture.kind not in SUMS:
            assert each.contributions is None
            continue
        total = sum(float(part[place]) for part in each.contributions)
        q = float(each.probability[place])
        if q:
            want = torch.tensor(q).log().item() + float(each.entropy[place])
            assert total == pytest.approx(want, abs=1e-4)
        if model.mixture.kind == "linear":
            pairs = zip(model.modules, model.mixture.weights, each.contributions, strict=True)
            p = alone(model, ids).exp()
            for module, weight, part in pairs:
                own = module(input_ids=torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
                want = weight * (own[token] - (p * own).sum())
                assert part[place].item() == pytest.approx(want.item(), abs=1e-4)


def test_what_is_added_by_hand_is_what_a_term_of_proxy_tuning_is(family):
    """Without an expert its share of −base goes too."""
    names, method, coefficients, parameters = CASES["proxy"]
    _, _, others, found = moved(family, names, method, coefficients, parameters)
    modules = {}
    for other in others.values():
        modules |= zip(other.mixture.models, other.modules, strict=True)
    for ids, token, each, place in positions(found):
        t, b, e = (
            modules[name](input_ids=torch.tensor([ids])).logits[0, -1, :VOCABULARY].double()
            for name in ("target", "base", "b")
        )
        want = (t + 0.4 * (e - b)).softmax(-1)[token].item()
        assert each.without[0][place].item() == pytest.approx(want, abs=2e-6)


def test_a_coefficient_of_0_is_the_recipe_itself_and_a_method_may_need_one():
    recipe = resolve(Recipe("logit_fusion", {"a": 1.0}, {}), PAIR)
    found = without_each(recipe, PAIR)
    assert found == {"base": recipe, "a": None, "b": recipe}


def test_all_passes_are_read_once_whatever_is_compared(family):
    names, method, coefficients, parameters = CASES["proxy"]
    recipe = resolve(Recipe(method, coefficients, parameters), names)
    model = family(recipe, names)
    calls: list[int] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda module, given, named: calls.append(id(module)), with_kwargs=True
        )
        for module in model.modules
    ]
    try:
        others = [family(each, names) for each in without_each(recipe, names).values() if each]
        attribute(model, others, [(CONTEXTS, NONE_OWN)] * 3, MORE)
    finally:
        for each in hooks:
            each.remove()
    assert len(calls) == len(set(calls)) == 4


def test_a_pass_that_reads_something_else_keeps_it(family, runs, tiny):
    module = tiny("llama", 2)
    mixture = Mixture(("a", "a"), (1.0, -0.5), instead=(None, "no"))
    other = [[90, 91, *ids] for ids in CONTEXTS]
    model = runs((module, module), mixture, VOCABULARY, 124)
    [first, *_] = attribute(model, [], [(CONTEXTS, {1: other})], MORE)
    own, instead = (
        module(input_ids=torch.tensor([ids])).logits[0, -1, :VOCABULARY].double()
        for ids in (CONTEXTS[0], other[0])
    )
    want = (own - 0.5 * instead).softmax(-1)[MORE[0][0]]
    assert first.probability[0].item() == pytest.approx(want.item(), abs=2e-6)
    assert first.contributions is not None and len(first.contributions) == 2


def test_a_text_too_long_is_refused(family):
    names, method, coefficients, parameters = CASES["guided"]
    model = family(resolve(Recipe(method, coefficients, parameters), names), names)
    with pytest.raises(BadInput, match="128 positions"):
        attribute(model, [], [([[5] * 100], NONE_OWN)], [[6] * 60])


def test_what_has_no_mixture_has_no_terms(runs, tiny):
    with pytest.raises(ValueError, match="no terms"):
        attribute(runs((tiny("llama", 0),)), [], [(CONTEXTS, NONE_OWN)], MORE)
