"""Task arithmetic: θ(c) = θ0 + Σ c_i τ_i (arXiv 2212.04089, section 2).

Written as (1 − Σ c_i) θ0 + Σ c_i θ_i on the checkpoints as they are: no task vector is stored, and
zero and one-hot coefficients give the base and the expert bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


def affine_weights(coefficients: Mapping[str, float]) -> dict[str, float]:
    """Weight of every model, base included; they sum to one."""
    return {"base": 1.0 - math.fsum(coefficients.values()), **coefficients}


@method(
    space="weight",
    summary="Adds each expert's task vector to the base, scaled by its slider.",
    slider="How much of this expert's task vector is added: 0 none, 1 all.",
    source="arXiv 2212.04089",
    mark="circle",
    corners=Corners(zero="base", one=True),
    passes=0,
    additive=True,
    first=True,
    mergekit="task vectors",
    strength=True,
    by_depth=True,
)
def task_arithmetic(tensors: Tensors) -> Basis:
    """θ0 + Σ c_i τ_i; corners are the experts themselves."""
    return tensors.affine(affine_weights)
