"""nearswap: the other model where it is near the base, less of it where it is far.

w = t ÷ |θ1 − θ0|, cut to 0 … 1;  θ = w θ1 + (1 − w) θ0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.method import Inputs, merge
from engine.parameter import Parameter

if TYPE_CHECKING:
    from torch import Tensor


T = Parameter("t", "float", "Up to which difference the other model is taken.", required=True)


@merge(
    summary="Takes the other model where it is near the base, and less of it where it is far.",
    source="https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
    base="needed",
    most=1,
    shared=(T,),
    ignored=("int8_mask",),
)
def nearswap(inputs: Inputs) -> Tensor:
    """w θ1 + (1 − w) θ0."""
    base, other = inputs.tensors
    far = (base - other).abs().clamp(min=1e-6)
    weight = (inputs.values["t"] / far).nan_to_num(0).clamp(min=0, max=1)  # 0 / 0 in float16
    return weight * other + (1 - weight) * base
