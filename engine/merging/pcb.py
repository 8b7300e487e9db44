"""PCB-Merging: parameter competition balancing (arXiv 2410.02396), in its four published variants.

    winsorise |τ| → C, N      intra = exp(n N²)      inter = tanh(…)      B = intra · inter
    S = min–max of B above its (1 − ratio) quantile      W_i = C_i S_i / max(Σ_j S_j, 1e-12)

All quantiles and min–max run per expert over the whole flattened model. W does not depend on the
sliders, so θ(c) = θ0 + Σ c_i W_i. A corner of the sliders is not the expert: about `ratio` of the
coordinates are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from engine.method import Corners, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.chunk import Chunk


class _Variant(NamedTuple):
    winsor: float
    inter: Literal["raw", "mixed", "pairwise"]


VARIANTS = {
    "main": _Variant(1e-4, "raw"),
    "nlp": _Variant(1e-2, "raw"),
    "vision": _Variant(1e-2, "mixed"),
    "vision_es": _Variant(1e-2, "pairwise"),
}


class Balance:
    """The scores of one variant, given the winsor limits of every expert.

    Args:
        low, high: winsor limits of |τ|, [n, 1] float32.
    """

    def __init__(self, variant: _Variant, low: Tensor, high: Tensor) -> None:
        self.inter = variant.inter
        self.low, self.high = low, high
        span = high - low
        self.empty = span <= 0  # an expert equal to the base: the published code divides 0 by 0
        self.any_empty = bool(self.empty.any())
        self.span = span.masked_fill(self.empty, 1.0)

    def clipped(self, vectors: Tensor) -> Tensor:
        """A = winsorised |τ|, [n, k]."""
        sizes = vectors.abs()
        for row, low, high in zip(sizes, self.low.tolist(), self.high.tolist(), strict=True):
            row.clamp_(*low, *high)
        return sizes

    def scores(self, vectors: Tensor) -> Tensor:
        """B = intra · inter, [n, k] float32; 0 for an expert without differences."""
        scaled = self.clipped(vectors).sub_(self.low).div_(self.span)
        if self.inter == "raw":
            inter = (vectors * vectors.sum(0)).tanh_()
        elif self.inter == "mixed":
            inter = (vectors * (vectors.sign() * scaled).sum(0)).tanh_()
        else:
            signed = vectors.sign() * scaled
            inter = (signed.unsqueeze(1) * signed.unsqueeze(0)).tanh_().sum(1)
        found = scaled.square_().mul_(len(vectors)).exp_().mul_(inter)
        return found.masked_fill_(self.empty, 0.0) if self.any_empty else found


@method(
    space="weight",
    summary="Lets the experts compete for each weight and adds the winning changes to the base.",
    slider="How much of this expert's winning changes is added: 0 none, 1 all.",
    source="arXiv 2410.02396",
    mark="triangle-up",
    corners=Corners(zero="base"),  # W_i is a part of the task vector: a corner is not the expert
    passes=3,
    strength=True,
    by_depth=True,
)
def pcb(
    tensors: Tensors,
    *,
    ratio: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each expert's weights that compete; the others keep the base's values."),
    ] = 0.1,
    variant: Annotated[
        Literal["main", "nlp", "vision", "vision_es"],
        Says(
            "Which of the four official implementations to follow; their results differ.",
            main="the repository's reference implementation",
            nlp="the language-model implementation, which clips more extreme weights",
            vision="the vision implementation, which compares scaled weights",
            vision_es="the vision implementation that compares experts in pairs",
        ),
    ] = "main",
) -> Basis:
    """θ0 + Σ c_i W_i.

    Args:
        ratio: share of each expert's coordinates that competes.
        variant: which of the official implementations; they disagree, so it is part of the recipe.
    """
    import torch

    from engine.merging.selection import order_statistics
    from engine.merging.stream import stream

    chosen = VARIANTS[variant]
    total = tensors.size
    ranks = [int(total * chosen.winsor), int(total * (1 - chosen.winsor) - 1)]
    found = order_statistics(stream(tensors, lambda vectors: vectors.abs_()), ranks)
    limits = torch.tensor(found, device=tensors.device)
    balance = Balance(chosen, limits[:, :1], limits[:, 1:])
    threshold = min(int(total * (1 - ratio)), total - 1)
    found = order_statistics(stream(tensors, balance.scores), [threshold, total - 1])
    floors = torch.tensor(found, device=tensors.device)
    floor, top = floors[:, :1], floors[:, 1:]
    empty = balance.empty | (top <= floor)
    any_empty = bool(empty.any())
    span = (top - floor).masked_fill(empty, 1.0)
    ends = list(zip(floor.view(-1).tolist(), top.view(-1).tolist(), strict=True))

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32."""
        vectors = chunk.vectors
        share = balance.scores(vectors)
        for row, pair in zip(share, ends, strict=True):
            row.clamp_(*pair)
        share.sub_(floor).div_(span)
        if any_empty:
            share.masked_fill_(empty, 0.0)
        winners = vectors.sign().mul_(balance.clipped(vectors)).mul_(share)
        return winners.div_(share.sum(0).clamp_min_(1e-12))

    return tensors.elementwise(weigh)
