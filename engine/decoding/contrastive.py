"""Contrastive decoding: a strong model minus a weak one, where the strong one finds it plausible.

    l = s − c_contrast · a      where p_s ≥ plausibility · max p_s
    l = −∞                      elsewhere

arXiv 2210.15097 (c = 1, plausibility 0.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture, mix
from engine.method import Names, method
from engine.parameter import BASE, TARGET, Limits, ModelName, Says

CONTRAST = "contrast"


@method(
    space="logit",
    summary="Subtracts a weak model's logits from a strong one's, among the tokens that the strong "
    "one finds plausible.",
    slider="How much of the weak model's logits is subtracted: 0 nothing, 1 all.",
    source="arXiv 2210.15097",
    mark="triangle-nw",
    sliders=(CONTRAST,),
    default_range=(0.0, 1.0),
)
def contrastive(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    strong: Annotated[ModelName, Says("The model that speaks.")] = TARGET,
    amateur: Annotated[ModelName, Says("The weak model, whose habits are subtracted.")] = BASE,
    plausibility: Annotated[
        float,
        Limits(0.0, 1.0),
        Says(
            "A token needs this share of the strong model's highest probability: 1 leaves only the "
            "likeliest, 0 rules none out."
        ),
    ] = 0.1,
) -> Mixture:
    """The strong model first, whose probabilities rule tokens out."""
    terms = [(strong, 1.0), (amateur, -coefficients.get(CONTRAST, 0.0))]
    return mix(terms, "plausible", share=plausibility) if plausibility else mix(terms)
