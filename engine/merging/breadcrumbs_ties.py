"""mergekit's breadcrumbs_ties: each task vector without its largest and smallest changes, where its
weighted sign wins (arXiv 2312.06795). `engine.mergekit.differences` has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from engine.merging.mergekit_parameters import Normalize
from engine.method import Corners, InMergekit, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


@method(
    space="weight",
    summary="Adds changes without the largest and smallest, where their sign wins, as mergekit.",
    slider="This expert's weight, by which signs are elected: 0 none.",
    source="arXiv 2312.06795",
    mark="hexagram",
    corners=Corners(zero="base"),
    matrices=True,
    by_depth=True,
    mergekit=InMergekit,
    passes=0,
    linear=False,
)
def breadcrumbs_ties(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each tensor's changes that is kept, after those removed."),
    ] = 0.5,
    gamma: Annotated[
        float,
        Limits(0.0, 1.0, open_high=True),
        Says("Share of each tensor's changes that are the largest and are removed."),
    ] = 0.01,
    normalize: Normalize = False,
) -> Basis:
    """mergekit's `breadcrumbs_ties` with the coefficients as weights.

    Args:
        density: share of a tensor that is kept.
        gamma: share of a tensor that is removed from the top.
        normalize: whether to divide by the sum of weights.
    """
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(
        tensors,
        "breadcrumbs_ties",
        {"density": density, "gamma": gamma},
        {"normalize": normalize, "rescale": False},
    )
