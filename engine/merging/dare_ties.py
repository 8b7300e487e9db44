"""mergekit's dare_ties: a random part of each task vector, where its weighted sign wins
(cf. arXiv 2311.03099). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.merging.mergekit_parameters import Density, Normalize, Rescale, Seed
from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part of each expert's changes, where the sign wins, as mergekit.",
    slider="This expert's weight, by which signs are elected: 0 none.",
    source="arXiv 2311.03099",
    mark="diamond-tall",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    passes=0,
    linear=False,
)
def dare_ties(
    tensors: Tensors,
    *,
    density: Density = 0.5,
    normalize: Normalize = False,
    rescale: Rescale = True,
    seed: Seed = 0,
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
