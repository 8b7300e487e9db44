"""A recipe as text, with the name of its point if it has one."""

from __future__ import annotations

from engine.recipe import Recipe
from studio.points.recipes import titled_as
from studio.workbench import Workbench


def name_of(bench: Workbench, recipe: Recipe) -> str:
    """The name that a user gave a resolved recipe's point; empty for none."""
    return bench.remarks.of(bench.point_id(recipe)).name if bench.known is not None else ""


def titled(bench: Workbench, recipe: Recipe) -> str:
    """The name of a resolved recipe's point, and the recipe."""
    return titled_as(name_of(bench, recipe), recipe)
