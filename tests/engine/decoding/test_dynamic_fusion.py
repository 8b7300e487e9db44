from __future__ import annotations

import math

import pytest
import torch

from engine.decoding.fusion import Mixture, combine
from engine.decoding.loop import generate
from engine.decoding.rules import strengths
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

ONE = Names(("a",), has_target=True)
LARGE = Names(("a", "b"), has_target=True)
PAIR = Names(("a", "b"))


def built(names: Names, coefficients: dict[str, float], **parameters: object) -> Mixture:
    recipe = resolve(Recipe("dynamic_fusion", coefficients, parameters), names)
    return METHODS["dynamic_fusion"].build(recipe.coefficients, names, **recipe.parameters)


def chosen(mixture: Mixture, logits: list[torch.Tensor]) -> torch.Tensor:
    return strengths(logits, mixture.weights, dict(mixture.options))


def brute(large, small, experts, candidates):
    """The algorithm as it is printed, for one context: float64 logits [vocabulary]."""

    def divergence(one, other):
        return float((one.exp() * (one - other)).sum())

    p, q = large.log_softmax(-1), small.log_softmax(-1)
    wanted = [each.log_softmax(-1) for each in experts]
    best, least = None, math.inf
    for candidate in candidates:
        moved = large + sum(a * (e - small) for a, e in zip(candidate, experts, strict=True))
        moved = moved.log_softmax(-1)
        loss = sum(
            (divergence(moved, p) - divergence(each, q)) ** 2
            + (divergence(p, moved) - divergence(q, each)) ** 2
            for each in wanted
        )
        if loss < least:
            best, least = candidate, loss
    return best


@pytest.mark.parametrize("name", ["dlf_single", "dlf_multi2"])
def test_reference(golden, name):
    data = golden(name)
    experts = torch.tensor(data["expert_logits"]).unbind(1)
    names = Names(tuple("ab"[: len(experts)]), has_target=True)
    mixture = built(names, dict.fromkeys(names.experts, 1.0))
    logits = [torch.tensor(data["large_logits"]), torch.tensor(data["small_logits"]), *experts]
    want = torch.tensor(data["alpha" if name == "dlf_single" else "alpha_one"]).double()
    assert torch.allclose(chosen(mixture, [each.float() for each in logits]), want, atol=1e-9)


def test_brute_force_on_two_hundred_contexts():
    generator = torch.Generator().manual_seed(8)
    large, small = (torch.randn(200, 64, generator=generator) * 3 for _ in range(2))
    small = small * 0.3 + large
    experts = [small + torch.randn(200, 64, generator=generator) * scale for scale in (0.5, 2.0)]
    grid = [step * 0.1 for step in range(21)]
    candidates = [(each, 0.0) for each in grid] + [(0.0, each) for each in grid]
    found = chosen(built(LARGE, {"a": 1.0, "b": 1.0}), [large, small, *experts])
    for row in range(200):
        wide = [each[row].double() for each in (large, small, *experts)]
        want = brute(wide[0], wide[1], wide[2:], candidates)
        assert found[row].tolist() == pytest.approx(list(want), abs=1e-9)
    assert len(set(map(tuple, found.tolist()))) > 10


def test_a_target_that_is_the_base_is_the_expert_and_an_expert_that_is_the_base_does_nothing():
    generator = torch.Generator().manual_seed(1)
    base, expert = torch.randn(2, 30, 50, generator=generator).unbind(0)
    steered = chosen(built(ONE, {"a": 1.0}), [base, base.clone(), expert])
    assert steered.tolist() == [[1.0]] * 30
    still = chosen(built(ONE, {"a": 1.0}), [expert, base, base.clone()])
    assert still.tolist() == [[0.0]] * 30
    alone = built(PAIR, {"a": 1.0})
    assert alone.models == ("base", "a")
    assert torch.allclose(combine(alone, [base, expert]), expert, atol=1e-5)


def test_strengths_are_used():
    generator = torch.Generator().manual_seed(4)
    large, small, a, b = (torch.randn(20, 40, generator=generator) * 2 for _ in range(4))
    mixture = built(LARGE, {"a": 0.3, "b": 2.0})
    found = chosen(mixture, [large, small, a, b]).float()
    want = large + found[:, :1] * (a - small) + found[:, 1:] * (b - small)
    assert torch.allclose(combine(mixture, [large, small, a, b]), want, atol=1e-5)
    assert {0.0} != set(found.flatten().tolist())


def test_directed_takes_its_direction_from_the_sliders():
    generator = torch.Generator().manual_seed(4)
    large, small, a, b = (torch.randn(20, 40, generator=generator) * 2 for _ in range(4))
    mixture = built(LARGE, {"a": 0.6, "b": 0.2}, mode="directed")
    assert mixture.weights == pytest.approx((1.0, -1.0, 0.75, 0.25))
    shift = 0.75 * (a - small) + 0.25 * (b - small)
    found = chosen(mixture, [large, small, a, b])
    assert found.shape == (20, 1)
    assert torch.allclose(
        combine(mixture, [large, small, a, b]), large + found.float() * shift, atol=1e-5
    )
    one = chosen(built(LARGE, {"b": 0.2}, mode="directed"), [large, small, b])
    assert torch.equal(one, chosen(built(LARGE, {"b": 1.0}), [large, small, b]))


def test_nobody_takes_part():
    assert built(LARGE, {}) == Mixture(("target",), (1.0,))
    assert built(PAIR, {}, mode="directed") == Mixture(("base",), (1.0,))


def test_no_direction_and_too_fine_a_grid_are_refused():
    with pytest.raises(BadInput, match="no direction"):
        built(LARGE, {"a": 1.0, "b": -1.0}, mode="directed")
    with pytest.raises(BadInput, match="2000 candidates"):
        built(LARGE, {"a": 1.0}, step=0.001)


def test_rows_depend_on_nothing_beside_them():
    generator = torch.Generator().manual_seed(6)
    logits = [torch.randn(7, 3, 300, generator=generator) * 20 for _ in range(4)]
    mixture = built(LARGE, {"a": 1.0, "b": 1.0})
    together = chosen(mixture, logits)
    for row in range(7):
        assert torch.equal(together[row], chosen(mixture, [each[row] for each in logits]))


def test_of_equal_minima_the_first_is_taken():
    generator = torch.Generator().manual_seed(9)
    base, a, b = (torch.randn(200, 80, generator=generator) for _ in range(3))
    found = chosen(built(PAIR, {"a": 1.0, "b": 1.0}), [base, a, b])
    at_one = found[(found == 1.0).any(-1)]  # there both have the same loss, the other's divergence
    assert len(at_one) > 10
    assert at_one.tolist() == [[1.0, 0.0]] * len(at_one)


def test_far_logits_do_not_overflow():
    large = torch.tensor([[0.0, 50.0, -50.0]])
    small, expert = torch.tensor([[0.0, 0.0, 90.0]]), torch.tensor([[300.0, 0.0, 0.0]])
    found = chosen(built(ONE, {"a": 1.0}), [large, small, expert])
    assert bool(found.isfinite().all())
    wide = [each[0].double() for each in (large, small, expert)]
    grid = [(step * 0.1,) for step in range(21)]
    assert found[0].tolist() == pytest.approx(list(brute(wide[0], wide[1], wide[2:], grid)))


@pytest.mark.parametrize("mode", ["paper", "directed"])
def test_each_token_says_the_strengths_that_it_was_chosen_with(tiny, runs, prompts, mode):
    mixture = built(LARGE, {"a": 0.6, "b": 0.3}, mode=mode)
    modules = tuple(tiny("llama", seed, num_hidden_layers=1) for seed in range(4))
    model = runs(modules, mixture, 120, 128)
    found = generate(model, prompts[:6], max_new_tokens=12, end_ids=frozenset(range(2, 20)))
    assert mixture.chosen == (("a", "b") if mode == "paper" else ("strength",))
    lengths = [len(each.token_ids) for each in found]
    assert len(set(lengths)) > 1, "rows that leave the batch at different steps"
    said = set()
    for prompt, each in zip(prompts, found, strict=False):
        assert len(each.strengths) == len(each.token_ids) + (each.ended == "end")
        kept = each.strengths[: len(each.token_ids)]
        text = torch.tensor([[*prompt, *each.token_ids]])
        logits = [
            module(input_ids=text).logits[0, len(prompt) - 1 : -1, :120] for module in modules
        ]
        want = chosen(mixture, logits)
        assert torch.allclose(torch.tensor(kept).double().view(want.shape), want)
        said |= {*kept}
    assert len(said) > 3
