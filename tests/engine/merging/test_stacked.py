"""Adapters of a layer as one product, against peft's own sum of them; mixtures row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.merging.adapters import AdapterModel
from engine.merging.stacked import NotByRow, Rows, Stacked
from engine.recipe import Recipe, resolve
from engine.study import FamilySpec
from tests import adapters

IDS = torch.randint(5, 300, (4, 9), generator=torch.Generator().manual_seed(0))
NEAR = {"rtol": 0, "atol": 3e-5}
MIXTURES = ({"a": 0.5, "b": 1.25, "c": -0.5}, {"b": 2.0}, {"a": 1.0, "c": 0.3}, {"a": 0.5})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_base(tmp_path_factory.mktemp("stacked") / "base")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapters.build_gpt2(tmp_path_factory.mktemp("stacked gpt2") / "base", tied=False)


def composer_of(base: Path, *kinds: str, dtype: str = "float32") -> Composer:
    """Experts a, b, c … of these kinds; written once beside the base."""
    places = {}

    def change(arguments: dict[str, Any]) -> None:
        if "gpt2" in str(base):
            arguments["target_modules"] = ["c_attn", "c_proj", "wte"]

    for seed, (name, kind) in enumerate(zip("abc", kinds, strict=False)):
        places[name] = base.parent / f"{name} {kind}"
        if not places[name].exists():
            adapters.write(base, places[name], kind, seed=seed, change=change)
    family = open_family(FamilySpec(base, places), text=False)
    return Composer(family, device="cpu", compute_dtype=dtype)


def logits(model: AdapterModel, ids: Tensor = IDS) -> Tensor:
    with torch.inference_mode():
        return model.module(input_ids=ids, use_cache=False).logits


def by_peft(base: Path, *kinds: str, dtype: str = "float32") -> AdapterModel:
    """The same adapters as peft runs them, one after the other."""
    found = composer_of(base, *kinds, dtype=dtype).adapters
    found.__dict__["_stacked"] = {}
    return found


KINDS = [
    ("LoRA", "rsLoRA", "LoRA"),
    ("LoRA", "LoRA, one layer", "LoRA, by pattern"),
    ("LoRA, embeddings", "LoRA, embeddings", "LoRA"),
]


@pytest.mark.parametrize("kinds", KINDS, ids=" and ".join)
def test_one_product_is_the_sum_of_all(base: Path, kinds: tuple[str, ...]) -> None:
    ours, theirs = composer_of(base, *kinds).adapters, by_peft(base, *kinds)
    for mixture in MIXTURES:
        ours.mix(mixture)
        theirs.mix(mixture)
        torch.testing.assert_close(logits(ours), logits(theirs), **NEAR)
    assert ours._stacked and not theirs._stacked


def test_layers_that_multiply_from_the_left_too(gpt2: Path) -> None:
    kinds = ("LoRA", "LoRA, drawn")
    ours, theirs = composer_of(gpt2, *kinds).adapters, by_peft(gpt2, *kinds)
    for model in (ours, theirs):
        model.mix({"a": 0.7, "b": -0.4})
    torch.testing.assert_close(logits(ours), logits(theirs), **NEAR)


def test_an_adapter_alone_is_the_same_bits_beside_others(base: Path) -> None:
    alone, beside = composer_of(base, "LoRA").adapters, composer_of(base, "LoRA", "rsLoRA").adapters
    alone.mix({"a": 0.8})
    beside.mix({"a": 0.8, "b": 0.5})
    assert not torch.equal(logits(beside), logits(alone))
    beside.mix({"a": 0.8})
    assert torch.equal(logits(beside), logits(alone))
    beside.mix({})
    alone.mix({})
    assert torch.equal(logits(beside), logits(alone))


@pytest.mark.parametrize("kinds", KINDS, ids=" and ".join)
def test_a_row_is_what_its_mixture_makes_of_it(base: Path, kinds: tuple[str, ...]) -> None:
    model = composer_of(base, *kinds).adapters
    assert model.by_row
    model.mix_rows(MIXTURES)
    order = [2, 0, 3, 1]
    model.route(torch.tensor(order))
    found = logits(model)
    for row, owner in enumerate(order):
        model.mix(MIXTURES[owner])
        torch.testing.assert_close(found[row], logits(model)[row], **NEAR)


def test_rows_of_the_wrong_number_are_refused(base: Path) -> None:
    model = composer_of(base, "LoRA", "rsLoRA").adapters
    model.mix_rows(MIXTURES[1:3])
    with pytest.raises(NotByRow):
        logits(model)  # nobody said which row is whose
    model.route(torch.tensor([0, 1]))
    with pytest.raises(NotByRow, match=r"\(4, 9, "):
        logits(model)


def test_what_is_not_given_rows_is_refused() -> None:
    """As experts of a mixture are: they are given tokens of all rows."""
    from peft import LoraConfig, inject_adapter_in_model

    one = torch.nn.ModuleDict({"x": torch.nn.Linear(3, 5)})
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["x"]), one, "n")
    rows = Rows()
    Stacked(one["x"], ["n"], rows).mix({"n": 1.0}, {"n": 0.5})  # type: ignore[arg-type]
    rows.owners = torch.tensor([0, 1])
    assert one["x"](torch.ones(2, 4, 3)).shape == (2, 4, 5)
    with pytest.raises(NotByRow):
        one["x"](torch.ones(2, 3))


def test_a_head_in_sixteen_bits_stays_with_peft(base: Path) -> None:
    kinds = ("LoRA, embeddings", "LoRA, embeddings")
    ours = composer_of(base, *kinds, dtype="bfloat16").adapters
    theirs = by_peft(base, *kinds, dtype="bfloat16")
    for model in (ours, theirs):
        model.mix({"a": 0.7, "b": 0.6})
    assert not ours.by_row
    with pytest.raises(ValueError, match="one product"):
        ours.mix_rows(MIXTURES)
    torch.testing.assert_close(logits(ours), logits(theirs), rtol=0, atol=0.02)


def test_scores_of_sums_have_a_version_of_their_own(base: Path) -> None:
    assert str(composer_of(base, "LoRA").numerics) == "cpu/float32/5"
    assert str(composer_of(base, "LoRA", "DoRA").numerics) == "cpu/float32/5"
    assert str(composer_of(base, "LoRA", "LoRA").numerics) == "cpu/float32/7"


def test_recipes_become_one_model(base: Path) -> None:
    composer = composer_of(base, "LoRA", "rsLoRA")
    recipes = [
        resolve(Recipe("task_arithmetic", c, {"strength": s}), composer.family.names)
        for c, s in (({"a": 0.5, "b": 1.0}, 0.5), ({"b": -1.0}, 1.0))
    ]
    model = composer.compose_rows(recipes)
    assert model.mixtures == ({"a": 0.25, "b": 0.5}, {"a": 0.0, "b": -1.0}) and model.route
    model.route(torch.tensor([1, 0, 0, 1]))
    found = logits(composer.adapters)
    other = composer.compose(recipes[1])
    torch.testing.assert_close(found[0], logits(composer.adapters)[0], **NEAR)
    composer.restore(model)
    model.route(torch.tensor([1, 0, 0, 1]))
    assert torch.equal(logits(composer.adapters), found)
    composer.restore(other)
    torch.testing.assert_close(found[3], logits(composer.adapters)[3], **NEAR)
