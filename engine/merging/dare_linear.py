"""mergekit's dare_linear: a random part of each task vector, scaled to the L1 norm that its tensor
had (cf. arXiv 2311.03099). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.merging.mergekit_parameters import Density, Rescale, Seed
from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part of each expert's changes, scaled to their old size, as mergekit.",
    slider="How much of this expert's kept changes is added: 0 none, 1 all.",
    source="arXiv 2311.03099",
    mark="octagon",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    strength=True,
    passes=0,
)
def dare_linear(
    tensors: Tensors,
    *,
    density: Density = 0.5,
    rescale: Rescale = True,
    seed: Seed = 0,
) -> Basis:
    """mergekit's `dare_linear` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        rescale: whether to restore the L1 norm.
        seed: of the masks.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(tensors, "dare_linear", {"density": density}, {"rescale": rescale}, seed)
