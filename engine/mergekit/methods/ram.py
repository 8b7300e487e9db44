"""ram: changes of one model as they are, those of several averaged (arXiv 2601.13572).

θ = θ0 + Σ D_i ÷ (how many models have |D| > epsilon there), over these alone
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


EPSILON = Parameter("epsilon", "float", "Changes up to this size count as none.", 1e-5)


@merge(
    summary="Adds changes of one model as they are and averages those of several.",
    source="arXiv 2601.13572",
    base="needed",
    least=0,
    shared=(EPSILON,),
    ignored=("int8_mask",),
)
def ram(inputs: Inputs) -> Tensor:
    """θ0 + Σ D_i ÷ count."""
    import torch

    base = inputs.base
    assert base is not None  # `Merge` has seen to it
    if not inputs.models:
        return base
    differences = torch.stack([part.tensor - base for part in inputs.models])
    changed = differences.abs() > inputs.values["epsilon"]
    counts = changed.sum(0).clamp(min=1)
    return base + (differences * changed / counts).sum(0)
