"""Autoregressive reward models guide a model: each expert's log-probabilities are added to its own.

    log p = log p_on + Σ c_i log p_{e_i}, normalised

GenARM, arXiv 2410.08193, equation 11: an expert is an autoregressive reward model, whose next-token
log-probabilities are the rewards, and c_i is 1 ÷ its β. The published code divides by 1 + Σ c and
samples at a temperature of 1 ÷ (1 + Σ c), which cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture, mix
from engine.method import Names, method
from engine.parameter import BASE, ModelName, Says


@method(
    space="logit",
    summary="Adds each expert's log-probabilities, as rewards, to one model's at every token.",
    slider="How much this expert's log-probability of a token counts: 0 not at all, 1 as much as "
    "the guided model's own.",
    source="arXiv 2410.08193",
    mark="triangle-se",
    default_range=(0.0, 2.0),
)
def arm_guidance(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    on: Annotated[ModelName, Says("The model that is guided.")] = BASE,
) -> Mixture:
    """log p_on + Σ c_i log p_{e_i}; zeros give that model. A constant added to all logits of a
    model changes no distribution, so that logits are added."""
    return mix([(on, 1.0), *((name, coefficients.get(name, 0.0)) for name in names.experts)])
