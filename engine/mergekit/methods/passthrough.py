"""passthrough: one model's tensor as it is, times `scale` where that is given.

It is what a YAML of slices stacks layers with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="One model's tensors as they are.",
    source="mergekit",
    base="plain",
    most=1,
    each=(Parameter("scale", "float", "What the tensor is multiplied by.", absent=True),),
    copies=(0, 2),
)
def passthrough(inputs: Inputs) -> Tensor:
    """scale · θ."""
    (part,) = inputs.models
    scale = part.values["scale"]
    return part.tensor if scale is None else part.tensor * scale
