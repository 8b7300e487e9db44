"""ties: the largest differences whose sign wins (arXiv 2306.01708), tensor by tensor.

`differences` has the formula, `keeping` what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import largest
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import DENSITY, LAMBDA, WEIGHT, normalize, rescale

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="Adds the largest differences of each model that agree with the winning sign.",
    source="arXiv 2306.01708",
    base="needed",
    least=0,
    each=(WEIGHT, DENSITY),
    shared=(normalize(True), rescale(False), LAMBDA),
    ignored=("int8_mask",),
    copies=(0.25, 2.25),
)
def ties(inputs: Inputs) -> Tensor:
    """θ0 + lambda · mix."""
    return merged_differences(inputs, largest, consensus=True)
