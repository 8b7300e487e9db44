"""mergekit's dare_linear: a random part of each task vector, scaled to the L1 norm that its tensor
had (cf. arXiv 2311.03099). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.method import Corners, method
from engine.parameter import Limits, Says

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
)
def dare_linear(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each tensor's changes that is kept, at random."),
    ] = 0.5,
    rescale: Annotated[
        bool, Says("Scale what is kept of a tensor to the sum of magnitudes it had.")
    ] = True,
    seed: Annotated[int, Limits(0), Says("Which changes are kept; another seed keeps others.")] = 0,
) -> Basis:
    """mergekit's `dare_linear` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        rescale: whether to restore the L1 norm.
        seed: of the masks.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(tensors, "dare_linear", {"density": density}, {"rescale": rescale}, seed)
