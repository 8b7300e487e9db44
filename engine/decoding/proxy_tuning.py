"""Proxy-tuning: small experts steer a larger target by their difference from the base.

    l = t + Σ c_i (e_i − b)         t = b where the family has no target

arXiv 2401.08565 (one expert, c = 1); EFT's up-scaling and its mixing of traits (arXiv 2310.12962)
are the same sum.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.decoding.fusion import Mixture, mix
from engine.method import Corners, Names, method


@method(
    space="logit",
    summary="Adds each expert's difference from the base to the target's logits, at every token.",
    slider="How strongly this expert steers each token: 0 not at all, 1 fully.",
    source="arXiv 2401.08565",
    mark="triangle-left",
    corners=Corners(zero="target", one="alone"),  # where t is the base, one-hot is e_i
    default_range=(0.0, 2.0),
)
def proxy_tuning(coefficients: Mapping[str, float], names: Names) -> Mixture:
    """t + Σ c_i (e_i − b): zeros give the target exactly; one-hot without a target gives that
    expert."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in names.experts]
    return mix(
        [
            *chosen,  # the differences first: they nearly cancel, which keeps float32 errors small
            *(("base", -weight) for _, weight in chosen),
            (names.steered, 1.0),
        ]
    )
