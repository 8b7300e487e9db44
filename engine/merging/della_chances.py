"""Which chances DELLA can give: density ∓ epsilon has to lie between 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import bad


def check_chances(coefficients: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that give a chance of 0 or 1, as `BadInput`; mergekit refuses them too."""
    density, epsilon = parameters["density"], parameters["epsilon"]
    if density < 1 and not 0 < density - epsilon <= density + epsilon < 1:
        what = f"density {density:g} ± epsilon {epsilon:g} does not lie between 0 and 1"
        raise bad("recipe: parameter epsilon", what, "Lower epsilon.")
