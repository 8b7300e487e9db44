"""LoRA experts run over the base's own tensors."""

from __future__ import annotations

import torch

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests.families import FamilyFiles


def test_every_adapter_runs_over_the_tensors_of_the_base(pristine: FamilyFiles) -> None:
    places = {name: pristine.experts[name] for name in ("terse", "formal")}
    family = open_family(FamilySpec(pristine.base, places))
    composer = Composer(family, device="cpu")
    base = composer.module("base").modules[0]
    before = {name: each.clone() for name, each in base.state_dict().items()}
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        alone = base(ids).logits
        places_of_base = {each.data_ptr() for each in base.parameters()}
        said = []
        for name in places:
            [expert] = composer.module(name).modules
            own = [each for each in expert.parameters() if each.data_ptr() not in places_of_base]
            assert sum(each.numel() for each in own) == family.experts[name].parameters
            said.append(expert(ids).logits)
        recipe = Recipe("task_arithmetic", {"terse": 1.0, "formal": 0.5})
        mixed = composer.compose(resolve(recipe, family.names))
        assert places_of_base <= {each.data_ptr() for each in mixed.modules[0].parameters()}
        mixed.modules[0](ids)
        assert torch.equal(base(ids).logits, alone)
    assert not torch.equal(said[0], alone) and not torch.equal(said[0], said[1])
    assert base.state_dict().keys() == before.keys()
    assert all(torch.equal(each, before[name]) for name, each in base.state_dict().items())
