"""A recipe in words, as a person knows it: by the name of its point, where it has one."""

from __future__ import annotations

from engine.recipe import Recipe
from studio.points.recipes import recipe_text
from studio.workbench import Workbench


def name_of(bench: Workbench, recipe: Recipe) -> str:
    """The name that a person gave a resolved recipe's point; empty for none."""
    return bench.remarks.of(bench.point_id(recipe)).name if bench.known is not None else ""


def titled(bench: Workbench, recipe: Recipe) -> str:
    """The name of a resolved recipe's point, and the recipe."""
    text = recipe_text(recipe)
    name = name_of(bench, recipe)
    return f"{name} · {text}" if name else text
