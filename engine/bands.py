"""Coefficients by depth: names and numbers of bands of layers. No tensor is touched here.

    groups 1    name                             one coefficient for the whole model
    groups k    name@1 … name@k                  one for each of k bands of layers, inputs first

Layer l of L, counted from 0, lies in band ⌊l · k / L⌋ + 1: bands are contiguous and their sizes
differ by one layer at most. `engine.family.depth` says which tensors lie where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.parameter import Limits, Parameter

MOST = 1000
"""Bands that can be asked for where it is not known how many layers there are."""

GROUPS = Parameter(
    "groups",
    "int",
    "Cuts the layers into this many bands, each with coefficients of its own; 1 uses the same "
    "coefficients in all layers.",
    1,
    limits=Limits(1, MOST),
)


def groups_of(parameters: Mapping[str, Any]) -> int:
    """How many bands the coefficients beside these parameters are for."""
    return int(parameters.get(GROUPS.name) or 1)


def banded(name: str, groups: int) -> tuple[str, ...]:
    """The coefficients of one name: itself, or one a band."""
    return (name,) if groups == 1 else tuple(f"{name}@{band}" for band in range(1, groups + 1))


def plain(coefficient: str) -> str:
    """The name that a coefficient is of, whatever its band."""
    return coefficient.partition("@")[0]


def band_of(coefficient: str) -> int:
    """The band that a coefficient is of, from 1; 0 where it is of the whole model."""
    number = coefficient.partition("@")[2]
    return int(number) if number.isdecimal() and len(number) < 6 else 0


def bands_of(coefficients: Iterable[str]) -> int:
    """How many bands these coefficients are for; 1 for plain names."""
    return max((band_of(each) for each in coefficients), default=0) or 1


def band_at(layer: int, layers: int, groups: int) -> int:
    """The band of a layer, from 1; layers count from 0."""
    return layer * groups // layers + 1


def each_band(coefficients: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """The coefficients of each band by their plain names, in order; themselves where there is one
    band."""
    for band in range(1, bands_of(coefficients) + 1):
        yield {
            plain(name): value for name, value in coefficients.items() if band_of(name) in (0, band)
        }


def value_of(coefficients: Mapping[str, float], name: str) -> float:
    """What a recipe says of a coefficient that it may have for other bands only: a plain name is
    for every band, and the mean of its bands stands for it. 0 where nothing is said."""
    if name in coefficients:
        return coefficients[name]
    whole = plain(name)
    if whole != name:
        return coefficients.get(whole, 0.0)
    own = [value for each, value in coefficients.items() if plain(each) == whole]
    return sum(own) / len(own) if own else 0.0
