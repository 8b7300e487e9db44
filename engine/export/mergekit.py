"""mergekit's YAML of a recipe, written where mergekit 0.1.5 has a merge of the same result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.bands import plain
from engine.export.card import hub_id
from engine.export.gradient import gradient
from engine.family.compatibility import Family
from engine.mergekit.units import stores_experts_apart
from engine.recipe import Recipe, find_method
from engine.yaml_writing import dumped


def to_mergekit(
    recipe: Recipe, places: Mapping[str, str], dtype: str, family: Family | None = None
) -> str | None:
    """mergekit YAML with the same result as a resolved recipe, or None if mergekit has none.

    Args:
        places: "base" and expert names -> what to write as the model (a hub id or a name).
        family: whose layers coefficients by depth are for; without it they cannot be said.
    """
    weighed = find_method(recipe.method).mergekit
    if weighed is None:
        return None
    strength = float(recipe.parameters.get("strength", 1.0))
    bands: dict[str, list[float]] = {}
    for name, value in recipe.coefficients.items():
        bands.setdefault(plain(name), []).append(value * strength)
    weights = {name: _by_depth(values, family) for name, values in bands.items()}
    if None in weights.values():
        return None
    delta = weighed != "models"
    shared: dict[str, Any] = {"normalize": not delta}
    if callable(weighed):
        if any(isinstance(each, list) for each in weights.values()):
            return None  # what these say holds for weights of the whole model
        said = weighed(weights, recipe.parameters)
        if said is None:
            return None
        given, shared = dict(said.weights), dict(said.parameters)
    else:
        given = {name: weight for name, weight in weights.items() if weight != 0.0}
        given = given or {next(iter(weights)): 0.0}
    head = {"base_model": places["base"]} if delta else {}
    document = {
        "merge_method": recipe.method,
        **head,
        "models": [
            {"model": places[name], "parameters": {"weight": weight}}
            for name, weight in given.items()
        ],
        "parameters": shared,
        "dtype": "float32",
        "out_dtype": dtype,
    }
    return dumped(document)


def _by_depth(values: list[float], family: Family | None) -> Any | None:
    """What mergekit is told of a model's coefficients; None if that cannot be said."""
    if len(values) == 1:
        return values[0]
    return None if family is None else gradient(values, family)


def mergekit_text(recipe: Recipe, family: Family) -> str | None:
    """mergekit_config.yml of a recipe's export; None if mergekit has no such merge."""
    if recipe.prune is not None:  # mergekit runs no model, so it knows no rows to prune on
        return None
    spec = family.spec
    places = {name: hub_id(spec.path_of(name)) or f"./{name}" for name in ("base", *spec.experts)}
    models = (family.base, *family.experts.values())
    # mergekit takes "model+adapter" for an adapter, and cuts or skips where rows differ
    if any(each.is_adapter or each.rows != family.base.rows for each in models):
        return None
    beside = family.base.ignored | (family.base.towers if spec.towers == "base" else set())
    if beside:  # mergekit merges every tensor, other towers and what no class uses among them
        return None
    if callable(find_method(recipe.method).mergekit) and not _thins_alike(family):
        return None
    return to_mergekit(recipe, places, family.base.dtype, family)


def _thins_alike(family: Family) -> bool:
    """Whether mergekit keeps the same elements of a tensor: it thins out a mixture's experts
    together, and among equal values, which 16-bit differences are full of, it takes others."""
    models = (family.base, *family.experts.values())
    return not stores_experts_apart(family) and all(each.dtype == "float32" for each in models)
