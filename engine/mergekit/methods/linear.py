"""linear: Σ w_i θ_i, ÷ Σ w unless `normalize: false` (arXiv 2203.05482).

Summed in float32 (float64 for float64) and rounded once, whatever the models' type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import WEIGHT, normalize

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="The weighted average of the models.",
    source="arXiv 2203.05482",
    base="plain",
    each=(WEIGHT,),
    shared=(normalize(True),),
    ignored=("int8_mask",),
)
def linear(inputs: Inputs) -> Tensor:
    """Σ w_i θ_i ÷ Σ w."""
    import torch

    first = inputs.tensors[0]
    exact = torch.promote_types(first.dtype, torch.float32)
    weights = torch.tensor(inputs.of_each("weight"), dtype=exact, device=first.device)
    total = torch.zeros_like(first, dtype=exact)
    for part, weight in zip(inputs.models, weights.unbind(), strict=True):
        total.addcmul_(part.tensor, weight)
    if inputs.values["normalize"]:
        total.div_(weights.sum())
    return total.to(first.dtype)
