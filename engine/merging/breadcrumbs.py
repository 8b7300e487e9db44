"""Model Breadcrumbs: θ0 + Σ c_i B_i, where B_i is τ_i without its largest and its smallest changes
(arXiv 2312.06795).

    B_i = τ_i where |τ_i| is among the `keep` largest after the `remove` largest, else 0

`scope: row` is the published code: the shares are of each row along a tensor's last dimension, so a
vector is one row; a tensor without dimensions is kept whole. `scope: tensor` is mergekit's
`breadcrumbs` with density `keep` and gamma `remove`: the shares are of each tensor, and where
both exceed the whole fewer of the largest are removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from engine.method import Corners, InMergekit, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.chunk import Chunk


def _by_row(tensors: Tensors, keep: float, remove: float) -> Basis:
    from engine.merging.largest import largest_of_rows

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32, of whole rows."""
        shape = tensors.merged_shape(chunk.name)
        if not shape:
            return chunk.vectors
        width = shape[-1]
        removed, kept = int(width * remove), int(width * keep)
        rows = chunk.vectors.view(len(chunk.vectors), -1, width)
        inner, outer = largest_of_rows(rows.abs(), (removed + kept, removed))
        return (rows * (inner & ~outer)).view_as(chunk.vectors)

    return tensors.elementwise(weigh, rows=True)


def _by_tensor(tensors: Tensors, keep: float, remove: float) -> Basis:
    from engine.merging.largest import largest_of_tensors

    def counts(total: int) -> tuple[int, int]:
        kept = int(total * keep)
        removed = min(int(total * remove), total - kept)
        return removed + kept, removed

    masks = largest_of_tensors(tensors, counts)

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32."""
        inner, outer = masks(chunk)
        return chunk.vectors * (inner & ~outer)

    return tensors.elementwise(weigh)


def _in_mergekit(
    coefficients: Mapping[str, Any], parameters: Mapping[str, Any]
) -> InMergekit | None:
    if parameters["scope"] != "tensor":
        return None
    shared = {"density": parameters["keep"], "gamma": parameters["remove"], "normalize": False}
    return InMergekit(coefficients, shared)


@method(
    space="weight",
    summary="Adds each expert's task vector without its largest and its smallest changes.",
    slider="How much of this expert's kept changes is added: 0 none, 1 all.",
    source="arXiv 2312.06795",
    mark="star-square",
    corners=Corners(zero="base"),  # W_i is a part of the task vector: a corner is not the expert
    strength=True,
    by_depth=True,
    mergekit=_in_mergekit,
)
def breadcrumbs(
    tensors: Tensors,
    *,
    keep: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each expert's weights whose changes are kept, next to those removed."),
    ] = 0.15,
    remove: Annotated[
        float,
        Limits(0.0, 1.0, open_high=True),
        Says("Share of each expert's weights whose changes are the largest and are removed."),
    ] = 0.01,
    scope: Annotated[
        Literal["row", "tensor"],
        Says(
            "Among which weights a change is one of the largest.",
            row="those of the same row of a matrix, or of the same vector, as published",
            tensor="those of the same tensor, as in mergekit",
        ),
    ] = "row",
) -> Basis:
    """θ0 + Σ c_i B_i.

    Args:
        keep: share of coordinates that is kept.
        remove: share of coordinates that is removed from the top.
        scope: whether shares are of each row or of each tensor.
    """
    return (_by_row if scope == "row" else _by_tensor)(tensors, keep, remove)
