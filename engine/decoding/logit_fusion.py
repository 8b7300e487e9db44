"""Static logit fusion: a weighted mean of the experts, in logits or by another divergence.

    w = c / Σ c over the experts and the base
    reverse_kl   l = Σ w_i l_i                                  geometric mean of the distributions
    jsd          the same
    forward_kl   l = −logsumexp_i(log w_i − log p_i)            harmonic mean; w ≥ 0
    alpha        l = −1/α logsumexp_i(log w_i − α log p_i)      between the two; w ≥ 0

Multi-objective decoding (MOD), arXiv 2406.18853, as its code computes them: of the divergences'
general form it leaves out the reference model, and takes jsd for reverse_kl. Its code leaves out
1/α too, which changes no most likely token; with it one model alone is that model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from engine.decoding.fusion import POSITIVE, Mixture, mix
from engine.errors import bad
from engine.method import Corners, Names, method
from engine.parameter import Limits, Only, Says


def check_weights(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuses weights below 0 where their logarithm is taken."""
    kind = parameters.get("kind")
    if kind not in POSITIVE:
        return
    total = math.fsum(coefficients.values())
    for name, value in coefficients.items():
        if value * total < 0.0:
            raise bad(
                f"coefficient {name}",
                f"{value:g} is negative, and {kind} takes the logarithm of the weights",
                "Use 0 or more, or kind reverse_kl.",
            )


@method(
    space="logit",
    summary="Runs the models side by side and averages their logits at every token.",
    slider="This model's weight in the average; weights are normalised to sum to one.",
    source="arXiv 2406.18853",
    mark="triangle-right",
    corners=Corners(one=True),  # every kind of one model is that model; zeros are refused
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
        Literal["reverse_kl", "forward_kl", "jsd", "alpha"],
        Says(
            "How the models' distributions are averaged.",
            reverse_kl="geometric mean (sum of logits): a token must be likely under all models",
            forward_kl="harmonic mean: stricter, a single model can all but rule a token out",
            jsd="Jensen-Shannon, which the published code computes like reverse_kl",
            alpha="between the two: reverse_kl as alpha goes to 0, forward_kl at 1",
        ),
    ] = "reverse_kl",
    alpha: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Only("kind", "alpha"),
        Says("How near kind alpha is to forward_kl; other kinds ignore it."),
    ] = 0.5,
) -> Mixture:
    """Base and experts weighted by the coefficients; one-hot gives that model exactly."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in ("base", *names.experts)]
    total = math.fsum(value for _, value in chosen)
    terms = [(name, value / total) for name, value in chosen]
    if kind == "alpha":
        return mix(terms, "alpha", alpha=alpha)
    return mix(terms, "forward_kl" if kind == "forward_kl" else "linear")
