"""TSV-Merge against its official code, by hand, and where that code has no one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.compose import Composer
from engine.family.compatibility import open_family
from engine.merging import low_rank, spectrum
from engine.merging.basis import Basis, Computed, Tensors
from engine.recipe import METHODS, Recipe, resolve
from engine.study import FamilySpec, load_study
from tests import adapters
from tests.families import build_tied_family
from tests.oracle import tsv_basis

from .conftest import EXPERTS, GOLDEN

Make = Callable[[Mapping[str, Mapping[str, Tensor]]], Tensors]

NAMES = ("rtsv", "tsv")


def merged(basis: Basis, name: str, coefficients: Mapping[str, float]) -> Tensor:
    out = torch.full(basis.tensors.shape(name), 99.0)
    basis.combine(name, {each: 0.0 for each in basis.tensors.experts} | dict(coefficients), out)
    return out


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def zeros(**experts: Tensor) -> dict[str, dict[str, Tensor]]:
    """A base of zeros, so that experts are their own task vectors."""
    first = next(iter(experts.values()))
    return {"base": {"w": torch.zeros_like(first)}, **{k: {"w": v} for k, v in experts.items()}}


def test_it_merges_as_the_official_code(published: Tensors) -> None:
    basis = METHODS["tsv"].build(published)
    with np.load(GOLDEN / "tsvm.npz") as stored:
        assert set(stored.files) == set(published.names)
        for name in published.names:
            base, wanted = published.read("base", name), torch.from_numpy(stored[name])
            found = merged(basis, name, dict.fromkeys(EXPERTS, 1.0)) - base
            # 4e-6 is what the official code's own float32 is good for; adding θ0 rounds besides
            allowed = 4e-6 * wanted.abs().max() + 2**-23 * (base.abs() + wanted.abs()).max()
            assert float((found - wanted).abs().max()) < allowed, name


def test_two_directions_by_hand(make: Make) -> None:
    """30° and 60° are turned to 0° and 90°; e_1 and e_2 stay."""
    near, far = 3**0.5 / 2, 0.5
    models = zeros(
        a=torch.tensor([[2 * near, 0.0], [2 * far, 0.0]]),
        b=torch.tensor([[0.0, 4 * far], [0.0, 4 * near]]),
    )
    basis = METHODS["tsv"].build(make(models))
    found = merged(basis, "w", {"a": 1.0, "b": 0.5})
    torch.testing.assert_close(found, torch.tensor([[2.0, 0.0], [0.0, 2.0]]))


def test_a_coefficient_scales_its_block(
    published: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    base = published.read("base", name)
    vectors = [published.read(each, name) - base for each in EXPERTS]
    basis = METHODS["tsv"].build(published)
    for expert, wanted in zip(EXPERTS, tsv_basis(vectors), strict=True):
        found = merged(basis, name, {expert: 0.7}) - base
        torch.testing.assert_close(found.double(), 0.7 * wanted, rtol=0.0, atol=2e-5)
    assert isinstance(basis, Computed)
    c = dict(zip(EXPERTS, (0.3, -0.7, 1.1), strict=True))
    for most in (low_rank.PRODUCTS, 0):
        monkeypatch.setattr(low_rank, "PRODUCTS", most)
        assert torch.equal(merged(basis.materialise(), name, c), merged(basis, name, c))


@pytest.mark.parametrize("method", NAMES)
def test_what_is_no_matrix_takes_the_mean(make: Make, method: str) -> None:
    def state(value: float) -> dict[str, Tensor]:
        return {
            "bias": torch.full((3,), value),
            "scale": torch.tensor(value),
            "stack": torch.full((2, 3, 3), value),
            "text_projection.weight": torch.full((3, 3), value),
            "empty": torch.zeros(0, 3),
            "row": torch.full((1, 6), value),
        }

    basis = METHODS[method].build(make({"base": state(1.0), "a": state(3.0), "b": state(5.0)}))
    for name in ("bias", "scale", "stack", "text_projection.weight"):
        found = merged(basis, name, {"a": 1.0, "b": 0.5})
        assert torch.equal(found, torch.full_like(found, 1.0 + 2.0 / 2 + 0.5 * 4.0 / 2)), name
    assert merged(basis, "empty", {"a": 1.0}).shape == (0, 3)
    # one row has no direction for each of two experts
    assert torch.equal(merged(basis, "row", {"a": 1.0, "b": 1.0}), torch.ones(1, 6))


@pytest.mark.parametrize("method", NAMES)
def test_an_expert_equal_to_the_base_leaves_the_others_merged(make: Make, method: str) -> None:
    a, b = drawn(0, 12, 9), drawn(1, 12, 9)
    basis = METHODS[method].build(make(zeros(a=a, zero=torch.zeros(12, 9), b=b)))
    wanted = tsv_basis([a, torch.zeros(12, 9), b], method == "rtsv")
    found = merged(basis, "w", {"a": 1.0, "zero": 1.0, "b": 1.0})
    torch.testing.assert_close(found.double(), wanted[0] + wanted[2], rtol=0.0, atol=2e-5)
    assert not merged(basis, "w", {"zero": 1.0}).any()


@pytest.mark.parametrize("method", NAMES)
def test_equal_experts_share_their_directions(make: Make, method: str) -> None:
    a = drawn(0, 12, 8)
    basis = METHODS[method].build(make(zeros(a=a, b=a.clone())))
    u, s, v = torch.linalg.svd(a, full_matrices=False)
    cut = (u[:, :4] * s[:4]) @ v[:4]
    for coefficients, weight in (({"a": 0.6, "b": 0.6}, 0.6), ({"a": 1.0}, 0.5)):
        torch.testing.assert_close(
            merged(basis, "w", coefficients), weight * cut, rtol=0.0, atol=2e-5
        )


@pytest.mark.parametrize("method", NAMES)
def test_the_order_of_experts_does_not_matter(make: Make, method: str) -> None:
    experts = {name: drawn(seed, 16, 12) for seed, name in enumerate("abc")}
    c = {"a": 0.4, "b": 1.0, "c": -0.3}
    first = merged(METHODS[method].build(make(zeros(**experts))), "w", c)
    turned = zeros(**{name: experts[name] for name in "cab"})
    torch.testing.assert_close(
        merged(METHODS[method].build(make(turned)), "w", c), first, rtol=0.0, atol=2e-5
    )


@pytest.mark.parametrize("method", NAMES)
def test_zero_is_the_base_and_one_expert_is_itself(make: Make, method: str) -> None:
    state = {name: {"w": drawn(seed, 8, 6).bfloat16()} for seed, name in enumerate(("base", "a"))}
    alone = METHODS[method].build(make(state))
    for name, weight in (("base", 0.0), ("a", 1.0)):
        assert torch.equal(merged(alone, "w", {"a": weight}), state[name]["w"].float())
    both = METHODS[method].build(make(state | {"b": {"w": drawn(2, 8, 6).bfloat16()}}))
    assert isinstance(both, Computed)
    for basis in (both, both.materialise()):
        assert torch.equal(merged(basis, "w", {}), state["base"]["w"].float())


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> FamilySpec:
    """Two adapters of GPT-2, whose layers are stored transposed; one also has its embedding."""
    root = tmp_path_factory.mktemp("lora")
    base = adapters.build_gpt2(root / "base", tied=False)
    layers = {"a": ["c_attn", "c_proj", "wte"], "b": ["c_attn", "c_proj"]}
    places = {}
    for seed, (name, targets) in enumerate(layers.items(), 3):

        def change(arguments: dict[str, Any], targets: list[str] = targets) -> None:
            arguments["target_modules"] = targets

        places[name] = adapters.write(base, root / name, "LoRA", seed=seed, change=change)
    return FamilySpec(base, places)


@pytest.mark.parametrize("method", NAMES)
def test_adapters_are_taken_apart_by_their_own_factors_once(
    lora: FamilySpec, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    taken = []

    def counted(up: Tensor, down: Tensor, count: int) -> spectrum.Triplets:
        taken.append(up.shape)
        return leading_of_product(up, down, count)

    leading_of_product = spectrum.leading_of_product
    monkeypatch.setattr(spectrum, "leading_of_product", counted)
    family = open_family(lora)
    assert {each.kind for each in family.experts.values()} == {"lora"}
    composer = Composer(family, device="cpu")
    basis = composer.basis(resolve(Recipe(method, {}), family.names))
    for name in composer.tensors.names:
        own = composer.tensors.read("base", name).float()
        deltas = [composer.tensors.delta(each, name) for each in ("a", "b")]
        vectors = [torch.zeros_like(own) if each is None else each for each in deltas]
        wanted = tsv_basis(vectors, method == "rtsv")
        found = merged(basis, name, {"a": 0.8, "b": 0.4})
        change = 0.8 * wanted[0] + 0.4 * wanted[1]
        torch.testing.assert_close(found.double(), own + change, rtol=0.0, atol=2e-5)
    before = len(taken)
    assert before == sum(
        len(each.adapter.pairs) for each in family.experts.values() if each.adapter
    )
    for value in (0.1, 0.9):  # a slider move takes nothing apart
        composer.compose(resolve(Recipe(method, {"a": value, "b": 1.0}), family.names))
    assert len(taken) == before


@pytest.mark.parametrize("method", NAMES)
def test_rows_that_only_an_expert_has(tmp_path: Path, method: str) -> None:
    files = build_tied_family(tmp_path)
    family = open_family(
        load_study(files.study("helpful", "padded", "coder", tokenizer="coder")).family
    )
    tensors, name = Tensors(family), family.base.embedding
    assert name is not None and family.vocabulary_tensors[name].extra
    own, extra = tensors.merged_shape(name)[0], family.merged_rows
    basis, plain = (METHODS[each].build(tensors) for each in (method, "task_arithmetic"))
    c = {"helpful": 0.5, "padded": 1.0, "coder": 0.2}
    found = merged(basis, name, c)
    assert len(found) == extra > own
    assert torch.equal(found[own:], merged(plain, name, c)[own:])
    vectors = [tensors.read(each, name).float() - tensors.read("base", name).float() for each in c]
    change = sum(
        weight * part
        for weight, part in zip(c.values(), tsv_basis(vectors, method == "rtsv"), strict=True)
    )
    wanted = tensors.read("base", name).double() + change
    torch.testing.assert_close(found[:own].double(), wanted, rtol=0.0, atol=2e-5)
