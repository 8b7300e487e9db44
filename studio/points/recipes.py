"""A recipe in words: one line, and its parameters alone."""

from __future__ import annotations

from typing import Any

from engine.recipe import METHODS, Recipe

LONGEST = 40
"""Characters that are shown of a parameter's value."""


def recipe_text(recipe: Recipe) -> str:
    """One line: method, coefficients that are not 0, parameters that are not the default.

    Kept on the recipe, which is frozen and shown again with every new point: 10,000 take 60 ms.
    """
    kept = vars(recipe)
    if "text" not in kept:
        kept["text"] = _recipe_text(recipe)
    return str(kept["text"])


def _recipe_text(recipe: Recipe) -> str:
    if recipe.unmerged is not None:
        return str(recipe)
    extra = _changed(recipe)
    return f"{recipe} [{extra}]" if extra else str(recipe)


def titled_as(name: str, recipe: Recipe) -> str:
    """The name that a user gave, where there is one, and the recipe."""
    text = recipe_text(recipe)
    return f"{name} · {text}" if name else text


def parameters_text(recipe: Recipe) -> str:
    """The parameters that are not the default, and the pruning; the model where it is one alone."""
    if recipe.unmerged is not None:
        return str(recipe)
    return ", ".join(filter(None, (_changed(recipe), str(recipe.prune or ""))))


def _changed(recipe: Recipe) -> str:
    """The parameters that are not the default."""
    method = METHODS.get(recipe.method)
    if method is None:
        return ""
    values = [
        (each.name, recipe.parameters.get(each.name, each.default), each.default)
        for each in method.parameters
    ]
    return ", ".join(
        f"{name} {value_text(value)}" for name, value, default in values if value != default
    )


def value_text(value: Any) -> str:
    """A parameter's value as it is shown: of a long text its beginning."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value) or "none"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"
