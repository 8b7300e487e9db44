from __future__ import annotations

import pytest
import torch

from engine.decoding.fusion import Mixture, combine
from engine.errors import BadInput
from engine.method import METHODS, Names
from engine.recipe import Recipe, resolve

LARGE = Names(("r1", "r2"), has_target=True)


def built(names: Names, coefficients: dict[str, float], **parameters: object) -> Mixture:
    recipe = resolve(Recipe("arm_guidance", coefficients, parameters), names)
    return METHODS["arm_guidance"].build(recipe.coefficients, names, **recipe.parameters)


def test_the_published_code(golden):
    data = golden("genarm_arithmetic")
    logits = {
        "base": torch.tensor(data["logits_base"]),
        "r1": torch.tensor(data["logits_r1"]),
        "r2": torch.tensor(data["logits_r2"]),
    }
    for row, (one, two) in enumerate(data["weights"].tolist()):
        found = built(LARGE, {"r1": one, "r2": two})
        fused = combine(found, [logits[name] for name in found.models])
        want = torch.tensor(data["sample_probs"][row])
        assert torch.allclose(fused.softmax(-1), want, atol=1e-5, rtol=0)
        assert torch.equal(fused.argmax(-1), want.argmax(-1))


def test_any_model_can_be_guided():
    assert built(LARGE, {"r1": 0.5}).models == ("base", "r1")
    assert built(LARGE, {"r1": 0.5}, on="target") == Mixture(("target", "r1"), (1.0, 0.5))
    assert built(LARGE, {}, on="r2") == Mixture(("r2",), (1.0,))
    assert built(LARGE, {"r2": 0.5}, on="r2") == Mixture(("r2",), (1.5,))
    with pytest.raises(BadInput, match="target"):
        built(Names(("r1",)), {"r1": 1.0}, on="target")
