"""Model Breadcrumbs against its official code, mergekit's, and the plain formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from engine.merging import basis as module
from engine.merging.basis import Elementwise, Tensors
from engine.recipe import METHODS
from tests.oracle import breadcrumbs

from .conftest import EXPERTS, GOLDEN

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]

SHAPES = {"w": (30, 41), "deep": (3, 4, 50), "v": (90,), "s": (), "none": (0, 3), "wide": (3, 0)}


def build(tensors: Tensors, **parameters: Any) -> Elementwise:
    found = METHODS["breadcrumbs"].build(tensors, **parameters)
    assert isinstance(found, Elementwise)
    return found


def weights(basis: Elementwise, name: str) -> torch.Tensor:
    """W [n, …] of one tensor."""
    tensors = basis.tensors
    empty = torch.empty(len(tensors.experts), 0)
    found = torch.cat([empty, *(basis.weigh(chunk) for chunk in basis.vectors(name))], 1)
    return found.view(len(tensors.experts), *tensors.merged_shape(name))


def coarse(dtype: torch.dtype = torch.float32) -> dict[str, dict[str, torch.Tensor]]:
    """A base and two experts with many changes of one size; the second is the base in part."""
    generator = torch.Generator().manual_seed(1)

    def whole(shape: tuple[int, ...], top: int) -> torch.Tensor:
        return torch.randint(-top, top + 1, shape, generator=generator).to(dtype)

    base = {name: whole(shape, 40) for name, shape in SHAPES.items()}
    models = {"base": base}
    for model in ("a", "b"):
        models[model] = {name: each + whole(SHAPES[name], 6) for name, each in base.items()}
    models["b"]["w"] = base["w"].clone()
    return models


@pytest.mark.parametrize(
    ("file", "remove"), [("keep0.15_rm0.006", 0.006), ("keep0.15_rm0.05", 0.05)]
)
def test_what_the_official_code_keeps(published: Tensors, file: str, remove: float) -> None:
    basis = build(published, keep=0.15, remove=remove)
    with np.load(GOLDEN / f"breadcrumbs_official_{file}.npz") as stored:
        for name in published.names:
            for expert, found in zip(EXPERTS, weights(basis, name), strict=True):
                assert np.array_equal(found.numpy(), stored[f"{expert}/{name}"]), (expert, name)


def test_scope_tensor_is_mergekits_breadcrumbs(published: Tensors) -> None:
    basis = build(published, keep=0.5, remove=0.05, scope="tensor")
    coefficients = dict(zip(EXPERTS, (0.3, 0.5, 0.2), strict=True))
    with np.load(GOLDEN / "mergekit_0.1.5_breadcrumbs.npz") as stored:
        for name in published.names:
            out, wanted = torch.empty(published.shape(name)), stored[name]
            basis.combine(name, coefficients, out)
            np.testing.assert_allclose(out.numpy(), wanted, rtol=0, atol=1e-6 * wanted.max())


SHARES = [(0.15, 0.01), (0.15, 0.05), (0.001, 0.0), (0.9, 0.3), (1.0, 0.0), (1.0, 0.5), (0.1, 0.99)]


@pytest.mark.parametrize("size", [37, 100, 1 << 22])
@pytest.mark.parametrize(("keep", "remove"), SHARES)
def test_rows_of_equal_changes(
    make: Make, keep: float, remove: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", size)
    models = coarse()
    basis = build(make(models), keep=keep, remove=remove)
    for name, base in models["base"].items():
        for expert, found in zip("ab", weights(basis, name), strict=True):
            wanted = breadcrumbs(models[expert][name] - base, keep, remove)
            assert torch.equal(found, wanted), (expert, name)


@pytest.mark.parametrize("size", [37, 1 << 22])
@pytest.mark.parametrize(("keep", "remove"), SHARES)
def test_tensors_of_equal_changes(
    make: Make, keep: float, remove: float, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mergekit counts: ⌊n · keep⌋ stay, and fewer of the largest go where too few are left."""
    monkeypatch.setattr(module, "CHUNK", size)
    models = coarse()
    basis = build(make(models), keep=keep, remove=remove, scope="tensor")
    for name, base in models["base"].items():
        total = base.numel()
        kept = int(total * keep)
        first = min(int(total * remove), total - kept)
        for expert, found in zip("ab", weights(basis, name), strict=True):
            vector = (models[expert][name] - base).view(-1)
            order = (
                vector.abs().sort(dim=0, descending=True, stable=True).indices[first : first + kept]
            )
            wanted = torch.zeros(total).scatter(0, order, vector[order])
            assert torch.equal(found.view(-1), wanted), (expert, name)


@pytest.mark.parametrize("scope", ["row", "tensor"])
def test_an_expert_is_trimmed_by_itself(make: Make, scope: str) -> None:
    """Whatever the others are, an expert equal to the base among them, and in whatever order."""
    models = coarse(torch.bfloat16)
    base, one = models["base"], models["a"]
    alone = build(make({"base": base, "a": one}), scope=scope, keep=0.3)
    lonely = {name: weights(alone, name)[0] for name in SHAPES}
    same = {name: each.clone() for name, each in base.items()}
    among = build(
        make({"base": base, "b": models["b"], "same": same, "a": one}), scope=scope, keep=0.3
    )
    for name, wanted in lonely.items():
        _, nothing, found = weights(among, name)
        assert torch.equal(found, wanted) and not nothing.any()


@pytest.mark.parametrize("scope", ["row", "tensor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_kept_basis_gives_the_same_and_zero_gives_the_base(
    make: Make, scope: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    models = coarse(dtype)
    basis = build(make(models), scope=scope)
    kept = basis.materialise()
    for name, base in models["base"].items():
        out, again = torch.empty(base.shape), torch.empty(base.shape)
        basis.combine(name, {"a": 0.7, "b": -1.3}, out)
        kept.combine(name, {"a": 0.7, "b": -1.3}, again)
        assert torch.equal(out, again)
        kept.combine(name, {"a": 0.0, "b": 0.0}, out)
        assert torch.equal(out, base.float())
