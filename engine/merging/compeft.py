"""ComPEFT: θ0 + Σ c_i W_i, W_i = α σ_i sign(top-k of τ_i) (arXiv 2311.13171, algorithm 1).

The published code (prateeky2806/ComPEFT, `src/t5_eval.py`, `src/bert_eval.py` and
`src/qlora/ties_utils.py`, commit 083ed51) flattens an expert's whole task vector, τ [d], and takes

    σ = tv.std()    of all of τ before anything is trimmed: around its mean, divided by d − 1
    kept            |τ| ≥ the (d − int(d · density))-th smallest |τ|: int(d · density) + 1 elements,
                    and all that equal the last of them

So do we, per expert over the whole model. Where it differs: that code leaves an expert as it is at
density 1 (`k == 100`), where here the formula goes on: all elements are kept and quantised. It
compresses an adapter's factors A and B; here they count by their product.

An expert equal to the base has σ = 0 and adds nothing, as does one whose elements all differ by the
same amount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.method import Corners, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.chunk import Chunk


_SPAN = 1 << 15
"""Elements of one step of a float64 sum, which stays in a core's cache: 10 times as fast."""


def deviations(tensors: Tensors) -> Tensor:
    """Standard deviation of every expert's task vector over the whole model, divisor d − 1.

    One pass in float64, over parts that are joined by their means, so that a large common shift
    loses no digits.

    Returns:
        [n, 1] float32; 0 for a model of one element.
    """
    import torch

    counts: list[int] = []
    means: list[Tensor] = []
    squares: list[Tensor] = []  # Σ (x − mean)²
    for chunk in tensors.chunks():
        for part in chunk.vectors.split(_SPAN, 1):
            wide = part.to(torch.float64)
            mean = wide.mean(1, keepdim=True)
            counts.append(wide.shape[1])
            means.append(mean)
            squares.append(wide.sub_(mean).square_().sum(1, keepdim=True))
    sizes, mean = torch.tensor(counts, device=tensors.device), torch.cat(means, 1)
    centre = (mean * sizes).sum(1, keepdim=True) / sizes.sum()
    whole = torch.cat(squares, 1) + sizes * (mean - centre) ** 2
    variance = whole.sum(1, keepdim=True) / max(sum(counts) - 1, 1)
    return variance.sqrt().to(torch.float32)


@method(
    space="weight",
    summary="Reduces each expert's largest changes to their signs, all of one size, and adds them.",
    slider="How much of this expert's compressed changes is added: 0 none, 1 all.",
    source="arXiv 2311.13171",
    mark="bowtie",
    corners=Corners(zero="base"),  # W_i has two values and 0: a corner is not the expert
    passes=3,
    strength=True,
    by_depth=True,
)
def compeft(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each expert's weights that keep a change, those with the largest changes."),
    ] = 0.2,
    alpha: Annotated[
        float,
        Limits(0.0, 100.0),
        Says("Size of every kept change, in standard deviations of all of the expert's changes."),
    ] = 1.0,
) -> Basis:
    """θ0 + Σ c_i α σ_i sign(top-k of τ_i).

    Args:
        density: share of each expert's coordinates that are kept.
        alpha: what σ is multiplied by.
    """
    import torch

    from engine.merging.selection import order_statistics
    from engine.merging.stream import stream

    total = tensors.size
    rank = max(total - int(total * density) - 1, 0)
    limits = order_statistics(stream(tensors, lambda vectors: vectors.abs_()), [rank])
    floors = torch.tensor(limits, device=tensors.device)  # [n, 1]
    sizes = deviations(tensors) * alpha

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32."""
        return chunk.vectors.sign() * (chunk.vectors.abs() >= floors) * sizes

    return tensors.elementwise(weigh)
