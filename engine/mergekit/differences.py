"""What mergekit's methods on differences to the base have in common.

    D_i = θ_i − θ0, thinned out by the method;  V_i = w_i D_i
    with consensus   s = +1 where Σ V_i ≥ 0, else −1;  only V_i of sign s count
    mix = Σ V_i, ÷ Σ w of what counts (0 as 1) under `normalize`;  θ = θ0 + lambda · mix

All of it is rounded at every step to the type of the tensors, weights included, as mergekit does.
Which sign wins where V_i nearly cancel depends on the order of a sum; it is mergekit's: one sum
over the stacked V_i.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, Part

if TYPE_CHECKING:
    from torch import Tensor

Thin = Callable[["Tensor", Part], "Tensor"]
"""A model's difference to the base and its part -> what is kept of it."""


def merged_differences(inputs: Inputs, thin: Thin | None = None, consensus: bool = False) -> Tensor:
    """θ0 + lambda · mix.

    Args:
        thin: what keeps a part of a difference; None keeps all.
        consensus: whether only differences of the winning sign count.
    """
    import torch

    base = inputs.base
    assert base is not None  # `Merge` has seen to it
    if not inputs.models:
        return base
    differences = base.new_empty((len(inputs.models), *base.shape))
    for row, part in zip(differences.unbind(), inputs.models, strict=True):
        torch.sub(part.tensor, base, out=row)
        if thin is not None:
            row.copy_(thin(row, part))
    weights = torch.tensor(inputs.of_each("weight"), dtype=base.dtype, device=base.device)
    weights = weights.view(-1, *[1] * base.dim())
    differences.mul_(weights)
    if consensus:
        sign = torch.where(differences.sum(0) >= 0, 1, -1).to(base.dtype)
        counts = differences.sign() == sign
        mix = differences.mul_(counts).sum(0)
        total = (weights * counts).sum(0)
        total[total == 0] = 1
    else:
        mix = differences.sum(0)
        total = weights.sum(0)
        total[total.abs() < 1e-8] = 1
    if inputs.values["normalize"]:
        mix /= total
    if inputs.values["lambda"] != 1:
        mix *= inputs.values["lambda"]
    return base + mix
