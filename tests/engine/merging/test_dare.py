"""DARE: what is kept given the masks, and that the masks depend on nothing but their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.merging.basis import Basis, Tensors
from engine.merging.chunk import Chunk
from engine.method import METHODS

from .conftest import EXPERTS, GOLDEN, raw_tensors

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def merged(basis: Basis, name: str, **coefficients: float) -> torch.Tensor:
    out = torch.empty(basis.tensors.shape(name))
    basis.combine(name, dict.fromkeys(basis.tensors.experts, 0.0) | coefficients, out)
    return out


def test_given_its_masks_it_is_the_published_code(
    published: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(GOLDEN / "dare_official_p0.5.npz") as stored:
        found = {key: torch.from_numpy(stored[key]) for key in stored.files}

    def lots(chunk: Chunk, seed: int) -> torch.Tensor:
        keys = (f"keep_mask/{each}/{chunk.name}" for each in chunk.experts)
        kept = torch.stack([found[key].reshape(-1) for key in keys]).float()
        return kept[:, chunk.start : chunk.start + chunk.vectors.shape[1]] * 0.5  # drop, or below

    monkeypatch.setattr(Chunk, "lots", lots)
    basis = METHODS["dare"].build(published, drop=0.5, seed=0)
    for chunk in published.chunks():
        for expert, row in zip(EXPERTS, basis.weigh(chunk), strict=True):
            wanted = found[f"out/{expert}/{chunk.name}"]
            assert torch.allclose(row.view(wanted.shape), wanted, rtol=0, atol=1e-9)
    for name in published.names:
        parts = [found[f"out/{expert}/{name}"] for expert in EXPERTS]
        wanted = published.read("base", name) + 0.5 * parts[0] - 0.25 * parts[2]
        got = merged(basis, name, expert_a=0.5, expert_c=-0.25)
        assert torch.allclose(got, wanted, rtol=0, atol=1e-6)


def test_by_hand(make: Make) -> None:
    tensors = make({"base": {"w": torch.ones(4000)}, "x": {"w": torch.full((4000,), 3.0)}})
    basis = METHODS["dare"].build(tensors, drop=0.75, seed=3)
    got = merged(basis, "w", x=0.5)
    assert set(got.tolist()) == {1.0, 5.0}  # 1 + ½ · 2 / (1 − ¾)
    assert float((got == 5.0).float().mean()) == pytest.approx(0.25, abs=0.03)
    every = METHODS["dare"].build(tensors, drop=0.0, seed=3)
    assert torch.equal(merged(every, "w", x=1.0), torch.full((4000,), 3.0))
    another = METHODS["dare"].build(tensors, drop=0.75, seed=4)
    assert not torch.equal(merged(another, "w", x=0.5), got)


def test_masks_know_neither_names_nor_order_nor_company(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)

    def state() -> dict[str, torch.Tensor]:
        return {"w": torch.randn(50, 40, generator=generator)}

    base, one, other = state(), state(), state()

    def alone(label: str, wanted: str, **models: dict[str, torch.Tensor]) -> torch.Tensor:
        folder = tmp_path / label
        folder.mkdir()
        basis = METHODS["dare"].build(raw_tensors(folder, {"base": base, **models}))
        return merged(basis, "w", **{wanted: 1.0})

    first = alone("first", "a", a=one, b=other)
    assert torch.equal(first, alone("turned", "a", b=other, a=one))
    assert torch.equal(first, alone("renamed", "y", x=other, y=one))
    assert torch.equal(first, alone("single", "a", a=one))
    kept = [(merged_ != base["w"]).float() for merged_ in (first, alone("other", "b", b=other))]
    assert float((kept[0] == kept[1]).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_an_expert_equal_to_the_base_leaves_the_others_merged(make: Make) -> None:
    base, x = torch.randn(300), torch.randn(300)
    tensors = make({"base": {"w": base}, "x": {"w": x}, "same": {"w": base.clone()}})
    basis = METHODS["dare"].build(tensors)
    assert torch.equal(merged(basis, "w", same=1.5), base)
    assert torch.equal(merged(basis, "w", same=1.5, x=0.5), merged(basis, "w", x=0.5))
