"""sce: differences weighted by their own size, where they vary most and their sign wins
(arXiv 2408.07990).

    D_i = θ_i − θ0, where their variance over the models is among the share `select_topk` of those
    that are not 0;  w_i = mean(D_i²) ÷ Σ of these, 1/n where that sum is below 10⁻⁶
    s = +1 where Σ D_i ≥ 0, else −1;  θ = θ0 + Σ w_i D_i ÷ Σ w_i, over D_i of sign s

The bound on the sum is absolute: models that differ by less than about 10⁻³ count alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import agreeing
from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


TOPK = Parameter("select_topk", "float", "Share of the elements that vary, which is kept.", 1.0)

_NOTHING = 1e-6


@merge(
    summary="Averages differences by their size, where models vary most and the sign wins.",
    source="arXiv 2408.07990",
    base="needed",
    least=0,
    shared=(TOPK,),
    ignored=("int8_mask",),
)
def sce(inputs: Inputs) -> Tensor:
    """θ0 + Σ w_i D_i ÷ Σ w_i."""
    import torch

    base, share = inputs.base, inputs.values["select_topk"]
    assert base is not None  # `Merge` has seen to it
    if not inputs.models:
        return base
    differences = torch.stack([part.tensor - base for part in inputs.models])
    if share < 1:
        differences = differences * _varied(differences, share)
    counts = agreeing(differences)
    sizes = differences.square().view(len(differences), -1).mean(1)
    total = sizes.sum().item()
    weights = torch.ones_like(sizes) / len(sizes) if abs(total) < _NOTHING else sizes / total
    weighed = weights.view(-1, *[1] * base.dim()) * counts
    return base + (differences * weighed).sum(0) / weighed.sum(0).clamp(min=_NOTHING)


def _varied(differences: Tensor, share: float) -> Tensor:
    """0 and 1: where models vary most, so many as are the share of where they vary at all."""
    import torch

    spread = torch.var(differences, dim=0, unbiased=False)
    kept = torch.zeros_like(spread)
    count = int(torch.count_nonzero(spread) * share) if share > 0 else 0
    if count:
        kept.view(-1)[torch.topk(spread.view(-1), count, sorted=False).indices] = 1
    return kept
