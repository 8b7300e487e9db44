"""Guidance: an expert's step away from the base, times a scale, and away from a negative prompt.

    log p = (1 + c_scale) log p_e − c_scale log p_b − c_negative log p_e(· | negative prompt)

STEER, arXiv 2308.07645 (contrastive expert guidance and negative prompting). Classifier-free
guidance for language models, arXiv 2306.17806, is the same step from one prompt to another of one
model: c_scale 0, and a c_negative against what its prompt should not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture, mix
from engine.method import Names, method
from engine.parameter import EXPERT, ModelName, Says

SCALE, NEGATIVE = "scale", "negative"


@method(
    space="logit",
    summary="Moves an expert's log-probabilities further from the base's, and away from what the "
    "expert says given a negative prompt.",
    slider="How far: scale from the base on past the expert, negative away from the negative "
    "prompt; both 0 is the expert.",
    source="arXiv 2308.07645",
    mark="diamond-wide",
    sliders=(SCALE, NEGATIVE),
    default_range=(0.0, 2.0),
)
def guidance(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    expert: Annotated[ModelName, Says("The model that is guided.")] = EXPERT,
    negative_prompt: Annotated[
        str,
        Says(
            "What the expert reads in a second pass, whose log-probabilities are subtracted: in "
            "place of the system message under chat, else in front of the prompt. Empty: neither."
        ),
    ] = "",
) -> Mixture:
    """Two passes, or three where `negative` is not 0. A constant added to all logits of a model
    changes no distribution, so that logits are added."""
    scale, negative = coefficients.get(SCALE, 0.0), coefficients.get(NEGATIVE, 0.0)
    return mix([(expert, 1.0 + scale), ("base", -scale), ((expert, negative_prompt), -negative)])
