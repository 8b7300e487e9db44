"""Comparable recipes: what they must share, and their position in coefficient space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.bands import groups_of, plain, value_of
from engine.recipe import METHODS, Recipe


@dataclass(frozen=True)
class Nearest:
    """The measured point that a recipe is shown by.

    Attributes:
        row: its row in `Measured`.
        distance: Euclidean distance in coefficients.
        exact: whether it is the recipe itself.
    """

    row: int
    distance: float
    exact: bool


def has_own_sliders(recipe: Recipe) -> bool:
    """Whether its coefficients are its method's own, and those of no model."""
    method = METHODS.get(recipe.method)
    return method is not None and bool(method.sliders)


def shape_of(recipe: Recipe) -> tuple[Any, ...]:
    """What two recipes must share for their coefficients to be compared."""
    pruned = () if recipe.prune is None else (("prune", recipe.prune),)
    return recipe.method, (*sorted(recipe.parameters.items()), *pruned)


def position_of(recipe: Recipe, names: Sequence[str]) -> tuple[float, ...]:
    """A recipe's place among coefficients of these names; proportions where its method knows only
    those and has one band of layers. A model as it is stands where it alone has the weight 1, base
    and target at 0."""
    if recipe.unmerged is not None:
        return tuple(float(plain(name) == recipe.unmerged) for name in names)
    values = tuple(value_of(recipe.coefficients, name) for name in names)
    if groups_of(recipe.parameters) > 1:
        return values
    method = METHODS.get(recipe.method)
    total = sum(values)
    if method is not None and method.simplex and total:
        return tuple(value / total for value in values)
    return values
