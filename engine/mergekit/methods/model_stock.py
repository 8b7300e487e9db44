"""model_stock: between the base and the average, by how alike differences are (arXiv 2403.19522).

    c = mean of cos(D_i, D_j) over pairs;  t = n c ÷ (1 + (n − 1) c)
    θ = t · mean(θ_i) + (1 − t) · θ0

Per tensor, or along the last dimension under `filter_wise`. Where the divisor is none t is 0. The
product of two norms counts as 10⁻⁶ at least: a tensor that barely moved stays at the base.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


FILTER_WISE = Parameter(
    "filter_wise",
    "flag",
    "Decide for each vector along the last dimension.",
    False,
)

_NOTHING = 1e-6


@merge(
    summary="Between the base and the average of the models, nearer to it the more they agree.",
    source="arXiv 2403.19522",
    base="needed",
    least=2,
    shared=(FILTER_WISE,),
    ignored=("int8_mask",),
)
def model_stock(inputs: Inputs) -> Tensor:
    """t · mean(θ_i) + (1 − t) · θ0."""
    import torch

    base = inputs.base
    assert base is not None  # `Merge` has seen to it
    by_row = inputs.values["filter_wise"] and base.dim() > 1
    shape = base.shape if by_row else (-1,)
    origin, *models = (each.reshape(shape) for each in inputs.tensors)
    differences = [model - origin for model in models]
    norms = [torch.norm(each, dim=-1) for each in differences]
    cosines = []
    for i, one in enumerate(differences):
        for j in range(i + 1, len(differences)):
            product = (norms[i] * norms[j]).clamp(min=_NOTHING)
            cosines.append(((one * differences[j]).sum(-1) / product).clamp(-1, 1))
    cosine = torch.stack(cosines).mean(0).unsqueeze(-1)
    divisor = 1 + (len(models) - 1) * cosine
    none = divisor.abs() < _NOTHING
    t = torch.where(none, 0, len(models) * cosine / torch.where(none, 1, divisor))
    mean = sum(models[1:], start=models[0]) / len(models)
    return (t * mean + (1 - t) * origin).reshape(base.shape)
