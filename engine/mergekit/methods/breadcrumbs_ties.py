"""breadcrumbs_ties: breadcrumbs, where the sign of a difference wins (arXiv 2312.06795).

`differences` has the formula, `keeping` what is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.mergekit.differences import merged_differences
from engine.mergekit.keeping import next_largest
from engine.mergekit.method import Inputs, merge
from engine.mergekit.settings import DENSITY, GAMMA, LAMBDA, WEIGHT, normalize, rescale

if TYPE_CHECKING:
    from torch import Tensor


@merge(
    summary="As breadcrumbs, where a difference agrees with the winning sign.",
    source="arXiv 2312.06795",
    base="needed",
    least=0,
    each=(WEIGHT, DENSITY, GAMMA),
    shared=(normalize(False), rescale(False), LAMBDA),
    ignored=("int8_mask",),
    copies=(0.25, 2.25),
)
def breadcrumbs_ties(inputs: Inputs) -> Tensor:
    """θ0 + lambda · mix."""
    return merged_differences(inputs, next_largest, consensus=True)
