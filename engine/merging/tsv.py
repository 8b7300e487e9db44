"""TSV-Merge: task singular vectors, made orthogonal to each other (arXiv 2412.00081).

Of every matrix, with r = min(rows, columns) and n experts:

    τ_i ≈ U_i S_i V_iᵀ                      the k = ⌊r / n⌋ largest singular triplets of each expert
    Û, V̂ = polar factors of [U_1 … U_n], [V_1 … V_n]           the nearest orthonormal columns
    W_i = Û_i S_i V̂_iᵀ                      the block of expert i

and W_i = τ_i / n of every other tensor. The published merge is θ0 + α Σ W_i, which equal
coefficients c_i = α are; a coefficient an expert scales its block, which is our extension. W does
not depend on the sliders. As in the published code embeddings and heads are matrices like any
other, a projection of CLIP's (`text_projection`) is none, and a matrix with fewer rows or columns
than there are experts keeps the base's values.

Two cases are ours. Of an expert that does not differ from the base, or does so in fewer than k
directions, the published code takes arbitrary directions, and turns the others' away from them;
here there are none, and the expert's share of the rank stays unused. And where directions of two
experts coincide they share one: two equal experts at c give what one of them gives, at rank k and
c. One expert alone is task arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.merging.task_arithmetic import affine_weights
from engine.method import Corners, method

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.merging.basis import Basis, Tensors
    from engine.merging.low_rank import Factors, Whole
    from engine.merging.spectrum import Triplets


def triplets(whole: Whole, expert: str, count: int) -> Triplets:
    """The `count` largest singular triplets of an expert's task vector."""
    from engine.merging.spectrum import leading, leading_of_product

    if (product := whole.product(expert)) is not None:
        return leading_of_product(*product, count)
    return leading(whole.vector(expert), count, whole.tick)


def blocks(
    whole: Whole, found: Sequence[Triplets], weights: Sequence[float] | None = None
) -> list[Factors]:
    """W_i of every expert: its triplets after all experts' have been made orthogonal.

    Args:
        found: one an expert, of together at most min(rows, columns) triplets.
        weights: what the singular values of each are multiplied by; 1 where None.
    """
    import torch

    from engine.merging.low_rank import Factors
    from engine.merging.spectrum import orthonormal

    sizes = [len(each.values) for each in found]
    scales = [
        each.values * weight
        for each, weight in zip(found, weights or [1.0] * len(found), strict=True)
    ]
    left = orthonormal(torch.cat([each.left for each in found], 1), whole.tick)
    lefts = [part * scale for part, scale in zip(left.split(sizes, 1), scales, strict=True)]
    del left
    right = orthonormal(torch.cat([each.right for each in found], 1), whole.tick)
    rights = [part.T.contiguous() for part in right.split(sizes, 1)]
    return [Factors(*pair) for pair in zip(lefts, rights, strict=True)]


def spectral(tensors: Tensors, factor: Callable[[Whole], Sequence[Factors]]) -> Basis:
    """A basis with `factor` on matrices and the mean of the task vectors elsewhere."""
    from engine.merging.low_rank import LowRank

    if len(tensors.experts) == 1:
        return tensors.affine(affine_weights)

    def takes(name: str) -> bool:
        return len(tensors.merged_shape(name)) == 2 and "text_projection" not in name

    mean = tensors.elementwise(lambda chunk: chunk.vectors / len(chunk.experts))
    return LowRank(tensors, factor, takes, mean)


@method(
    space="weight",
    summary="Adds each expert's main directions of change, turned so that they do not overlap.",
    slider="How much of this expert's main directions is added: 0 none, 1 all.",
    source="arXiv 2412.00081",
    mark="cross",
    corners=Corners(zero="base"),  # 1 / n of the rank is kept: a corner is not the expert
    strength=True,
    by_depth=True,
    matrices=True,
)
def tsv(tensors: Tensors) -> Basis:
    """θ0 + Σ c_i W_i; equal coefficients are the published α."""

    def factor(whole: Whole) -> list[Factors]:
        count = min(whole.shape) // len(whole.experts)
        return blocks(whole, [triplets(whole, expert, count) for expert in whole.experts])

    return spectral(tensors, factor)
