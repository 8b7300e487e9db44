"""linear: Σ w_i θ_i, ÷ Σ w unless `normalize: false` (arXiv 2203.05482).

Summed in float32 (float64 for float64) and rounded once, whatever the models' type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import bad
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import WEIGHT, normalize

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 1 << 15  # elements summed at a time: they stay in a core's cache


@merge(
    summary="The weighted average of the models.",
    source="arXiv 2203.05482",
    base="plain",
    each=(WEIGHT,),
    shared=(normalize(True),),
    ignored=("int8_mask",),
    copies=(0, 2),
)
def linear(inputs: Inputs) -> Tensor:
    """Σ w_i θ_i ÷ Σ w.

    Raises:
        BadInput: the weights sum to 0.
    """
    import torch

    first = inputs.tensors[0]
    exact = torch.promote_types(first.dtype, torch.float32)
    weights = torch.tensor(inputs.of_each("weight"), dtype=exact, device=first.device)
    divisor = weights.sum()
    if inputs.values["normalize"] and divisor == 0:
        raise bad(inputs.name, "the weights sum to 0", "Change one, or set normalize: false.")
    flat = [part.tensor.reshape(-1) for part in inputs.models]
    merged = torch.empty_like(flat[0])
    for at in range(0, len(merged), _BLOCK):
        span = slice(at, at + _BLOCK)
        total = torch.zeros_like(merged[span], dtype=exact)
        for model, weight in zip(flat, weights.unbind(), strict=True):
            total.addcmul_(model[span], weight)
        if inputs.values["normalize"]:
            total.div_(divisor)
        merged[span] = total
    return merged.view(first.shape)
