"""Linear averaging of full weights: (c_base θ0 + Σ c_i θ_i) / Σ c.

Model soups, rewarded soups (arXiv 2306.04488) and, with {base: 1 − α, x: α}, WiSE-FT (arXiv
2109.01903).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.method import Corners, method

if TYPE_CHECKING:
    from engine.merging.basis import Basis, Tensors


def normalised(coefficients: Mapping[str, float]) -> dict[str, float]:
    """c / Σ c; resolving the recipe has checked that the sum is not 0."""
    total = math.fsum(coefficients.values())
    return {name: value / total for name, value in coefficients.items()}


@method(
    space="weight",
    summary="Averages the models' weights; only the ratios of the sliders matter.",
    slider="This model's share of the average; shares are normalised to sum to one.",
    source="arXiv 2306.04488, arXiv 2109.01903",
    mark="triangle-down",
    corners=Corners(one=True),  # zeros are refused
    passes=0,
    mergekit="models",
    names_base=True,
    simplex=True,
    by_depth=True,
    default_range=(0.0, 1.5),
)
def linear(tensors: Tensors) -> Basis:
    """(c_base θ0 + Σ c_i θ_i) / Σ c."""
    return tensors.affine(normalised)
