"""Emulated fine-tuning: two experts mixed along one λ on a larger model.

    l = t + λ (first − b) + (1 − λ) (second − b)         t = b where the family has no target

arXiv 2310.12962: with one expert, the base as the second, λ is how much of a small fine-tune is
scaled up; with two it trades one trait for another at test time (helpful against harmless, in the
paper). The same as proxy_tuning with the coefficients λ and 1 − λ, on one slider.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from engine.decoding.fusion import Mixture
from engine.decoding.proxy_tuning import proxy_tuning
from engine.errors import bad
from engine.method import Names, method
from engine.parameter import EXPERT, SECOND, TARGET, ModelName, Says

LAMBDA = "lambda"


def check_models(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuses models that make no trade."""
    first, second = parameters["first"], parameters["second"]
    for name in ("first", "second"):
        if parameters[name] == TARGET:
            what = "the target is no fine-tune of the base"
            raise bad(f"parameter {name}", what, "Use an expert, or the base.")
    if first == second:
        raise bad("parameter second", f"both are {first}, so λ changes nothing", "Use another.")


@method(
    space="logit",
    summary="Mixes two experts' differences from the base along one slider, and adds them to the "
    "target's logits at every token: proxy_tuning with λ and 1 − λ.",
    slider="How much of the difference is the first expert's; the rest is the second's.",
    source="arXiv 2310.12962",
    mark="square-cross",
    sliders=(LAMBDA,),
    default_range=(0.0, 1.0),
    check=check_models,
)
def eft(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    first: Annotated[ModelName, Says("The expert that λ is of.")] = EXPERT,
    second: Annotated[
        ModelName,
        Says("The expert that 1 − λ is of; the base: λ is the whole strength of the first."),
    ] = SECOND,
) -> Mixture:
    """The base's difference from itself is none."""
    value = coefficients.get(LAMBDA, 0.0)
    given = {first: value, second: 1.0 - value}
    return proxy_tuning({each: given.get(ModelName(each), 0.0) for each in names.experts}, names)
