"""One unmerged model of the family: base, target or an expert; every study scores these first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture
from engine.method import Names, method
from engine.parameter import ModelName, Says


@method(
    space="logit",
    summary="One model of the family, unmerged.",
    takes_coefficients=False,
    unmerged="model",
)
def single(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    model: Annotated[ModelName, Says("Which model to run: the base, the target or an expert.")],
) -> Mixture:
    """The model alone, its own logits."""
    return Mixture((model,), (1.0,))
