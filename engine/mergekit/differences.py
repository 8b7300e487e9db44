"""What mergekit's methods on weighted differences to the base have in common.

    D_i = θ_i − θ0, of which the method keeps a part;  rescale: times Σ|D_i| before ÷ after
    V_i = w_i D_i
    consensus:  s = + where Σ V_i ≥ 0, else −;  only V_i of sign s count
    mix = Σ V_i;  normalize: ÷ Σ w of what counts (0 as 1);  θ = θ0 + lambda · mix

All of it is rounded at every step to the type of the tensors, weights included, as mergekit does.
Which sign wins where V_i nearly cancel depends on the order of a sum; it is mergekit's: one sum
over the stacked V_i. What is kept is decided on a whole tensor, one model after the other; the rest
goes block by block, so that no temporary but a mask is of a tensor's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.mergekit.method import Inputs, Part

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Keep = Callable[["Tensor", Part, str], "Tensor | None"]
"""Sizes of a model's differences to the base, its part and the tensor's name -> which elements are
kept, bool of its shape; None: all, and there is nothing to rescale. It may write over the sizes."""

_NOTHING = 1e-7
"""A sum of magnitudes below this is not rescaled."""

_BLOCK = 1 << 15
"""Elements merged at a time: a few models' stay in a core's cache."""


class _Kept(NamedTuple):
    """What is kept of a model's differences: a mask, bool [d], and what the rest is multiplied by,
    of the type it is multiplied in; each None where there is none."""

    mask: Tensor | None = None
    factor: Tensor | None = None


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
    work = torch.float32 if widen and base.dtype != torch.bfloat16 else base.dtype
    kept = [
        _Kept() if keep is None else _kept(base, part, inputs, keep, work) for part in inputs.models
    ]
    flat = base.reshape(-1)
    models = [part.tensor.reshape(-1) for part in inputs.models]
    weights = torch.tensor(inputs.of_each("weight"), dtype=base.dtype, device=base.device)
    if len(models) == 2 and inputs.values["lambda"] == 1:
        found = _of_two(flat, models, kept, weights, consensus, inputs.values["normalize"])
        if found is not None:
            return found.view(base.shape)
    merged = torch.empty_like(flat)
    for at in range(0, len(flat), _BLOCK):
        span = slice(at, at + _BLOCK)
        origin = flat[span]
        differences = origin.new_empty((len(models), len(origin)))
        for row, model, (mask, factor) in zip(differences, models, kept, strict=True):
            torch.sub(model[span], origin, out=row)
            if mask is not None:
                held = row.to(work) * mask[span]
                row.copy_(held if factor is None else held * factor)
        differences.mul_(weights.unsqueeze(1))
        mix = _mixed(differences, weights, consensus, inputs.values["normalize"])
        if inputs.values["lambda"] != 1:
            mix *= inputs.values["lambda"]
        torch.add(origin, mix, out=merged[span])
    return merged.view(base.shape)


def _of_two(
    base: Tensor,
    models: Sequence[Tensor],
    kept: Sequence[_Kept],
    weights: Tensor,
    consensus: bool,
    normalize: bool,
) -> Tensor | None:
    """The same by a compiled loop, with lambda 1; None where that cannot do it."""
    from engine.mergekit.pair import Kind, merge_two

    masks = [mask for mask, _ in kept if mask is not None]
    factors = [factor for _, factor in kept]
    if len(masks) == 1 or any(each is not None and each.dtype != base.dtype for each in factors):
        return None
    numbers = [1.0 if each is None else float(each) for each in factors]
    kind = Kind(base.dtype, bool(masks), consensus, normalize)
    return merge_two(kind, base, models, masks, numbers, weights)


def summed(rows: Tensor) -> Tensor:
    """Σ over the models [n, …], bit for bit what `rows.sum(0)` gives.

    That takes several times as long as an addition, most of all in 16 bits. Two have one order, and
    its zero is never negative, since a sum starts from 0.
    """
    return rows.sum(0) if len(rows) != 2 else (rows[0] + rows[1]).add_(0.0)


def agreeing(differences: Tensor) -> Tensor:
    """Which differences [n, …] are of the sign that their sum has, bool; a sum of 0 is positive."""
    total = summed(differences)
    up, down = differences > 0, differences < 0
    return up.bitwise_and_(total >= 0).bitwise_or_(down.bitwise_and_(total < 0))


def _mixed(differences: Tensor, weights: Tensor, consensus: bool, normalize: bool) -> Tensor:
    """Weighted differences [n, k] in one [k]; they are written over.

    Args:
        weights: [n], by which they are weighted.
    """
    if consensus:
        counts = agreeing(differences)
        mix = summed(differences.mul_(counts))
        if normalize:
            total = summed(weights.unsqueeze(1) * counts)
            mix /= total.add_(total == 0)  # which is 1 there
        return mix
    mix = summed(differences)
    if normalize:
        total = weights.sum()
        mix /= 1 if total.abs() < 1e-8 else total
    return mix


def _kept(base: Tensor, part: Part, inputs: Inputs, keep: Keep, work: torch.dtype) -> _Kept:
    """What is kept of a model's differences.

    Args:
        work: the type that they are rescaled in.
    """
    import torch

    mask = keep((part.tensor - base).abs_(), part, inputs.name)
    if mask is None:
        return _Kept()
    flat = mask.reshape(-1)
    if not inputs.values["rescale"]:
        return _Kept(flat)
    sizes = (part.tensor - base).to(work).abs_()
    found: Sequence[Tensor] = (sizes.sum(), (sizes * mask).sum())
    if found[0].isinf():  # of float16; mergekit's result is NaN
        found = [each.sum(dtype=torch.float32) for each in (sizes, sizes * mask)]
    before, after = found
    if before < _NOTHING or after < _NOTHING:
        return _Kept(flat)
    return _Kept(flat, before / after)
