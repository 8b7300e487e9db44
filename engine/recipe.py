"""Recipes: a method, its coefficients and its parameters, frozen, hashable, YAML both ways."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.bands import GROUPS, MOST, band_of, each_band, groups_of, plain
from engine.errors import BadInput, bad, kind_of, unknown
from engine.method import METHODS, Method, Names, find_method, method
from engine.parameter import Limits, Parameter, is_number
from engine.prune import Prune, prune_from_dict, resolved
from engine.yaml_reading import read_yaml
from engine.yaml_writing import dumped

__all__ = [
    "METHODS",
    "FrozenDict",
    "Limits",
    "Method",
    "Names",
    "Parameter",
    "Recipe",
    "find_method",
    "method",
    "point_id",
    "read_recipe",
    "read_yaml",
    "recipe_from_dict",
    "resolve",
    "unmerged",
]


RECIPE_KEYS = ("method", "coefficients", "parameters", "prune")

NEARLY_NOTHING = 1e-4
"""Sum of coefficients in parts of their sizes: divided by less, the rounding of float32 shows."""


class FrozenDict(dict):
    """A hashable dictionary; every way to change it raises `TypeError`."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("a recipe is frozen")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[type, tuple[dict[Any, Any]]]:
        return FrozenDict, (dict(self),)


@dataclass(frozen=True)
class Recipe:
    """A method, its coefficients and its structural parameters: frozen, hashable, YAML both ways.

    Attributes:
        method: name of a registered method.
        coefficients: name -> number; a missing name is 0.
        parameters: name -> value; a missing name is the default.
        prune: what is done to the merged weights; None leaves them as they are.
    """

    method: str
    coefficients: Mapping[str, float] = field(default_factory=FrozenDict)
    parameters: Mapping[str, Any] = field(default_factory=FrozenDict)
    prune: Prune | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", FrozenDict(self.coefficients))
        object.__setattr__(self, "parameters", FrozenDict(self.parameters))

    def as_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "coefficients": dict(self.coefficients),
            "parameters": dict(self.parameters),
            **({} if self.prune is None else {"prune": self.prune.as_dict()}),
        }

    def to_yaml(self) -> str:
        return dumped(self.as_dict())

    @property
    def key(self) -> str:
        """Canonical JSON: equal for equal recipes once `resolve` has filled in the rest."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def unmerged(self) -> str | None:
        """The model that it is, where it is one of the family, unmerged; None for a mixture."""
        spec = METHODS.get(self.method)
        if spec is None or not spec.unmerged:
            return None
        return str(self.parameters.get(spec.unmerged, self.method))

    def __str__(self) -> str:
        if self.unmerged is not None:
            return self.unmerged
        shown = ", ".join(f"{name} {value:g}" for name, value in self.coefficients.items() if value)
        said = f"{self.method}({shown})"
        return said if self.prune is None else f"{said}, {self.prune}"


def unmerged(model: str) -> Recipe:
    """The recipe of one model of the family, unmerged."""
    spec = next(each for each in METHODS.values() if each.unmerged)
    return Recipe(spec.name, {}, {spec.unmerged: model})


def recipe_from_dict(data: Any, where: str = "recipe") -> Recipe:
    """A recipe from parsed YAML or JSON; raises `BadInput` on any key but those documented."""
    if not isinstance(data, Mapping):
        what = f"expected a mapping with a method, got {kind_of(data)}"
        raise bad(where, what, "Give the keys method, coefficients and parameters.")
    for key in data:
        if key not in RECIPE_KEYS:
            raise unknown(where, "recipe key", str(key), RECIPE_KEYS)
    if not isinstance(data.get("method"), str):
        raise bad(where, "the key 'method' is missing", f"Known methods: {', '.join(METHODS)}.")
    parts: dict[str, dict[str, Any]] = {}
    for key in ("coefficients", "parameters"):
        part = {} if data.get(key) is None else data[key]
        if not isinstance(part, Mapping):
            what = f"{key!r} must be a mapping of name to value, got {part!r}"
            raise bad(where, what, f"Write it as {key}: {{name: value}}.")
        parts[key] = {str(name): value for name, value in part.items()}
    prune = prune_from_dict(data.get("prune"), where)
    return Recipe(data["method"], parts["coefficients"], parts["parameters"], prune)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file, not yet resolved against a family."""
    return recipe_from_dict(read_yaml(path), str(path))


def resolve(recipe: Recipe, names: Names, where: str = "recipe") -> Recipe:
    """The canonical form: defaults filled in, missing coefficients 0, names in family order.

    One band of layers is what recipes without `groups` have, and is left out: such a recipe is the
    same one. With several a plain name stands for each of its bands that is not given by itself.

    Raises:
        BadInput: unknown method, parameter or expert; a value out of range or not finite; more
            bands than the family has layers; coefficients that the method cannot use (a zero sum
            where it divides by it); pruning that cannot be done.
    """
    spec = find_method(recipe.method, where)
    known = {each.name: each for each in spec.parameters}
    for name in recipe.parameters:
        if name not in known:
            raise unknown(where, f"parameter of {spec.name}", name, known)
    parameters: dict[str, Any] = {}
    for name, each in known.items():
        value = recipe.parameters.get(name, names.default_of(each))
        if value is None and each.required:
            known_models = ", ".join(names.models)
            raise bad(
                f"{where}: parameter {name}", f"{spec.name} needs it", f"One of {known_models}."
            )
        parameters[name] = each.check(value, where)
        if each.kind == "model" and value not in names.models:
            raise unknown(f"{where}: parameter {name}", "model in this family", value, names.models)
    parameters = {name: each for name, each in parameters.items() if known[name].counts(parameters)}
    groups = _groups(parameters, names, where)
    for name in set(spec.beside) & set(names.experts):
        what = f"{spec.name} has a slider of the name {name}, and so has an expert"
        raise bad(f"{where}: coefficients", what, "Call the expert otherwise in the study file.")
    allowed = spec.mixed_names(names)
    own = spec.coefficient_names(names, parameters)
    for name, value in recipe.coefficients.items():
        if name not in allowed and name not in own:
            raise _unknown(spec, name, allowed, own, where)
        if not is_number(value):
            what = f"expected a finite number, got {value!r}"
            raise bad(f"{where}: coefficient {name}", what, "Write it as 0.5.")
    # + 0.0 turns -0.0 into 0.0, which is the same mixture and must be the same point
    given = recipe.coefficients
    coefficients = {name: float(given.get(name, given.get(plain(name), 0.0))) + 0.0 for name in own}
    for number, band in enumerate(each_band(coefficients), 1):
        if spec.simplex:
            _check_sum(spec, band, f"{where}: coefficients" + f" of band {number}" * (groups > 1))
        if spec.check is not None:
            spec.check(band, parameters)
    prune = recipe.prune
    if prune is not None:
        prune = resolved(prune, spec.name, spec.space == "weight", names.rows, where)
    return Recipe(spec.name, coefficients, parameters, prune)


def _groups(parameters: dict[str, Any], names: Names, where: str) -> int:
    """How many bands there are; one is taken out of the parameters, as in recipes without."""
    groups = groups_of(parameters)
    if groups == 1:
        parameters.pop(GROUPS.name, None)
        return 1
    place = f"{where}: parameter {GROUPS.name}"
    if names.no_layers:
        what = f"{groups} bands of layers, but the layers of this family cannot be told"
        raise bad(place, f"{what}: {names.no_layers}", f"Leave {GROUPS.name} out.")
    if names.layers and groups > names.layers:
        what = f"{groups} bands, but the models have {names.layers} layers"
        raise bad(place, what, f"Use at most {names.layers}.")
    return groups


def _unknown(
    spec: Method, name: str, allowed: tuple[str, ...], own: tuple[str, ...], where: str
) -> BadInput:
    """What to say of a coefficient that there is not."""
    place = f"{where}: coefficients"
    if spec.by_depth and plain(name) in allowed and 0 < band_of(name) <= MOST:
        groups = len(own) // len(allowed)
        there = "is one band of layers" if groups == 1 else f"are {groups} bands of layers"
        fix = (
            f"Set {GROUPS.name}: {max(2, band_of(name))} under parameters, or write {plain(name)}."
        )
        return bad(place, f"{name!r} is for a band of layers, and there {there}", fix)
    return unknown(place, f"coefficient of {spec.name}", name, dict.fromkeys((*allowed, *own)))


def _check_sum(spec: Method, coefficients: Mapping[str, float], where: str) -> None:
    """Refuse what has no proportions."""
    total, size = sum(coefficients.values()), sum(map(abs, coefficients.values()))
    if abs(total) <= max(1e-12, NEARLY_NOTHING * size):
        small = (
            "0"
            if abs(total) < 1e-12
            else f"{total:.3g}, close to 0 compared with the coefficients,"
        )
        small = small if math.isfinite(total) else "infinite"
        what = f"their sum is {small} and {spec.name} divides by that sum"
        raise bad(where, what, "Set at least one coefficient.")


def point_id(recipe: Recipe, family_fingerprint: str) -> str:
    """12 hex digits over a resolved recipe and the family it runs on."""
    return hashlib.sha256(f"{recipe.key}\n{family_fingerprint}".encode()).hexdigest()[:12]
