"""A cheap model alone where it is sure, several models where it is not.

    H = entropy of the base's next-token distribution, in nats
    l = b                          where H < c_threshold
    l = on + Σ c_i (e_i − b)       elsewhere: proxy-tuning's sum, arXiv 2401.08565

The base runs at every token; the others read a row's text when it is first in doubt, and catch up
when it is again (`engine.decoding.lazy`). A threshold of 0 is proxy-tuning, a large one the base.
With no coefficient but the threshold, and on a target, it is a cascade of two models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from engine.decoding.fusion import Mixture, mix
from engine.errors import bad
from engine.method import Names, method
from engine.parameter import TARGET, ModelName, Says

THRESHOLD = "threshold"


def check_threshold(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuses a threshold that no entropy is below, and that says nothing."""
    if coefficients[THRESHOLD] < 0.0:
        what = f"{coefficients[THRESHOLD]:g} is negative, and no entropy is below 0"
        raise bad(f"coefficient {THRESHOLD}", what, "Use 0, which always mixes, or more.")


@method(
    space="logit",
    summary="Lets the base speak alone where its entropy is below the threshold, and adds each "
    "expert's difference from the base elsewhere; the other models run there alone.",
    slider="threshold: the base's entropy in nats below which it speaks alone, 0 never. Of an "
    "expert: how strongly it steers each other token.",
    mark="circle-cross",
    beside=(THRESHOLD,),
    default_range=(0.0, 2.0),
    check=check_threshold,
)
def gated(
    coefficients: Mapping[str, float],
    names: Names,
    *,
    on: Annotated[
        ModelName, Says("The model that is steered where the base is in doubt.")
    ] = TARGET,
) -> Mixture:
    """The base first, whose entropy decides; its own weight may be 0."""
    chosen = [(name, coefficients.get(name, 0.0)) for name in names.experts]
    apart = [("base", -weight) for _, weight in chosen]
    threshold = coefficients.get(THRESHOLD, 0.0)
    if not threshold:
        return mix([*chosen, *apart, (on, 1.0)])
    return mix([("base", 0.0), *chosen, *apart, (on, 1.0)], "gated", threshold=threshold)
