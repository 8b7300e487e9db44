"""TIES-Merging: trim, elect a sign, merge what agrees with it (arXiv 2306.01708).

    trim      U_i = τ_i where |τ_i| is among the largest `density`, else 0
    elect     s = sign(Σ_i U_i), at every element
    merge     A_i = U_i where its sign is s, else 0
    W_i       mean: A_i / number of A_j ≠ 0      sum: A_i      max: the largest |A_j| alone

The published merge has one scalar: θ0 + λ Σ_i W_i. A coefficient for each expert is our extension:
the election stays as it is with all coefficients equal, so W does not depend on the sliders and
θ(c) = θ0 + Σ c_i W_i, which is the published merge wherever all c_i = λ. A corner of the sliders is
not the expert.

`scope: model` is the published code: the largest of the whole flattened model, values equal to the
threshold included, one more than ⌊d · density⌋; where the sum is 0 the sign that most elements
of the model elected. `scope: tensor` is mergekit's `ties` with equal weights: ⌊d · density⌋ of each
tensor, at least one; where the sum is 0 the positive sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from engine.method import Corners, InMergekit, method
from engine.parameter import Limits, Says

if TYPE_CHECKING:
    from torch import Tensor

    from engine.merging.basis import Basis, Tensors
    from engine.merging.chunk import Chunk

Merge = Literal["mean", "sum", "max"]


def _trim_model(tensors: Tensors, density: float) -> Callable[[Chunk], Tensor]:
    """Chunk -> U [n, k], by one threshold an expert."""
    import torch

    from engine.merging.selection import order_statistics
    from engine.merging.stream import stream

    total = tensors.size
    dropped = total - int(total * density)
    if dropped == 0:
        return lambda chunk: chunk.vectors
    found = order_statistics(stream(tensors, lambda vectors: vectors.abs_()), [dropped - 1])
    # hardshrink keeps what is strictly larger, in one operation without a mask
    limits = torch.tensor(found).nextafter(torch.tensor(-torch.inf)).view(-1).tolist()

    def trim(chunk: Chunk) -> Tensor:
        rows = zip(chunk.vectors, limits, strict=True)
        return torch.stack([row.hardshrink(limit) if limit > 0 else row for row, limit in rows])

    return trim


def _trim_tensors(tensors: Tensors, density: float) -> Callable[[Chunk], Tensor]:
    """Chunk -> U [n, k], by exactly as many elements of each tensor and expert."""
    from engine.merging.largest import largest_of_tensors

    kept = largest_of_tensors(tensors, lambda total: (max(1, int(total * density)),))
    return lambda chunk: chunk.vectors * kept(chunk)[0]


def _elected(trimmed: Tensor) -> Tensor:
    """sign(Σ_i U_i), [k] float32; summed in float64, so that the experts' order does not matter."""
    import torch

    total = trimmed[0].to(torch.float64)
    for row in trimmed[1:]:
        total += row
    return total.sign_().to(torch.float32)


def _merged(trimmed: Tensor, elected: Tensor, merge: Merge) -> Tensor:
    """W, [n, k] float32."""
    agreeing = (trimmed * elected).relu_()  # |A|
    if merge == "max":  # equal ones share, so that the experts' order does not matter
        agreeing *= agreeing == agreeing.amax(0)
    if merge != "sum":
        agreeing.div_(agreeing.sign().sum(0).clamp_min_(1.0))
    return agreeing.mul_(elected)


def _in_mergekit(
    coefficients: Mapping[str, Any], parameters: Mapping[str, Any]
) -> InMergekit | None:
    """mergekit elects by its weights, so that they are equal and `lambda` is the coefficient."""
    merge, (first, *others) = parameters["merge"], coefficients.values()
    if parameters["scope"] != "tensor" or merge == "max" or any(each != first for each in others):
        return None
    shared = {
        "density": parameters["density"],
        "normalize": merge == "mean",
        "lambda": first,
    }
    return InMergekit(dict.fromkeys(coefficients, 1.0), shared)


@method(
    space="weight",
    summary="Keeps each expert's largest changes and merges those that agree on a direction.",
    slider="How much of this expert's kept changes is added: 0 none, 1 all.",
    source="arXiv 2306.01708 for equal sliders; that they may differ is defined here",
    mark="star-triangle-up",
    corners=Corners(zero="base"),  # W_i is a part of the task vector: a corner is not the expert
    passes=2,
    strength=True,
    by_depth=True,
    mergekit=_in_mergekit,
)
def ties(
    tensors: Tensors,
    *,
    density: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Share of each expert's weights whose changes are kept: the largest."),
    ] = 0.2,
    merge: Annotated[
        Merge,
        Says(
            "How changes that agree become one.",
            mean="their mean",
            sum="their sum",
            max="the largest of them",
        ),
    ] = "mean",
    scope: Annotated[
        Literal["model", "tensor"],
        Says(
            "Among which weights a change is one of the largest.",
            model="those of the whole model, as published",
            tensor="those of the same tensor, as in mergekit",
        ),
    ] = "model",
) -> Basis:
    """θ0 + Σ c_i W_i; with equal c_i the published merge times that scalar.

    Args:
        density: share of each expert's coordinates that is kept.
        merge: how the coordinates that agree with the elected sign are aggregated.
        scope: whether the largest are sought in the whole model or in each tensor.
    """
    import torch

    trim = (_trim_model if scope == "model" else _trim_tensors)(tensors, density)

    @cache
    def majority() -> float:
        """Sign of the sum of all elected signs; read from the whole model if it is needed."""
        total = sum(int(_elected(trim(chunk)).sum(dtype=torch.int64)) for chunk in tensors.chunks())
        return float((total > 0) - (total < 0))

    def weigh(chunk: Chunk) -> Tensor:
        """W, [n, k] float32."""
        trimmed = trim(chunk)
        elected = _elected(trimmed)
        kept = trimmed.abs().amax(0).sign_()
        if kept.sum(dtype=torch.float64) != elected.abs().sum(dtype=torch.float64):
            sign = majority() if scope == "model" else 1.0
            if not sign and merge != "max":
                sign = -1.0  # so the published code, which keeps what is below 0 there
            elected[(elected == 0) & (kept > 0)] = sign
        return _merged(trimmed, elected, merge)

    return tensors.elementwise(weigh)
