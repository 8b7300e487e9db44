"""Coefficients by depth, of every method that has them: no band knows of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.bands import banded, plain
from engine.compose import Composer
from engine.errors import BadInput
from engine.export.card import Papers, papers_kind
from engine.export.plan import plan_export
from engine.export.point import export_point
from engine.family.compatibility import open_family
from engine.merging.banded import Banded
from engine.merging.basis import Basis, Computed
from engine.method import METHODS, Method
from engine.recipe import Names, Recipe, resolve
from engine.study import FamilySpec
from tests import adapters

from .test_every_method import WEIGHT, State, few, named, opened, same_bits, wide

BANDED = [each for each in WEIGHT if each.by_depth]
LAYERS = 5
NUMBER = st.sampled_from((0.0, 1.0, 0.5)) | st.floats(-1.5, 1.5, width=32)


def models(seed: int) -> dict[str, State]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "model.embed_tokens.weight": (7, 6),
        "lm_head.weight": (7, 6),
        "model.norm.bias": (6,),
    }
    for layer in range(LAYERS):
        shapes |= {f"model.layers.{layer}.w.weight": (8, 6), f"model.layers.{layer}.b.bias": (8,)}
    return {
        model: {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        for model in ("base", "x", "y")
    }


def band(name: str, groups: int) -> int:
    """The rule in words: layer l of 5 in band ⌊l k / 5⌋ + 1, the embedding first, the rest last."""
    if "embed" in name:
        return 1
    parts = name.split(".")
    return int(parts[2]) * groups // LAYERS + 1 if "layers" in parts else groups


def drawn(data: st.DataObject, method: Method, groups: int) -> list[dict[str, float]]:
    """The coefficients of each band, by plain names."""
    names = method.mixed_names(Names(("x", "y")))
    found = []
    for _ in range(groups):
        values = {name: data.draw(NUMBER) for name in names}
        assume(not method.simplex or abs(sum(values.values())) > 0.1)
        found.append(values)
    return found


def basis_of(method: Method, tensors: Any) -> Basis:
    parameters = resolve(Recipe(method.name, {"x": 1.0}), tensors.family.names).parameters
    basis = method.build(tensors, **method.structural(parameters))
    return basis.materialise() if isinstance(basis, Computed) else basis


@named(BANDED)
@few
@given(data=st.data())
def test_each_band_is_merged_by_its_own_coefficients_alone(
    method: Method, data: st.DataObject
) -> None:
    groups = data.draw(st.integers(2, LAYERS))
    bands = drawn(data, method, groups)
    given_ = {f"{n}@{i}": v for i, each in enumerate(bands, 1) for n, v in each.items()}
    with opened(models(data.draw(st.integers(0, 99)))) as tensors:
        basis = basis_of(method, tensors)
        recipe = resolve(Recipe(method.name, given_, {"groups": groups}), tensors.family.names)
        found = wide(Banded(basis), recipe.coefficients)
        apart = [wide(basis, each) for each in bands]
        for name, values in found.items():
            assert same_bits(values, apart[band(name, groups) - 1][name]), name


@named(BANDED)
@few
@given(data=st.data())
def test_equal_bands_are_one_band_bit_for_bit(method: Method, data: st.DataObject) -> None:
    groups = data.draw(st.integers(2, LAYERS))
    (values,) = drawn(data, method, 1)
    with opened(models(data.draw(st.integers(0, 99)))) as tensors:
        basis, names = basis_of(method, tensors), tensors.family.names
        whole = resolve(Recipe(method.name, values), names)
        recipe = resolve(Recipe(method.name, values, {"groups": groups}), names)
        assert len(recipe.coefficients) == groups * len(whole.coefficients)
        wanted = wide(basis, whole.coefficients)
        assert wanted.keys() == (found := wide(Banded(basis), recipe.coefficients)).keys()
        assert all(same_bits(found[name], wanted[name]) for name in wanted)


@named([each for each in BANDED if each.corners.zero == "base"])
@few
@given(data=st.data())
def test_one_band_touches_its_layers_alone(method: Method, data: st.DataObject) -> None:
    groups, expert = data.draw(st.integers(2, LAYERS)), data.draw(st.sampled_from("xy"))
    only = data.draw(st.integers(1, groups))
    given_ = {name: float(name == f"{expert}@{only}") for n in "xy" for name in banded(n, groups)}
    states = models(data.draw(st.integers(0, 99)))
    with opened(states) as tensors:
        found = wide(Banded(basis_of(method, tensors)), given_)
    for name, values in found.items():
        changed = not torch.equal(values, states["base"][name])
        assert not changed or band(name, groups) == only, name
    assert any(not torch.equal(found[n], states["base"][n]) for n in found)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Composer:
    place = tmp_path_factory.mktemp("lora")
    base = adapters.build_base(place / "base")
    experts = {
        name: adapters.write(base, place / name, kind, seed=seed)
        for seed, (name, kind) in enumerate((("a", "LoRA"), ("b", "rsLoRA")), 2)
    }
    return Composer(open_family(FamilySpec(base, experts)), device="cpu", workspace=place / "w")


IDS = torch.tensor([[3, 8, 11, 2, 40]])


def by_depth(composer: Composer, method: str, c: dict[str, float]) -> Recipe:
    return resolve(Recipe(method, c, {"groups": 2}), composer.family.names)


def test_adapters_that_are_not_merged_are_scaled_by_depth(lora: Composer) -> None:
    """The same as the plain base with their merge written into it."""
    recipe = by_depth(lora, "task_arithmetic", {"a@1": 0.7, "b@2": -0.5, "b@1": 0.2})
    live = adapters.logits(lora.compose(recipe).modules[0], IDS)
    basis = lora.basis(recipe)
    module = adapters.load(lora.family.base.path)
    state = module.state_dict()
    for name in basis.tensors.names:
        out = torch.empty(basis.tensors.shape(name))
        basis.combine(name, recipe.coefficients, out)
        state[name].copy_(out)
    torch.testing.assert_close(live, adapters.logits(module, IDS), rtol=0, atol=3e-5)
    other = by_depth(lora, "task_arithmetic", {"a@2": 0.7, "b@1": -0.5, "b@2": 0.2})
    turned = adapters.logits(lora.compose(other).modules[0], IDS)
    assert (turned - live).abs().max() > 1e-3


def test_what_runs_counts_once(lora: Composer) -> None:
    whole = lora.compose(by_depth(lora, "task_arithmetic", {"a": 1.0})).cost
    half = lora.compose(by_depth(lora, "task_arithmetic", {"a@1": 1.0})).cost
    assert 1.0 < half < whole and (half - 1) * 2 == pytest.approx(whole - 1)


@pytest.mark.parametrize("adapter", [True, False])
def test_exports_by_depth_are_what_was_scored(
    lora: Composer, tmp_path: Path, adapter: bool
) -> None:
    recipe = by_depth(lora, "task_arithmetic", {"a@1": 0.7, "b@2": -0.5})
    papers = Papers(
        study="bands", family=lora.family, recipe=recipe, kind=papers_kind(recipe, adapter),
        numerics="cpu/float32/1", point="0" * 12,
        fingerprints=dict.fromkeys(lora.family.models, "0" * 64),
    )  # fmt: skip
    out = tmp_path / "out"
    exported = export_point(lora, papers, out, adapter=adapter)
    planned = plan_export(lora.family, recipe, adapter=adapter)
    assert {each.name for each in planned.files} == set(exported.files)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "a@1" in card and "b@2" in card
    if adapter:
        live = adapters.logits(lora.compose(recipe).modules[0], IDS)
        again = adapters.logits(adapters.under_peft(lora.family.base.path, out), IDS)
        torch.testing.assert_close(again, live, rtol=0, atol=3e-5)


def test_more_bands_than_layers_are_refused(lora: Composer) -> None:
    with pytest.raises(BadInput, match="3 bands, but the models have 2 layers"):
        resolve(Recipe("pcb", {}, {"groups": 3}), lora.family.names)


def test_bands_share_one_basis(lora: Composer) -> None:
    whole = resolve(Recipe("pcb", {"a": 1.0}), lora.family.names)
    banded_ = lora.basis(by_depth(lora, "pcb", {"a": 1.0}))
    assert isinstance(banded_, Banded) and banded_.basis is lora.basis(whole)
    assert {plain(each) for each in by_depth(lora, "pcb", {}).coefficients} == {"a", "b"}


def test_there_is_something_to_test() -> None:
    assert {"task_arithmetic", "linear", "pcb", "ties", "dare", "breadcrumbs", "compeft", "tsv",
            "rtsv"} <= {each.name for each in BANDED} <= set(METHODS)  # fmt: skip
