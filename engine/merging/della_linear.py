"""mergekit's della_linear: a random part of each task vector, large changes likelier
(arXiv 2406.11617). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.merging.mergekit_parameters import Density, Epsilon, Rescale, Seed, check_chances
from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds a random part of each expert's changes, large ones likelier, as mergekit.",
    slider="How much of this expert's kept changes is added: 0 none, 1 all.",
    source="arXiv 2406.11617",
    mark="hexagon2",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    check=check_chances,
    strength=True,
    passes=0,
)
def della_linear(
    tensors: Tensors,
    *,
    density: Density = 0.5,
    epsilon: Epsilon = 0.15,
    rescale: Rescale = True,
    seed: Seed = 0,
) -> Basis:
    """mergekit's `della_linear` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        epsilon: how far chances to be kept lie from the density.
        rescale: whether to restore the L1 norm.
        seed: of the masks.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(
        tensors,
        "della_linear",
        {"density": density, "epsilon": epsilon},
        {"rescale": rescale},
        seed,
    )
