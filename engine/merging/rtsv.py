"""Reweighted TSV-Merge: our reading of arXiv 2502.06876, of which no code is public.

Its abstract names two ideas, "outlier-aware parameter weighting" and "sparsity-adaptive rank
selection"; the formulas for them are ours. Of every matrix of N elements, r = min(rows, columns),
over the m experts that differ from the base in it, with a = |τ_i|:

    h_i = Σ a [a > mean(a) + 3 sd(a)] / Σ a         the share of the change that lies in outliers
    ω_i = (1 + h_i) / mean_j (1 + h_j)
    d_i = (Σ a)² / (N Σ a²)                          1 where all elements change alike, 1/N for one
    k_i = 1 + ⌊(r − m) d_i / Σ_j d_j⌋               0 where r < m
    W_i = Û_i (ω_i S_i) V̂_iᵀ                        as in TSV-Merge, of k_i triplets

h and d have no unit: an expert does not gain weight or rank by being trained longer. 3 sd is the
usual mark of an outlier. ω lies between 1/2 and 2, because an expert without outliers must keep its
slider; where it counted outliers alone, such an expert would vanish. d is the share of the elements
that would carry the change evenly; it needs no threshold below which a change is none, and the rank
goes where many elements changed. Together the k_i are at most r, so that the directions can be made
orthogonal.

Experts with equally heavy tails and equally dense changes get ω = 1 and k = ⌊r / m⌋: TSV-Merge. An
expert equal to the base in a matrix takes no rank of it, and the others are merged as without it.
Other tensors are τ_i / n, and one expert alone is task arithmetic, as in TSV-Merge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from engine.merging.tsv import blocks, spectral, triplets
from engine.method import Corners, method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.low_rank import Factors, Whole


class Shape(NamedTuple):
    """How a task vector spreads over a tensor, whatever its size.

    Attributes:
        tail: h, the share of Σ |τ| that lies in outliers, 0 … 1.
        density: d, the share of the elements that would carry it evenly, 0 … 1; 0 where τ = 0.
    """

    tail: float
    density: float

    @classmethod
    def of(cls, vector: Tensor) -> Shape:
        """That of a task vector, float32 of any shape, summed in float64."""
        from engine.merging.spectrum import ROWS

        total = squares = tail = 0.0
        spans = vector.reshape(-1).split(ROWS)
        for part in spans:
            sizes = part.abs().double()
            total += float(sizes.sum())
            squares += float(sizes.square().sum())
        if not total:
            return cls(0.0, 0.0)
        count = vector.numel()
        mean = total / count
        outlying = mean + 3.0 * math.sqrt(max(0.0, squares / count - mean**2))
        for part in spans:
            sizes = part.abs().double()
            tail += float(sizes[sizes > outlying].sum())
        return cls(tail / total, total / count * (total / squares))


def ranks(shapes: list[Shape], size: int) -> list[int]:
    """k of every expert.

    Args:
        size: r, the smaller side of the matrix.
    """
    densities = [each.density for each in shapes]
    differing = sum(each > 0.0 for each in densities)
    if size < differing:
        return [0] * len(shapes)
    left = size - differing
    # a millionth: equal densities whose last digit differs get equal ranks
    return [
        1 + math.floor(left * each / math.fsum(densities) + 1e-6) if each > 0.0 else 0
        for each in densities
    ]


def weights(shapes: list[Shape]) -> list[float]:
    """ω of every expert; 0 where it does not differ."""
    tails = [1.0 + each.tail if each.density > 0.0 else 0.0 for each in shapes]
    differing = sum(each > 0.0 for each in tails)
    return [each * differing / math.fsum(tails) if each else 0.0 for each in tails]


@method(
    space="weight",
    summary="Like tsv, with more weight where few weights changed much, more rank where many did.",
    slider="How much of this expert's main directions is added: 0 none, 1 all.",
    source="arXiv 2502.06876, our reading",
    mark="pentagon",
    corners=Corners(zero="base"),
    passes=2,
    strength=True,
    by_depth=True,
    matrices=True,
)
def rtsv(tensors: Tensors) -> Basis:
    """θ0 + Σ c_i W_i."""

    def factor(whole: Whole) -> list[Factors]:
        shapes = [Shape.of(whole.vector(expert)) for expert in whole.experts]
        counts = ranks(shapes, min(whole.shape))
        found = [
            triplets(whole, expert, count)
            for expert, count in zip(whole.experts, counts, strict=True)
        ]
        return blocks(whole, found, weights(shapes))

    return spectral(tensors, factor)
