"""task_arithmetic: θ0 + lambda · Σ w_i (θ_i − θ0), ÷ Σ w under `normalize` (arXiv 2212.04089)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import merged_differences
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import LAMBDA, WEIGHT, normalize

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="The base plus the weighted differences of the models to it.",
    source="arXiv 2212.04089",
    base="needed",
    least=0,
    each=(WEIGHT,),
    shared=(normalize(False), LAMBDA),
    ignored=("int8_mask", "density", "rescale"),
    copies=(0, 2),
)
def task_arithmetic(inputs: Inputs) -> Tensor:
    """θ0 + lambda · Σ w_i (θ_i − θ0)."""
    return merged_differences(inputs)
