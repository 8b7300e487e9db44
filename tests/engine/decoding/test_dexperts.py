from __future__ import annotations

import pytest
import torch

from engine.decoding.fusion import Mixture, combine
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

PAIR = Names(("good", "bad"))
LARGE = Names(("good", "bad"), has_target=True)


def built(names: Names, coefficients: dict[str, float], **parameters: object) -> Mixture:
    recipe = resolve(Recipe("dexperts", coefficients, parameters), names)
    return METHODS["dexperts"].build(recipe.coefficients, names, **recipe.parameters)


def test_outside_of_the_target_s_nucleus_nothing_is_said():
    p = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    good = torch.tensor([[0.0, 0.0, 3.0, 9.0]])
    mixture = Mixture(("target", "good"), (1.0, 1.0), "nucleus", (("share", 0.6),))
    found = combine(mixture, [p, good])
    assert found[0, 2:].tolist() == [-torch.inf, -torch.inf]
    assert torch.allclose(found[0, :2], p[0, :2])
    wider = combine(Mixture(*mixture_of(mixture, 0.9)), [p, good])
    assert wider[0].isfinite().tolist() == [True, True, True, False]
    assert int(wider.argmax()) == 2


def mixture_of(mixture: Mixture, share: float):
    return mixture.models, mixture.weights, "nucleus", (("share", share),)


def test_the_nucleus_holds_the_token_that_reaches_its_probability():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(50, 40, generator=generator) * 3
    mixture = Mixture(("target", "good"), (1.0, 0.5), "nucleus", (("share", 0.9),))
    found = combine(mixture, [logits, torch.randn(50, 40, generator=generator)])
    for row, kept in zip(logits.double().softmax(-1), found.isfinite(), strict=True):
        order = row.argsort(descending=True)
        before, wanted = 0.0, set()
        for token in order.tolist():
            if before > 0.9:
                break
            wanted.add(token)
            before += float(row[token])
        assert set(kept.nonzero().flatten().tolist()) == wanted


def test_ids_beyond_the_vocabulary_are_no_part_of_the_nucleus():
    target = torch.tensor([[1.0, 0.0, 20.0]])
    mixture = Mixture(("target", "good"), (1.0, 1.0), "nucleus", (("share", 0.9),))
    found = combine(mixture, [target, torch.zeros(1, 3)], 2)
    assert found[0].tolist() == [1.0, 0.0, -torch.inf]


def test_the_target_filters_where_its_own_weight_is_nothing():
    found = built(PAIR, {"good": 1.0})
    assert found == Mixture(("base", "good"), (0.0, 1.0), "nucleus", (("share", 0.9),))
    base, good = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    assert combine(found, [base, good])[0].tolist() == [0.0, -torch.inf]


def test_the_anti_expert_is_chosen():
    found = built(LARGE, {"good": 0.5}, anti="bad")
    assert dict(zip(found.models, found.weights, strict=True)) == {
        "target": 1.0, "good": 0.5, "bad": -0.5,
    }  # fmt: skip


def test_without_a_filter_it_is_proxy_tuning():
    found = built(LARGE, {"good": 0.5, "bad": 0.2}, filter_p=1.0)
    other = METHODS["proxy_tuning"].build({"good": 0.5, "bad": 0.2}, LARGE)
    assert found.kind == "linear"
    assert dict(zip(found.models, found.weights, strict=True)) == pytest.approx(
        dict(zip(other.models, other.weights, strict=True))
    )
