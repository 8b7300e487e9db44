"""TIES against its official code, mergekit's, and the plain formula where values are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from engine.merging import basis as module
from engine.merging.basis import Elementwise, Tensors
from engine.recipe import METHODS
from tests.oracle import ties_basis

from .conftest import EXPERTS, GOLDEN

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]

EXACT = 1e-6  # of the largest value


def build(tensors: Tensors, **parameters: Any) -> Elementwise:
    found = METHODS["ties"].build(tensors, **parameters)
    assert isinstance(found, Elementwise)
    return found


def weights(basis: Elementwise) -> torch.Tensor:
    """W [n, d], the tensors in the order of their names."""
    tensors = basis.tensors
    return torch.cat([basis.weigh(c) for name in tensors.names for c in basis.vectors(name)], 1)


def near(got: Any, wanted: Any) -> None:
    np.testing.assert_allclose(got, wanted, rtol=0, atol=EXACT * float(np.abs(wanted).max()))


def grid(count: int) -> torch.Tensor:
    """Task vectors [n, 1000] of few values, as 16-bit checkpoints have them: many sums are 0."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-4, 5, (count, 1000), generator=generator) / 64
    return values * torch.randint(0, 2, (count, 1000), generator=generator)


def family(make: Make, vectors: torch.Tensor) -> Tensors:
    base = torch.randint(-64, 64, (1000,), generator=torch.Generator().manual_seed(9)) / 16
    return make({"base": {"w": base}, **{f"e{i}": {"w": base + v} for i, v in enumerate(vectors)}})


@pytest.mark.parametrize(
    ("file", "parameters"),
    [
        ("ties_topk20_dis-mean", {}),
        ("ties_topk20_dis-sum", {"merge": "sum"}),
        ("ties_topk50_dis-mean", {"density": 0.5}),
    ],
)
def test_equal_coefficients_are_the_official_merge(
    published: Tensors, file: str, parameters: dict[str, Any]
) -> None:
    with np.load(GOLDEN / f"{file}.npz") as stored:
        wanted, trimmed, elected = (stored[key] for key in stored.files)
    basis = build(published, **parameters)
    found = weights(basis).numpy()
    near(found.sum(0), wanted)
    assert ((found != 0) == ((trimmed * elected) > 0)).all()
    with np.load(GOLDEN / "inputs_flat.npz") as stored:
        base = stored["base"]
    out = [torch.empty(published.shape(name)) for name in published.names]
    for name, each in zip(published.names, out, strict=True):
        basis.combine(name, dict.fromkeys(EXPERTS, 0.7), each)
    near(torch.cat([each.view(-1) for each in out]).numpy(), base + 0.7 * wanted)


def test_the_largest_that_agrees(published: Tensors) -> None:
    with np.load(GOLDEN / "ties_topk20_dis-sum.npz") as stored:
        trimmed, elected = stored["trimmed"], stored["elected_sign"]
    wanted = (np.abs(trimmed) * ((trimmed * elected) > 0)).max(0) * elected
    found = weights(build(published, merge="max"))
    near(found.sum(0).numpy(), wanted)
    assert int((found != 0).sum(0).max()) == 1


def test_scope_tensor_is_mergekits_ties(published: Tensors) -> None:
    basis = build(published, scope="tensor")
    with np.load(GOLDEN / "mergekit_0.1.5_ties_d0.2.npz") as stored:
        for name in published.names:
            out = torch.empty(published.shape(name))
            basis.combine(name, dict.fromkeys(EXPERTS, 1.0), out)
            near(out.numpy(), stored[name])


@pytest.mark.parametrize("merge", ["mean", "sum", "max"])
@pytest.mark.parametrize("density", [1e-9, 0.2, 0.45, 1.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_equal_values_and_sums_of_zero(
    make: Make, merge: str, density: float, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = grid(4)
    vectors[:, :100] = vectors[:, :100].abs()  # a majority
    vectors *= sign
    wanted = ties_basis(vectors, density, merge)
    basis = build(family(make, vectors), density=density, merge=merge)
    monkeypatch.setattr(module, "CHUNK", 130)
    near(weights(basis).numpy(), wanted.numpy())
    undecided = vectors.sum(0) == 0
    assert density < 1 or weights(basis)[:, undecided].any()


def test_where_no_sign_leads_the_largest_is_nothing(make: Make) -> None:
    """Of two opposite experts every sum is 0, and so is the sum of all signs."""
    vectors = grid(1)
    both = family(make, torch.cat([vectors, -vectors]))
    assert not weights(build(both, density=1.0, merge="max")).any()
    found = weights(build(both, density=1.0, merge="sum"))  # as published: what is not positive
    assert torch.equal(found.sum(0), -vectors[0].abs())
    found = weights(build(both, density=1.0, merge="sum", scope="tensor"))
    assert torch.equal(found.sum(0), vectors[0].abs())


@pytest.mark.parametrize("scope", ["model", "tensor"])
@pytest.mark.parametrize("merge", ["mean", "sum", "max"])
def test_the_order_of_experts_does_not_matter(make: Make, merge: str, scope: str) -> None:
    # in float32 the sign of such a sum depends on the order of its terms
    vectors = grid(1) * torch.tensor([[0.3], [0.1], [-0.4]])
    vectors[0, 500:] = vectors[1, 500:]  # and a largest one can be two

    def found(*order: int) -> torch.Tensor:
        states = {f"e{i}": {"w": vectors[i].clone()} for i in order}
        tensors = make({"base": {"w": torch.zeros(1000)}, **states})
        return weights(build(tensors, merge=merge, scope=scope, density=0.6))

    assert torch.equal(found(0, 1, 2), found(2, 0, 1)[[1, 2, 0]])


@pytest.mark.parametrize("scope", ["model", "tensor"])
@pytest.mark.parametrize("merge", ["mean", "sum", "max"])
def test_an_expert_equal_to_the_base_leaves_the_others_merged(
    make: Make, merge: str, scope: str
) -> None:
    vectors = grid(2)
    with_zero = torch.cat([vectors, torch.zeros(1, 1000)])
    found = weights(build(family(make, with_zero), merge=merge, scope=scope))
    alone = weights(build(family(make, vectors), merge=merge, scope=scope))
    assert torch.equal(found[:2], alone) and not found[2].any() and alone.any()


def test_one_expert_is_its_own_largest_changes(make: Make) -> None:
    vectors = torch.arange(1.0, 1001.0)[None] / 64 * (-1) ** torch.arange(1000)
    found = weights(build(family(make, vectors), density=0.2, scope="tensor"))
    assert torch.equal(found[0, 800:], vectors[0, 800:]) and not found[0, :800].any()
    found = weights(build(family(make, vectors), density=0.2))  # one more, as published
    assert torch.equal(found[0, 799:], vectors[0, 799:]) and not found[0, :799].any()


@pytest.mark.parametrize("scope", ["model", "tensor"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_odd_tensors(make: Make, scope: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(4)
    shapes = {"w": (30, 20), "v": (7,), "s": (), "none": (0, 3), "same": (5,)}
    states = {
        model: {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in
                shapes.items()} for model in ("base", "a", "b")
    }  # fmt: skip
    for state in states.values():
        state["same"] = states["base"]["same"].clone()
    tensors = make(states)
    basis = build(tensors, scope=scope)
    kept = basis.materialise()
    for name in tensors.names:
        base = states["base"][name].float()
        out, again = torch.empty(shapes[name]), torch.empty(shapes[name])
        basis.combine(name, {"a": 0.0, "b": 0.0}, out)
        assert torch.equal(out, base), name
        basis.combine(name, {"a": 0.8, "b": -0.4}, out)
        kept.combine(name, {"a": 0.8, "b": -0.4}, again)
        assert torch.equal(out, again) and torch.isfinite(out).all()
        assert torch.equal(out, base) == (name in ("none", "same")), name
