"""DARE: θ0 + Σ c_i mask_i ⊙ τ_i / (1 − drop) (arXiv 2311.03099, equation 2).

Each element of a task vector is dropped by itself with probability `drop`, and what is left is
scaled by 1 / (1 − drop), which keeps the expected sum; both as in the published code (MergeLM,
`mask_weights_utils.py`, strategy "random" with rescaling). Its masks come from torch's global
generator and change with the order of the experts; here they depend on seed, expert, tensor and
element alone (`Chunk.lots`), and stay while the sliders move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.method import Corners, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.chunk import Chunk


@method(
    space="weight",
    summary="Drops a random part of each expert's changes and adds the rest, scaled up in return.",
    slider="How much of this expert's remaining changes is added: 0 none, 1 all.",
    source="arXiv 2311.03099",
    mark="hexagon",
    corners=Corners(zero="base"),  # an expert's corner is the expert only where nothing is dropped
    strength=True,
    by_depth=True,
)
def dare(
    tensors: Tensors,
    *,
    drop: Annotated[
        float,
        Limits(0.0, 1.0, open_high=True),
        Says("Share of each expert's changes that is dropped; the rest is divided by 1 − drop."),
    ] = 0.5,
    seed: Annotated[
        int, Limits(0), Says("Which changes are dropped; another seed drops others.")
    ] = 0,
) -> Basis:
    """θ0 + Σ c_i W_i with W_i = mask_i ⊙ τ_i / (1 − drop).

    Args:
        drop: probability that an element of a task vector is dropped.
        seed: of the masks.
    """

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32."""
        return chunk.vectors * (chunk.lots(seed) >= drop) / (1.0 - drop)

    return tensors.elementwise(weigh)
