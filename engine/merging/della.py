"""mergekit's della: a random part of each task vector, large changes likelier, where its weighted
sign wins (arXiv 2406.11617). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.merging.mergekit_parameters import (
    Density,
    Epsilon,
    Normalize,
    Rescale,
    Seed,
    check_chances,
)
from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part, large changes likelier, where the sign wins, as mergekit.",
    slider="This expert's weight, by which signs are elected: 0 none.",
    source="arXiv 2406.11617",
    mark="star-triangle-down",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    check=check_chances,
    passes=0,
    linear=False,
)
def della(
    tensors: Tensors,
    *,
    density: Density = 0.5,
    epsilon: Epsilon = 0.15,
    normalize: Normalize = True,
    rescale: Rescale = True,
    seed: Seed = 0,
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
