"""Parameters that several of mergekit's methods take, said once, and which of them fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from engine.errors import bad
from engine.parameter import Limits, Says

Density = Annotated[
    float,
    Limits(0.0, 1.0, open_low=True),
    Says("Share of each tensor's changes that is kept, at random."),
]
Epsilon = Annotated[
    float,
    Limits(0.0, 0.5, open_high=True),
    Says("How much likelier the largest changes are kept, and less likely the smallest."),
]
Normalize = Annotated[bool, Says("Divide by the sum of the weights that count, as a mean does.")]
Rescale = Annotated[bool, Says("Scale what is kept of a tensor to the sum of magnitudes it had.")]
Seed = Annotated[int, Limits(0), Says("Which changes are kept; another seed keeps others.")]


def check_chances(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuse DELLA's parameters that give a chance of 0 or 1, as `BadInput`; mergekit refuses them
    too. Chances lie from density − epsilon to density + epsilon."""
    density, epsilon = parameters["density"], parameters["epsilon"]
    if density < 1 and not 0 < density - epsilon <= density + epsilon < 1:
        what = f"density {density:g} ± epsilon {epsilon:g} does not lie between 0 and 1"
        raise bad("recipe: parameter epsilon", what, "Lower epsilon.")
