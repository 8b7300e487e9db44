"""mergekit's dare_ties: a random part of each task vector, where its weighted sign wins
(cf. arXiv 2311.03099). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.method import Corners, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part of each expert's changes, where the sign wins, as mergekit.",
    slider="This expert's weight, 0 none; not linear: signs are elected by weight.",
    source="arXiv 2311.03099",
    mark="diamond-tall",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
)
def dare_ties(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each tensor's changes that is kept, at random."),
    ] = 0.5,
    normalize: Annotated[
        bool, Says("Divide by the sum of the weights that count, as a mean does.")
    ] = False,
    rescale: Annotated[
        bool, Says("Scale what is kept of a tensor to the sum of magnitudes it had.")
    ] = True,
    seed: Annotated[int, Limits(0), Says("Which changes are kept; another seed keeps others.")] = 0,
) -> Basis:
    """mergekit's `dare_ties` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        normalize: whether to divide by the sum of weights.
        rescale: whether to restore the L1 norm.
        seed: of the masks.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(
        tensors,
        "dare_ties",
        {"density": density},
        {"normalize": normalize, "rescale": rescale},
        seed,
    )
