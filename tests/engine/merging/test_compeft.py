"""ComPEFT against its published formula, written once more with a full sort."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from engine.merging import basis as bases
from engine.merging import selection
from engine.merging.basis import Basis, Elementwise, Tensors
from engine.merging.compeft import deviations
from engine.method import METHODS

Make = Callable[[Mapping[str, Mapping[str, torch.Tensor]]], Tensors]


def merged(basis: Basis, name: str, **coefficients: float) -> torch.Tensor:
    out = torch.empty(basis.tensors.shape(name))
    basis.combine(name, dict.fromkeys(basis.tensors.experts, 0.0) | coefficients, out)
    return out


def weights(basis: Basis) -> np.ndarray:
    """W [n, d], the tensors in the order of their names."""
    assert isinstance(basis, Elementwise)
    return torch.cat([basis.weigh(chunk) for chunk in basis.tensors.chunks()], 1).numpy()


def published_formula(vectors: np.ndarray, density: float, alpha: float) -> np.ndarray:
    """sign of the largest |τ| × α × the deviation of all of τ, [n, d] float64."""
    total = vectors.shape[1]
    smallest = total - int(total * density)  # counted from 1
    floors = np.sort(np.abs(vectors), axis=1)[:, smallest - 1 : smallest]
    kept = np.abs(vectors) >= floors
    sigma = vectors.astype(np.float64).std(axis=1, ddof=1, keepdims=True)
    return np.sign(vectors) * kept * sigma * alpha


@pytest.mark.parametrize("held", [0, 1 << 31], ids=["streamed", "held"])
@pytest.mark.parametrize(("density", "alpha"), [(0.2, 1.0), (0.05, 4.0), (0.5, 0.5)])
def test_it_is_the_published_formula(
    published: Tensors, density: float, alpha: float, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "HELD", held)
    monkeypatch.setattr(bases, "CHUNK", 997)
    vectors = torch.cat([chunk.vectors for chunk in published.chunks()], 1).numpy()
    wanted = published_formula(vectors, density, alpha)
    got = weights(METHODS["compeft"].build(published, density=density, alpha=alpha))
    assert np.array_equal(got != 0, wanted != 0)
    assert (got != 0).sum(1).tolist() == [int(published.size * density) + 1] * 3
    assert np.abs(got - wanted).max() < 1e-6 * np.abs(wanted).max()


def test_by_hand(make: Make) -> None:
    # τ of x: 2, −4, 0, 2 (mean 0, σ² = 24 / 3); of y: 0, 0, 0, 6 (mean 1.5, σ² = 27 / 3)
    tensors = make({
        "base": {"a": torch.tensor([[1.0, 1.0]]), "b": torch.tensor([1.0, 1.0])},
        "x": {"a": torch.tensor([[3.0, -3.0]]), "b": torch.tensor([1.0, 3.0])},
        "y": {"a": torch.tensor([[1.0, 1.0]]), "b": torch.tensor([1.0, 7.0])},
    })  # fmt: skip
    basis = METHODS["compeft"].build(tensors, density=0.25, alpha=2.0)  # 1 + 1 elements, and ties
    root = 8**0.5
    assert torch.allclose(merged(basis, "a", x=1.0), torch.tensor([[1 + 2 * root, 1 - 2 * root]]))
    assert torch.allclose(merged(basis, "b", x=1.0), torch.tensor([1.0, 1 + 2 * root]))
    assert torch.allclose(merged(basis, "b", x=0.5, y=0.5), torch.tensor([1.0, 4 + root]))
    every = METHODS["compeft"].build(tensors, density=1.0, alpha=1.0)
    assert torch.allclose(merged(every, "a", x=1.0), torch.tensor([[1 + root, 1 - root]]))
    assert torch.equal(merged(every, "a", y=1.0), torch.ones(1, 2))  # the sign of 0 is 0


def test_a_large_common_shift_costs_the_deviation_no_digits(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    x = 3e5 + noise
    tensors = make({"base": {"w": torch.zeros(5000)}, "x": {"w": x}})
    monkeypatch.setattr(bases, "CHUNK", 300)
    (found,) = deviations(tensors)
    assert float(found) == pytest.approx(float(x.double().std()), rel=1e-7)


def test_experts_without_a_deviation_add_nothing(make: Make) -> None:
    base = torch.arange(300.0)
    states = {"base": base, "x": torch.randn(300), "same": base.clone(), "shifted": base + 1.0}
    basis = METHODS["compeft"].build(make({name: {"w": each} for name, each in states.items()}))
    assert torch.equal(merged(basis, "w", same=1.5, shifted=1.0), base)
    assert torch.equal(merged(basis, "w", same=1.5, x=0.5), merged(basis, "w", x=0.5))
    assert merged(basis, "w", x=0.5).isfinite().all()
    one = METHODS["compeft"].build(make({"base": {"w": torch.ones(1)}, "x": {"w": torch.zeros(1)}}))
    assert torch.equal(merged(one, "w", x=1.0), torch.ones(1))  # one element: no deviation
