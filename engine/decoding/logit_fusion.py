"""Static logit fusion: a weighted mean of the experts, in logits or by forward KL.

    w = c / Σ c over the experts and the base
    reverse_kl   l = Σ w_i l_i                                  geometric mean of the distributions
    forward_kl   l = −logsumexp_i(−log p_i + log w_i)           harmonic mean; w ≥ 0

Multi-objective decoding (MOD), arXiv 2406.18853.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from engine.decoding.fusion import Mixture, mix
from engine.errors import bad
from engine.method import Corners, Names, method
from engine.parameter import Says


def check_weights(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuses weights below 0 under forward KL, which takes their logarithm."""
    if parameters.get("kind") != "forward_kl":
        return
    total = math.fsum(coefficients.values())
    for name, value in coefficients.items():
        if value * total < 0.0:
            raise bad(
                f"coefficient {name}",
                f"{value:g} is negative, and forward_kl takes the logarithm of the weights",
                "Use 0 or more, or kind reverse_kl.",
            )


@method(
    space="logit",
    summary="Runs the models side by side and averages their logits at every token.",
    slider="This model's weight in the average; weights are normalised to sum to one.",
    source="arXiv 2406.18853",
    mark="triangle-right",
    corners=Corners(one=True),  # both kinds of one model are that model; zeros are refused
    names_base=True,
    simplex=True,
    default_range=(0.0, 1.0),
    check=check_weights,
)
def logit_fusion(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    kind: Annotated[
        Literal["reverse_kl", "forward_kl"],
        Says(
            "How the models' distributions are averaged.",
            reverse_kl="geometric mean (sum of logits): a token must be likely under all models",
            forward_kl="harmonic mean: stricter, a single model can all but rule a token out",
        ),
    ] = "reverse_kl",
) -> Mixture:
    """Base and experts weighted by the coefficients; one-hot gives that model exactly."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in ("base", *names.experts)]
    total = math.fsum(value for _, value in chosen)
    return mix(
        ((name, value / total) for name, value in chosen),
        "forward_kl" if kind == "forward_kl" else "linear",
    )
