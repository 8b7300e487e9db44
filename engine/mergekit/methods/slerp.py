"""slerp: along the arc from the base (t = 0) to the other model (t = 1), both flattened.

    θ = sin((1 − t) φ) / sin φ · θ0 + sin(t φ) / sin φ · θ1,   cos φ = θ0 · θ1 ÷ (|θ0| |θ1|)

Where |cos φ| > 0.9995 the two are averaged by t instead. Computed in float32 (float64 for float64).
Sums go over a million elements at a time, as mergekit's do: near opposite tensors their last bit
shows in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


T = Parameter("t", "float", "How far from the base to the other model: 0 … 1.", required=True)

_STRAIGHT = 0.9995  # |cos φ| above which there is no arc
_NONE = 1e-8  # a norm up to this counts as 1
_SPAN = 1 << 20


@merge(
    summary="A point on the arc between the base and one model.",
    source="https://en.wikipedia.org/wiki/Slerp",
    base="needed",
    most=1,
    shared=(T,),
    ignored=("int8_mask",),
    copies=(0, 3),
)
def slerp(inputs: Inputs) -> Tensor:
    """The point at t."""
    import torch

    one, other = inputs.tensors
    exact = torch.promote_types(one.dtype, torch.float32)
    t = torch.tensor(inputs.values["t"], dtype=exact, device=one.device)
    if not one.numel():
        return one
    spans = [each.reshape(-1).split(_SPAN) for each in (one, other)]

    def norm(parts: tuple[Tensor, ...]) -> Tensor:
        norms = [torch.linalg.vector_norm(part.to(exact)) for part in parts]
        found = torch.linalg.vector_norm(torch.stack(norms))
        return torch.where(found > _NONE, found, 1)

    long, wide = map(norm, spans)
    products = [
        (x.to(exact) / long * (y.to(exact) / wide)).sum() for x, y in zip(*spans, strict=True)
    ]
    cosine = torch.stack(products).sum().clamp(-1, 1)
    weights = [1 - t, t]
    if cosine.abs() <= _STRAIGHT:
        angle = torch.acos(cosine)
        weights = [torch.sin(weight * angle) / torch.sin(angle) for weight in weights]
    found = torch.empty_like(one, memory_format=torch.contiguous_format)
    for part, x, y in zip(found.view(-1).split(_SPAN), *spans, strict=True):
        part.copy_(weights[0] * x.to(exact) + weights[1] * y.to(exact))
    return found
