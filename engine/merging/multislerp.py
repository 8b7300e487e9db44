"""mergekit's multislerp: the weighted mean of the directions of task vectors on a sphere, at their
mean length. `engine.mergekit.methods.multislerp` has the formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.method import Corners, InMergekit, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


def _in_mergekit(
    coefficients: Mapping[str, Any], parameters: Mapping[str, Any]
) -> InMergekit | None:
    """mergekit refuses three models where all have the base's tensor, so two are said."""
    weights = {name: value for name, value in coefficients.items() if value != 0.0}
    return InMergekit(weights, {}) if len(weights) <= 2 else None


@method(
    space="weight",
    summary="The weighted mean of the directions of task vectors, at their mean length.",
    slider="This expert's weight in the mean; only proportions count.",
    source="https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
    mark="star-diamond",
    corners=Corners(one=True),
    matrices=True,
    simplex=True,
    mergekit=_in_mergekit,
    passes=0,
    linear=False,
)
def multislerp(tensors: Tensors) -> Basis:
    """mergekit's `multislerp` with the coefficients as weights."""
    from engine.merging.by_mergekit import ByMergekit

    return ByMergekit(tensors, "multislerp", {}, {})
