"""The model that an export writes, in words: said once, at the top of the page."""

from __future__ import annotations

from dataclasses import dataclass

from engine.recipe import Recipe
from studio.points.recipes import parameters_text
from studio.points.view import Measured


@dataclass(frozen=True)
class Model:
    """What will be written.

    Attributes:
        recipe: resolved; exactly this one is written.
        point: its id where it is measured, else None.
        name: that a user gave the point; empty for none.
    """

    recipe: Recipe
    point: str | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """The largest line: its name where it has one, else the model or the method."""
        if self.name:
            return self.name
        if self.recipe.unmerged is not None:
            return self.recipe.unmerged
        return self.recipe.method

    @property
    def lines(self) -> list[str]:
        """What it is made of: method and coefficients, parameters that are not the default, and
        the point."""
        found = []
        if self.recipe.unmerged is not None:
            found.append("one model of the family, unmerged")
        else:
            values = ", ".join(
                f"{name} {value:.6g}" for name, value in self.recipe.coefficients.items()
            )
            found.append(f"{self.recipe.method}: {values}" if self.name else values)
        if self.recipe.unmerged is None and (parameters := parameters_text(self.recipe)):
            found.append(parameters)
        found.append(f"Point {self.point}" if self.point else "Not measured yet")
        return [each for each in found if each]


def model_of(measured: Measured, recipe: Recipe, name: str = "") -> Model:
    """A resolved recipe with its point, where that is measured."""
    found = measured.nearest(recipe)
    exact = found is not None and found.exact
    point = measured.ids[found.row] if found is not None and exact else None
    return Model(recipe, point, name)
