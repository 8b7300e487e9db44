"""mergekit's della: a random part of each task vector, large changes likelier, where its weighted
sign wins (arXiv 2406.11617). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.merging.della_chances import check_chances
from engine.method import Corners, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part, large changes likelier, where the sign wins, as mergekit.",
    slider="This expert's weight, 0 none; not linear: signs are elected by weight.",
    source="arXiv 2406.11617",
    mark="star-triangle-down",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    check=check_chances,
)
def della(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each tensor's changes that is kept, at random."),
    ] = 0.5,
    epsilon: Annotated[
        float,
        Limits(0.0, 0.5, open_high=True),
        Says("How much likelier the largest changes are kept, and less likely the smallest."),
    ] = 0.15,
    normalize: Annotated[
        bool, Says("Divide by the sum of the weights that count, as a mean does.")
    ] = True,
    rescale: Annotated[
        bool, Says("Scale what is kept of a tensor to the sum of magnitudes it had.")
    ] = True,
    seed: Annotated[int, Limits(0), Says("Which changes are kept; another seed keeps others.")] = 0,
) -> Basis:
    """mergekit's `della` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        epsilon: how far chances to be kept lie from the density.
        normalize: whether to divide by the sum of weights.
        rescale: whether to restore the L1 norm.
        seed: of the masks.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(
        tensors,
        "della",
        {"density": density, "epsilon": epsilon},
        {"normalize": normalize, "rescale": rescale},
        seed,
    )
