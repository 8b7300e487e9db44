"""Leading singular triplets of a matrix, and the nearest orthonormal columns to given ones.

A matrix more than twice as long as wide, and any on a GPU, is taken apart through its Gram matrix:
its eigenvectors cost much less than singular vectors, and the squares of float32 values fit
float64, so that nothing is lost. Any other goes through LAPACK's own decomposition, which is as
fast there.

What is below `floor` of the largest is rounding, and its direction means nothing; it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

ROWS = 1 << 20
"""Elements of the matrix that are widened to float64 at a time, and the quantum of a cancel."""

_LONG = 2.0  # rows a column beyond which the Gram matrix is the faster way on a CPU


class Triplets(NamedTuple):
    """Σ_j values_j · left_j ⊗ right_j, all float32.

    Attributes:
        left: orthonormal columns [rows, k].
        values: singular values [k], descending, above 0.
        right: orthonormal columns [columns, k].
    """

    left: Tensor
    values: Tensor
    right: Tensor


def floor(size: int) -> float:
    """Share of the largest singular value below which one is rounding of float32.

    Args:
        size: of the smaller side.
    """
    return 2.0 * math.sqrt(size) * torch.finfo(torch.float32).eps


def _through_gram(matrix: Tensor) -> bool:
    return matrix.device.type != "cpu" or matrix.shape[0] > _LONG * matrix.shape[1]


def _gram(matrix: Tensor, tick: Callable[[], None]) -> Tensor:
    """matrixᵀ · matrix, float64 [columns, columns]."""
    columns = matrix.shape[1]
    found = torch.zeros(columns, columns, dtype=torch.float64, device=matrix.device)
    step = max(1, ROWS // max(1, columns))
    half = columns // 2
    for start in range(0, len(matrix), step):
        part = matrix[start : start + step].double()
        left, right = part[:, :half], part[:, half:]
        found[:half, :half].addmm_(left.T, left)
        found[half:].addmm_(right.T, part)
        tick()
    found[:half, half:] = found[half:, :half].T
    return found


def _times(matrix: Tensor, other: Tensor, tick: Callable[[], None]) -> Tensor:
    """matrix · other, multiplied in float64, rounded to float32 [rows, k]."""
    out = torch.empty(len(matrix), other.shape[1], device=matrix.device)
    step = max(1, ROWS // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        out[start : start + step] = matrix[start : start + step].double() @ other
        tick()
    return out


def leading(matrix: Tensor, count: int, tick: Callable[[], None]) -> Triplets:
    """The `count` largest singular triplets, fewer where the matrix has no more.

    Args:
        matrix: finite float32 [rows, columns].
        tick: called between steps.
    """
    if matrix.shape[0] < matrix.shape[1]:
        left, values, right = leading(matrix.T, count, tick)
        return Triplets(right, values, left)
    if count == 0 or not matrix.any():
        empty = matrix.new_zeros(0)
        return Triplets(empty.view(len(matrix), 0), empty, empty.view(matrix.shape[1], 0))
    if _through_gram(matrix):
        squares, vectors = torch.linalg.eigh(_gram(matrix, tick))
        tick()
        values = squares.flip(0).clamp_min(0.0).sqrt()
        values = values[: _above(values, count, matrix.shape[1])]
        right = vectors.flip(1)[:, : len(values)]
        return Triplets(_times(matrix, right / values, tick), values.float(), right.float())
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    tick()
    kept = _above(values, count, matrix.shape[1])
    return Triplets(left[:, :kept].clone(), values[:kept], right[:kept].T.clone())


def leading_of_product(up: Tensor, down: Tensor, count: int) -> Triplets:
    """The `count` largest singular triplets of up · down, at the cost of its rank.

    Args:
        up: float64 [rows, r].
        down: float64 [r, columns].
    """
    left, above = torch.linalg.qr(up)
    right, below = torch.linalg.qr(down.T)
    inner, values, outer = torch.linalg.svd(above @ below.T, full_matrices=False)
    kept = _above(values, count, min(len(up), down.shape[1]))
    found = left @ inner[:, :kept], values[:kept], right @ outer[:kept].T
    return Triplets(*(each.float() for each in found))


def _above(values: Tensor, count: int, size: int) -> int:
    """How many of the descending values are among the first `count` and no rounding."""
    if not len(values) or not values[0] > 0:
        return 0
    return min(count, int((values > floor(size) * values[0]).sum()))


def orthonormal(columns: Tensor, tick: Callable[[], None]) -> Tensor:
    """The polar factor M (MᵀM)^(−1/2): the nearest matrix with orthonormal columns.

    Where columns depend on each other it is M ((MᵀM)^(1/2))⁺, the one of least norm: the vectors of
    zero singular values, which would make the columns orthonormal still, are arbitrary.

    Args:
        columns: M, float32 [rows, k], rows ≥ k.

    Returns:
        float32 [rows, k].
    """
    if not columns.shape[1]:
        return columns
    least = floor(columns.shape[1])
    if _through_gram(columns):
        squares, vectors = torch.linalg.eigh(_gram(columns, tick))
        kept = squares > least**2 * squares[-1]
        vectors = vectors[:, kept]
        return _times(columns, (vectors / squares[kept].sqrt()) @ vectors.T, tick)
    left, values, right = torch.linalg.svd(columns, full_matrices=False)
    kept = values > least * values[0]
    tick()
    return left[:, kept] @ right[kept]
