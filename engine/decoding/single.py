"""One model of the family as it is: base, target or an expert; every study scores these first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from engine.decoding.fusion import Mixture
from engine.method import Names, method


@method(
    space="logit",
    summary="One model as it is.",
    source="One of the family",
    takes_coefficients=False,
)
def single(
    coefficients: Mapping[str, float], names: Names, *, model: Annotated[str, "model"]
) -> Mixture:
    """The model alone, its own logits."""
    return Mixture((model,), (1.0,))
