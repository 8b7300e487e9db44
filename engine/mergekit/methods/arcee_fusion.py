"""arcee_fusion: the other model where its change is important, else the base.

    importance = |θ1 − θ0| · KL(softmax θ1 ‖ softmax θ0), both along the last dimension
    θ = θ1 where importance ≥ median + 1.5 · (3rd − 1st quartile), else θ0

Quartiles are of the whole tensor. mergekit takes them of a million elements drawn at random where a
tensor is larger, with another result every time; there ours is what its results scatter about. The
result is float32 at least, also of 16-bit tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="Takes from the other model the changes that matter most, the rest from the base.",
    source="https://arcee.ai",
    base="needed",
    most=1,
    ignored=("int8_mask",),
    widens=True,
)
def arcee_fusion(inputs: Inputs) -> Tensor:
    """θ1 where it is important, else θ0."""
    import torch

    base, other = inputs.tensors
    importance = _importance(other, base)
    if not importance.numel():
        return base
    low, median, high = _quartiles(importance)
    taken = importance >= median + 1.5 * (high - low)
    return base + (other - base) * taken.to(torch.float32)


def _importance(one: Tensor, base: Tensor) -> Tensor:
    import torch

    p, q = (torch.softmax(each, dim=-1) + 1e-8 for each in (one, base))
    return (one - base).abs() * (p * torch.log(p / q)).sum(-1, keepdim=True)


def _quartiles(values: Tensor) -> list[Tensor]:
    """Elements of a tensor at a quarter, a half and three quarters of its order, rounded down."""
    last = values.numel() - 1
    places = [last // 4, last // 2, last * 3 // 4]
    flat = values.reshape(-1)
    sample = flat.cpu().numpy() if flat.dtype.itemsize > 2 else flat.cpu().float().numpy()
    sample = sample.copy()
    sample.partition(places)
    return [flat.new_tensor(sample[place]) for place in places]
