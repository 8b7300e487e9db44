"""nuslerp: along the arc between two models by their weights, or between differences to a base.

    t = w_2 / (w_1 + w_2), ½ where the sum is none;  slerp's formula without its threshold

Flattened unless `nuslerp_flatten` is false; then along the last dimension, or the first under
`nuslerp_row_wise`. Parallel vectors are averaged by t. Rounded to the tensors' type at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import WEIGHT
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


FLATTEN = Parameter("nuslerp_flatten", "flag", "Take a whole tensor as one vector.", True)
ROW_WISE = Parameter(
    "nuslerp_row_wise", "flag", "Unflattened: vectors along the first dimension.", False
)

_NONE = 1e-7  # a norm counts as no less
_PARALLEL = 1e-16  # sin² φ up to which there is no arc


@merge(
    summary="A point on the arc between two models, or between their differences to the base.",
    source="mergekit",
    base="optional",
    least=2,
    most=2,
    each=(WEIGHT,),
    shared=(ROW_WISE, FLATTEN),
    ignored=("int8_mask",),
)
def nuslerp(inputs: Inputs) -> Tensor:
    """The point at w_2 / (w_1 + w_2)."""
    first, second = inputs.of_each("weight")
    total = first + second
    t = 0.5 if abs(total) < 1e-6 else second / total
    one, other = (part.tensor for part in inputs.models)
    shape, base = one.shape, inputs.base
    if base is not None:
        one, other = one - base, other - base
    if inputs.values["nuslerp_flatten"]:
        found = _arc(t, one.reshape(-1), other.reshape(-1))
    elif inputs.values["nuslerp_row_wise"]:
        found = _arc(t, one.transpose(0, -1), other.transpose(0, -1)).transpose(0, -1)
    else:
        found = _arc(t, one, other)
    found = found.reshape(shape)
    return found if base is None else base + found


def _arc(t: float, one: Tensor, other: Tensor) -> Tensor:
    """The point at t between vectors along the last dimension."""
    import torch

    def unit(x: Tensor) -> Tensor:
        return x / torch.norm(x, dim=-1, keepdim=True).clamp(min=_NONE)

    cosine = (unit(one) * unit(other)).sum(-1, keepdim=True).clamp(-1, 1)
    parallel = 1 - cosine.square() <= _PARALLEL
    angle = torch.acos(torch.where(parallel, 0, cosine))
    curved = torch.sin((1 - t) * angle) * one + torch.sin(t * angle) * other
    return torch.where(parallel, (1 - t) * one + t * other, curved / torch.sin(angle))
