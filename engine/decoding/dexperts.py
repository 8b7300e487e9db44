"""DExperts: experts and an anti-expert steer a model, within the tokens it finds likely itself.

    l = t + Σ c_i (e_i − anti)      where t's own nucleus of probability `filter_p` holds the token
    l = −∞                          elsewhere;  t = b where the family has no target

arXiv 2105.03023; the nucleus before the ensemble, 0.9, is that of its code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture, mix
from engine.method import Names, method
from engine.parameter import BASE, Limits, ModelName, Says


@method(
    space="logit",
    summary="Adds each expert's difference from an anti-expert to the target's logits, among the "
    "tokens that the target itself finds likely.",
    slider="How strongly this expert steers each token: 0 not at all, 1 fully.",
    source="arXiv 2105.03023",
    mark="triangle-sw",
    default_range=(0.0, 2.0),
)
def dexperts(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    filter_p: Annotated[
        float,
        Limits(0.0, 1.0, open_low=True),
        Says("Probability of the target's likeliest tokens, outside of which none is chosen."),
    ] = 0.9,
    anti: Annotated[ModelName, Says("The model that the experts differ from.")] = BASE,
) -> Mixture:
    """The target first, whose nucleus rules tokens out; all of its tokens at a `filter_p` of 1."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in names.experts]
    terms = [(names.steered, 1.0), *chosen, *((anti, -weight) for _, weight in chosen)]
    return mix(terms) if filter_p == 1.0 else mix(terms, "nucleus", share=filter_p)
