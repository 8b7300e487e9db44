"""mergekit's YAML of a recipe, written where mergekit 0.1.5 has a merge of the same result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.bands import plain
from engine.export.card import hub_id
from engine.export.gradient import gradient
from engine.family.compatibility import Family
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
    delta = weighed == "task vectors"
    head = {"base_model": places["base"]} if delta else {}
    shared = {"normalize": not delta}
    document = {
        "merge_method": recipe.method,
        **head,
        "models": [
            {"model": places[name], "parameters": {"weight": weight}}
            for name, weight in weights.items()
            if weight != 0.0
        ]
        or [{"model": places[next(iter(weights))], "parameters": {"weight": 0.0}}],
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
    return to_mergekit(recipe, places, family.base.dtype, family)
