from __future__ import annotations

import math

import pytest
import torch

from engine.decoding.fusion import Mixture, combine
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

PAIR = Names(("strong", "weak"))
LARGE = Names(("strong",), has_target=True)


def built(names: Names, contrast: float, **parameters: object) -> Mixture:
    recipe = resolve(Recipe("contrastive", {"contrast": contrast}, parameters), names)
    return METHODS["contrastive"].build(recipe.coefficients, names, **recipe.parameters)


def test_by_hand():
    # p = (0.6, 0.3, 0.06, 0.04): 0.06 is a tenth of the highest, 0.04 is less
    strong = torch.tensor([[0.6, 0.3, 0.0601, 0.0399]]).log()
    weak = torch.tensor([[2.0, 0.0, 0.0, -9.0]])
    found = combine(built(PAIR, 0.5, strong="strong", amateur="weak"), [strong, weak])
    assert found[0, 3] == -torch.inf
    assert torch.allclose(found[0, :3], (strong - 0.5 * weak)[0, :3])
    assert int(found.argmax()) == 1


def test_it_has_a_slider_of_its_own():
    method = METHODS["contrastive"]
    assert method.coefficient_names(PAIR) == ("contrast",)
    with pytest.raises(BadInput, match="coefficient of contrastive"):
        resolve(Recipe("contrastive", {"strong": 1.0}), PAIR)


def test_who_speaks_where_nobody_says_it():
    assert built(LARGE, 1.0).models == ("target", "base")
    assert resolve(Recipe("contrastive", {}), PAIR).parameters["strong"] == "base"


def test_no_contrast_leaves_the_strong_model_and_a_share_of_nothing_rules_nothing_out():
    assert built(LARGE, 0.0) == Mixture(("target",), (1.0,), "plausible", (("share", 0.1),))
    assert built(LARGE, 0.0, plausibility=0.0) == Mixture(("target",), (1.0,))
    logits = torch.tensor([[0.0, math.log(0.05), 1.0]])
    kept = combine(built(LARGE, 0.0), [logits.clone()])
    assert kept[0].tolist() == [0.0, -torch.inf, 1.0]


def test_only_the_likeliest_at_a_share_of_one():
    logits = torch.randn(9, 30, generator=torch.Generator().manual_seed(2))
    found = combine(built(LARGE, 0.5, plausibility=1.0), [logits, torch.zeros(9, 30)])
    assert found.isfinite().sum(-1).tolist() == [1] * 9
    assert torch.equal(found.argmax(-1), logits.argmax(-1))
