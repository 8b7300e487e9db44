"""What mergekit's methods keep of a tensor's differences; `differences.Keep` says what these give.

Shares are of one tensor. Random numbers are a part's own lots, so a mask depends on seed, model,
tensor and element alone; mergekit draws from torch's generator, in the order of its work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import bad
from engine.mergekit.method import Part

if TYPE_CHECKING:
    from torch import Tensor


def largest(sizes: Tensor, part: Part, name: str) -> Tensor | None:
    """The `density` largest; of a tensor that is not empty at least one element."""
    from engine.mergekit.order import between

    density = part.values["density"]
    if density >= 1:
        return None
    count = max(1, int(density * sizes.numel())) if density > 0 else 0
    return between(sizes, 0, count, descending=True, spoil=True)


def next_largest(sizes: Tensor, part: Part, name: str) -> Tensor | None:
    """The `density` largest after the `gamma` largest; where both exceed the whole, fewer of the
    largest are left out."""
    from engine.mergekit.order import between

    density, gamma = part.values["density"], part.values["gamma"]
    if density >= 1:
        return None
    total = sizes.numel()
    count = int(density * total)
    below = max(0, total - count - int(gamma * total))
    return between(sizes, below, below + count, spoil=True)


def by_lot(sizes: Tensor, part: Part, name: str) -> Tensor | None:
    """Each element with chance `density`."""
    density = part.values["density"]
    if density >= 1:
        return None
    return _lots(part, name) < density


def by_lot_and_rank(sizes: Tensor, part: Part, name: str) -> Tensor | None:
    """Each element with a chance between `density` ∓ `epsilon`, the higher its rank by magnitude
    among those of its row, the greater; a tensor of one dimension is one row, and where a row has
    one element its chance is `density`.

    Raises:
        BadInput: a chance would be none.
    """
    import torch

    density, epsilon = part.values["density"], part.values["epsilon"]
    if density >= 1:
        return None
    if density <= 0:
        return torch.zeros_like(sizes, dtype=torch.bool)
    if density + epsilon >= 1 or density - epsilon <= 0:
        what = f"density {density:g} ± epsilon {epsilon:g} does not lie between 0 and 1"
        raise bad(name, what, "Lower epsilon.")
    if not sizes.numel():
        return torch.zeros_like(sizes, dtype=torch.bool)
    rows = sizes if sizes.dim() > 1 else sizes.view(1, -1)
    work = rows.dtype if rows.dtype == torch.bfloat16 else torch.float32
    ranks = rows.argsort(dim=1).argsort(dim=1).to(work) + 1
    low, high = ranks.amin(1, keepdim=True), ranks.amax(1, keepdim=True)
    share = torch.where(high > low, (ranks - low) / (high - low), 0.5).clamp(0, 1)
    chances = (density - epsilon) + share * 2 * epsilon
    return _lots(part, name) < chances.view(sizes.shape)


def _lots(part: Part, name: str) -> Tensor:
    if part.lots is None:
        raise ValueError(f"{name}: a random method was given no lots")
    return part.lots()
