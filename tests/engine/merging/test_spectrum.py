"""Singular triplets and polar factors, in both ways of computing them, against float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.merging import spectrum
from engine.merging.basis import nothing
from engine.merging.spectrum import leading, leading_of_product, orthonormal

CLOSE = {"rtol": 0.0, "atol": 2e-5}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["gram", "lapack"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(spectrum, "_LONG", 0.0 if request.param == "gram" else 1e9)
    return request.param


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (12, 12), (9, 1)])
def test_the_leading_triplets_of_a_matrix(
    way: str, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr(spectrum, "ROWS", 40)  # a few rows at a time, the last ones fewer
    matrix = drawn(*shape)
    found = leading(matrix, 5, nothing)
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    torch.testing.assert_close(found.values.double(), s[:5], **CLOSE)
    assert len(found.values) == min(5, *shape)
    cut = (u[:, :5] * s[:5]) @ v[:5]
    torch.testing.assert_close((found.left * found.values @ found.right.T).double(), cut, **CLOSE)
    for side in (found.left, found.right):
        torch.testing.assert_close(side.T @ side, torch.eye(len(found.values)), **CLOSE)


def test_directions_that_are_rounding_are_none(way: str) -> None:
    low = drawn(40, 3) @ drawn(3, 9, seed=1)
    assert len(leading(low, 9, nothing).values) == 3
    assert leading(torch.zeros(4, 3), 3, nothing).left.shape == (4, 0)
    assert leading(torch.zeros(0, 3), 0, nothing).right.shape == (3, 0)
    assert leading(drawn(4, 3), 0, nothing).right.shape == (3, 0)


def test_small_directions_beside_a_large_one_are_kept(way: str) -> None:
    """Their squares are 1e-10 of the largest one's: less than float32 tells from 1."""
    u, v = (torch.linalg.qr(drawn(size, 3, seed=size).double())[0] for size in (50, 10))
    values = torch.tensor([1.0, 1e-4, 1e-5], dtype=torch.float64)
    found = leading((u * values @ v.T).float(), 3, nothing)
    torch.testing.assert_close(found.values.double(), values, rtol=0.02, atol=0.0)
    torch.testing.assert_close(found.left.T @ found.left, torch.eye(3), rtol=0.0, atol=0.02)


def test_a_product_is_taken_apart_at_its_own_rank() -> None:
    for rows, columns, rank in ((30, 20, 4), (3, 20, 5)):
        up, down = drawn(rows, rank).double(), drawn(rank, columns, seed=1).double()
        found = leading_of_product(up, down, 4)
        wanted = leading((up @ down).float(), 4, nothing)
        assert len(found.values) == min(rows, rank)
        for one, other in ((found, wanted), (wanted, found)):
            cut = one.left * one.values @ one.right.T
            torch.testing.assert_close(cut, other.left * other.values @ other.right.T, **CLOSE)
    assert not len(leading_of_product(up, torch.zeros_like(down), 4).values)


def test_the_nearest_orthonormal_columns(way: str) -> None:
    columns = drawn(20, 6)
    u, _, v = torch.linalg.svd(columns.double(), full_matrices=False)
    found = orthonormal(columns, nothing)
    torch.testing.assert_close(found.double(), u @ v, **CLOSE)
    assert orthonormal(drawn(5, 0), nothing).shape == (5, 0)


def test_columns_that_coincide_share_their_direction(way: str) -> None:
    own = torch.linalg.qr(drawn(20, 3))[0]
    found = orthonormal(torch.cat([own, -own], 1), nothing)
    torch.testing.assert_close(found, torch.cat([own, -own], 1) / 2**0.5, **CLOSE)
