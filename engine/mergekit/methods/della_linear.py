"""della_linear: a random part of the differences, large ones likelier (arXiv 2406.11617).

`differences` has the formula, `keeping` what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import by_lot_and_rank
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import DENSITY, EPSILON, LAMBDA, WEIGHT, normalize, rescale

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="As dare_linear, with larger differences likelier to be kept.",
    source="arXiv 2406.11617",
    base="needed",
    least=0,
    each=(WEIGHT, DENSITY, EPSILON),
    shared=(normalize(False), rescale(True), LAMBDA),
    ignored=("int8_mask",),
    random=True,
)
def della_linear(inputs: Inputs) -> Tensor:
    """θ0 + lambda · mix."""
    return merged_differences(inputs, by_lot_and_rank, widen=True)
