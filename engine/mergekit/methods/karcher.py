"""karcher: the mean of several models' directions on a sphere, at their mean length
(arXiv 2603.04972).

    θ_i = r_i u_i;  m moves along the mean of its tangents to the u_i until that is below `tol`, or
    `max_iter` times;  θ = mean(r_i) · m

All models count alike: mergekit reads no weight here. Models whose length is at most `tol` have no
direction; where none has one, the result is zero. Lengths in float32, directions in the tensors'
type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor


MAX_ITER = Parameter("max_iter", "int", "Steps at most.", 10)
TOL = Parameter("tol", "float", "A length or an angle below this counts as none.", 1e-5)


@merge(
    summary="The mean of directions on the sphere, at the mean length; all models count alike.",
    source="arXiv 2603.04972",
    base="plain",
    shared=(MAX_ITER, TOL),
    ignored=("int8_mask", "weight"),
)
def karcher(inputs: Inputs) -> Tensor:
    """The mean on the sphere."""
    import torch

    tensors, tol = inputs.tensors, inputs.values["tol"]
    if len(tensors) == 1:
        return tensors[0]
    exact = torch.promote_types(tensors[0].dtype, torch.float32)
    lengths = [torch.linalg.vector_norm(each.to(exact)) for each in tensors]
    pairs = zip(tensors, lengths, strict=True)
    units = [(each / length).to(each.dtype) for each, length in pairs if length > tol]
    if not units:
        return torch.zeros_like(tensors[0])
    middle = _mean_direction(units, exact, inputs.values["max_iter"], tol)
    share = 1.0 / len(tensors)
    return sum(share * length for length in lengths) * middle


def _mean_direction(units: list[Tensor], exact: torch.dtype, most: int, tol: float) -> Tensor:
    """The Karcher mean of unit vectors.

    Args:
        exact: the type of lengths.
        most: steps.
    """
    import torch

    share = 1.0 / len(units)
    middle = torch.zeros_like(units[0])
    for unit in units:
        middle += share * unit
    length = torch.linalg.vector_norm(middle.to(exact))
    middle = units[0].clone() if length < tol else (middle / length).to(middle.dtype)
    for _ in range(most):
        step = torch.zeros_like(middle)
        for unit in units:
            cosine = torch.dot(middle.flatten(), unit.flatten()).clamp(-1.0, 1.0)
            angle = torch.arccos(cosine)
            if angle >= tol:
                step += share * (angle / torch.sin(angle)) * (unit - cosine * middle)
        length = torch.linalg.vector_norm(step.to(exact))
        if length < tol:
            break
        moved = torch.cos(length) * middle + torch.sin(length) * (step / length)
        middle = moved.to(middle.dtype)
        length = torch.linalg.vector_norm(middle.to(exact))
        if length > tol:
            middle = (middle / length).to(middle.dtype)
    return middle
