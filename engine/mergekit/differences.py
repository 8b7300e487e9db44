"""What mergekit's methods on weighted differences to the base have in common.

    D_i = θ_i − θ0, of which the method keeps a part;  rescale: times Σ|D_i| before ÷ after
    V_i = w_i D_i
    consensus:  s = +1 where Σ V_i ≥ 0, else −1;  only V_i of sign s count
    mix = Σ V_i;  normalize: ÷ Σ w of what counts (0 as 1);  θ = θ0 + lambda · mix

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

Keep = Callable[["Tensor", Part, str], "Tensor | None"]
"""A model's difference to the base, its part and the tensor's name -> which elements are kept, bool
of its shape; None: all, and there is nothing to rescale."""

_NOTHING = 1e-7
"""A sum of magnitudes below this is not rescaled."""


def merged_differences(
    inputs: Inputs, keep: Keep | None = None, *, consensus: bool = False, widen: bool = False
) -> Tensor:
    """θ0 + lambda · mix.

    Args:
        keep: what is kept of a difference; None: all.
        consensus: whether only differences of the winning sign count.
        widen: whether what is kept is rescaled in float32, bfloat16 excepted.
    """
    import torch

    base = inputs.base
    assert base is not None  # `Merge` has seen to it
    if not inputs.models:
        return base
    differences = base.new_empty((len(inputs.models), *base.shape))
    work = torch.float32 if widen and base.dtype != torch.bfloat16 else base.dtype
    for row, part in zip(differences.unbind(), inputs.models, strict=True):
        torch.sub(part.tensor, base, out=row)
        kept = None if keep is None else keep(row, part, inputs.name)
        if kept is not None:
            row.copy_(_kept(row.to(work), kept, inputs.values["rescale"]))
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


def _kept(difference: Tensor, kept: Tensor, rescale: bool) -> Tensor:
    import torch

    found = difference * kept
    if not rescale:
        return found
    before, after = difference.abs().sum(), found.abs().sum()
    if before.isinf():  # of float16; mergekit's result is NaN
        before, after = (each.abs().sum(dtype=torch.float32) for each in (difference, found))
    if before < _NOTHING or after < _NOTHING:
        return found
    return found * (before / after)
