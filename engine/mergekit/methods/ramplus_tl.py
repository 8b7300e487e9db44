"""ramplus_tl: as ram, with a model's own changes enlarged by how many of its changes are shared
(arXiv 2601.13572), tensor by tensor.

    ρ_i = (changes of model i shared with another) ÷ (its own alone)
    f_i = 1 + r · ρ_i, which is cut to alpha
    θ = θ0 + Σ (f_i D_i where only model i changed, else D_i ÷ count)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.mergekit.methods.ram import EPSILON
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


R = Parameter("r", "float", "How much the share of shared changes enlarges the others.", 0.1)
ALPHA = Parameter("alpha", "float", "The share of shared changes counts up to this.", 0.2)


@merge(
    summary="As ram, with a model's own changes enlarged where it shares many.",
    source="arXiv 2601.13572",
    base="needed",
    least=0,
    shared=(R, ALPHA, EPSILON),
    ignored=("int8_mask",),
    widens=True,
)
def ramplus_tl(inputs: Inputs) -> Tensor:
    """θ0 + Σ f_i D_i, or their mean."""
    import torch

    base, values = inputs.base, inputs.values
    assert base is not None  # `Merge` has seen to it
    if not inputs.models:
        return base
    differences = torch.stack([part.tensor - base for part in inputs.models])
    changed = differences.abs() > values["epsilon"]
    counts = changed.sum(0)
    rows = changed.view(len(changed), -1)
    own = (rows & (counts == 1).view(-1)).sum(1)
    ratio = (rows.sum(1) - own) / own.clamp(min=values["epsilon"])
    factors = 1 + values["r"] * ratio.clamp(min=0, max=values["alpha"])
    changes = differences * changed
    alone = changes * factors.view(-1, *[1] * base.dim())
    return base + torch.where(counts == 1, alone, changes / counts.clamp(min=1)).sum(0)
