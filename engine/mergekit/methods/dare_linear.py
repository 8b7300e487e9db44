"""dare_linear: a random part of the differences, scaled to its old L1 norm (cf. arXiv 2311.03099).

`differences` has the formula, `keeping` what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import by_lot
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import DENSITY, LAMBDA, WEIGHT, normalize, rescale

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="Adds a random part of each model's differences, scaled up in return.",
    source="arXiv 2311.03099",
    base="needed",
    least=0,
    each=(WEIGHT, DENSITY),
    shared=(normalize(False), rescale(True), LAMBDA),
    ignored=("int8_mask",),
    random=True,
    copies=(1, 3),
)
def dare_linear(inputs: Inputs) -> Tensor:
    """θ0 + lambda · mix."""
    return merged_differences(inputs, by_lot, widen=True)
