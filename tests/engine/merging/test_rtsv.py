"""What our reading of R-TSVM adds to TSV-Merge: weights by outliers and ranks by density."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from engine.merging import spectrum
from engine.merging.basis import Tensors
from engine.merging.rtsv import Shape, ranks, weights
from engine.recipe import METHODS
from tests.oracle import tsv_basis

from .conftest import EXPERTS

Make = Callable[[Mapping[str, Mapping[str, Tensor]]], Tensors]


def test_a_shape_by_hand() -> None:
    assert Shape.of(torch.full((4, 5), -0.3)) == (0.0, pytest.approx(1.0))
    assert Shape.of(torch.eye(4)[0]) == (0.0, pytest.approx(0.25))
    assert Shape.of(torch.zeros(3, 2)) == Shape.of(torch.zeros(0, 2)) == (0.0, 0.0)
    # 99 elements of 1 and one of 99: mean 1.98, sd 9.8, so the one is beyond 3 sd
    tail, density = Shape.of(torch.tensor([1.0] * 99 + [-99.0]))
    assert tail == pytest.approx(0.5)
    assert density == pytest.approx(198**2 / (100 * (99 + 99**2)))


def test_a_shape_has_no_unit_and_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = torch.randn(30, 40, generator=torch.Generator().manual_seed(0)) ** 3
    whole = Shape.of(vector)
    monkeypatch.setattr(spectrum, "ROWS", 77)
    for other in (vector, -1000.0 * vector, vector.T.contiguous(), 2.0**-60 * vector):
        assert Shape.of(other) == pytest.approx(whole)


def shapes(*pairs: tuple[float, float]) -> list[Shape]:
    return [Shape(*each) for each in pairs]


def test_equal_shapes_are_tsv() -> None:
    for size in (2, 3, 10, 48):
        same = shapes((0.2, 0.3), (0.2, 0.3 * (1 + 1e-12)), (0.2, 0.3))
        assert ranks(same, size) == [size // 3] * 3
        assert weights(same) == pytest.approx([1.0] * 3)


def test_dense_experts_get_more_rank_and_heavy_tails_more_weight() -> None:
    given = shapes((0.0, 0.6), (0.5, 0.2), (0.0, 0.0))
    assert ranks(given, 10) == [1 + 6, 1 + 2, 0]
    assert weights(given) == pytest.approx([2 / 2.5, 3 / 2.5, 0.0])
    assert ranks(given, 2) == [1, 1, 0] and ranks(given, 1) == [0, 0, 0]
    assert ranks(shapes((0.0, 0.0)), 4) == [0] and weights(shapes((0.0, 0.0))) == [0.0]
    many = shapes(*((0.0, 1e-6 if at else 1.0) for at in range(5)))
    assert ranks(many, 20) == [1 + 14, 1, 1, 1, 1]  # the sparsest keeps a direction


def test_it_is_the_formula_of_its_docstring(published: Tensors) -> None:
    basis, plain = (METHODS[each].build(published) for each in ("rtsv", "tsv"))
    for name in published.names:
        base = published.read("base", name)
        wanted = tsv_basis([published.read(each, name) - base for each in EXPERTS], True)
        c = dict(zip(EXPERTS, (1.0, 0.5, -0.3), strict=True))
        found, other = torch.empty_like(base), torch.empty_like(base)
        basis.combine(name, c, found)
        plain.combine(name, c, other)
        change = sum(weight * part for weight, part in zip(c.values(), wanted, strict=True))
        torch.testing.assert_close(found.double(), base + change, rtol=0.0, atol=2e-5)
        assert torch.equal(found, other) == (base.ndim != 2)


def test_an_expert_equal_to_the_base_takes_no_rank(make: Make) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 12, 10, generator=generator)
    models = {"base": torch.zeros(12, 10), "a": a, "b": b}
    found = []
    for more in ({}, {"zero": torch.zeros(12, 10)}):
        tensors = make({name: {"w": each} for name, each in (models | more).items()})
        out = torch.empty(12, 10)
        METHODS["rtsv"].build(tensors).combine("w", {"a": 1.0, "b": 0.5, "zero": 1.0}, out)
        found.append(out)
    assert torch.equal(*found)
