"""A recipe in the address of Explore, both ways: a link leads back to the same mixture.

method=pcb & c=helpful:1,harmless:0.6 & p=ratio:0.2
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import bad
from engine.recipe import METHODS, Names, Recipe, find_method, resolve
from pages.parts.controls import default_parameters


def of_recipe(recipe: Recipe, names: Names) -> dict[str, str | None]:
    """The parameters of an address that name a resolved recipe; None where nothing need be said."""
    method = METHODS[recipe.method]
    standard = default_parameters(method, names)
    coefficients = [f"{name}:{value:.6g}" for name, value in recipe.coefficients.items()]
    parameters = [
        f"{name}:{value:.6g}" if isinstance(value, float) else f"{name}:{value}"
        for name, value in recipe.parameters.items()
        if value != standard.get(name) or recipe.method == "single"
    ]
    return {
        "method": recipe.method,
        "c": ",".join(coefficients) or None,
        "p": ",".join(parameters) or None,
    }


def to_recipe(asked: Mapping[str, str], names: Names) -> Recipe | None:
    """The resolved recipe that an address names; None where it names none.

    Raises:
        BadInput: it names one that this study cannot make.
    """
    if "method" not in asked:
        return None
    method = find_method(asked["method"], "address")
    kinds = {each.name: each.kind for each in method.parameters}
    parameters = {
        name: value if kinds.get(name) in ("choice", "model") else _number(name, value)
        for name, value in _pairs(asked.get("p", ""))
    }
    coefficients = {name: _number(name, value) for name, value in _pairs(asked.get("c", ""))}
    if not coefficients and method.takes_coefficients:
        return None
    return resolve(Recipe(method.name, coefficients, parameters), names, "address")


def _pairs(text: str) -> list[tuple[str, str]]:
    found = []
    for part in filter(None, text.split(",")):
        name, colon, value = part.rpartition(":")
        if not colon:
            raise bad("address", f"{part!r} is not name:value", "Use a link that the app made.")
        found.append((name, value))
    return found


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise bad("address", f"{name}: {value!r} is not a number") from None
