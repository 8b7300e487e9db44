"""Recipes and the registry of methods: what a mixture is called, before any tensor is touched.

A method is a decorated function. Its keyword-only arguments are its structural parameters; their annotations say the
bounds and choices, so one signature feeds the command line, the sliders and the checks. Nothing here imports torch:
the app reads this registry in its own process.

    @method(space="weight", summary="...", source="arXiv 2410.02396")
    def pcb(vectors, *, ratio: Annotated[float, Bounds(0, 1)] = 0.1, variant: Literal["main", "nlp"] = "main"): ...
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml

from engine.errors import bad, unknown

Space = Literal["weight", "logit"]


class FrozenDict(dict):  # type: ignore[type-arg]
    """A hashable dictionary; every way to change it raises `TypeError`."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("a recipe is frozen")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type, tuple[dict[Any, Any]]]:
        return FrozenDict, (dict(self),)


@dataclass(frozen=True)
class Bounds:
    """Allowed range of a numeric parameter; an open end excludes its own value."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def holds(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self) -> str:
        left, right = "([")[not self.open_low], ")]"[not self.open_high]
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Parameter:
    """One structural parameter of a method.

    Attributes:
        kind: "float", "int", "choice" or "model" (a name of the family: base, target or an expert).
        default: None for a parameter that must be given.
    """

    name: str
    kind: Literal["float", "int", "choice", "model"]
    default: Any = None
    bounds: Bounds = Bounds()
    choices: tuple[str, ...] = ()

    def check(self, value: Any, where: str) -> Any:
        """The value in its canonical type; raises `BadInput` where it does not fit."""
        place = f"{where}: parameter {self.name}"
        if self.kind in ("choice", "model"):
            if not isinstance(value, str):
                raise bad(place, f"expected a name, got {value!r}", f"Use one of {', '.join(self.choices)}.")
            if self.kind == "choice" and value not in self.choices:
                raise unknown(place, "choice", value, self.choices)
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise bad(place, f"expected a finite number, got {value!r}", f"Allowed: {self.bounds}.")
        if self.kind == "int" and value != int(value):
            raise bad(place, f"expected a whole number, got {value!r}", f"Allowed: {self.bounds}.")
        if not self.bounds.holds(value):
            raise bad(place, f"{value!r} is out of range", f"Allowed: {self.bounds}.")
        return int(value) if self.kind == "int" else float(value)


@dataclass(frozen=True)
class Names:
    """The names of a family that recipes may speak of."""

    experts: tuple[str, ...]
    has_target: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Every model of the family, in the order they are shown and scored."""
        return ("base", *(("target",) if self.has_target else ()), *self.experts)


@dataclass(frozen=True)
class Method:
    """A registered way to combine.

    Attributes:
        space: "weight" (one merged model) or "logit" (several models a step).
        build: the decorated function; `engine.merging` and `engine.decoding` say what it is called with.
        names_base: whether `base` is a coefficient beside the experts.
        takes_coefficients: False for `single`.
        simplex: whether only the proportions of the coefficients matter (Σ c must not be 0).
        default_range: slider range of a coefficient.
        check: refuses coefficients that the method cannot use, as `bad` input.
    """

    name: str
    space: Space
    build: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    summary: str
    source: str
    names_base: bool = False
    takes_coefficients: bool = True
    simplex: bool = False
    default_range: tuple[float, float] = (0.0, 1.5)
    check: Callable[[Mapping[str, float], Mapping[str, Any]], None] | None = None

    def coefficient_names(self, names: Names) -> tuple[str, ...]:
        if not self.takes_coefficients:
            return ()
        return ("base", *names.experts) if self.names_base else names.experts

    def structural(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that shape the basis: all but `strength`, which only scales the coefficients."""
        return {key: value for key, value in parameters.items() if key != "strength"}


METHODS: dict[str, Method] = {}

STRENGTH = Parameter("strength", "float", 1.0, Bounds(0.0, 10.0))


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    bounds = Bounds()
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        for extra in extras:
            if extra == "model":
                return Parameter(name, "model", default)
            if isinstance(extra, Bounds):
                bounds = extra
    if get_origin(annotation) is Literal:
        return Parameter(name, "choice", default, choices=get_args(annotation))
    if annotation in (int, float):
        return Parameter(name, "int" if annotation is int else "float", default, bounds)
    raise TypeError(f"parameter {name}: {annotation!r} is not a kind of parameter that a recipe can hold")


def method(
    *,
    space: Space,
    summary: str,
    source: str,
    strength: bool = False,
    names_base: bool = False,
    takes_coefficients: bool = True,
    simplex: bool = False,
    default_range: tuple[float, float] = (0.0, 1.5),
    check: Callable[[Mapping[str, float], Mapping[str, Any]], None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a method under its own name; see `Method` for the arguments.

    `strength` adds the parameter that multiplies every coefficient.
    """

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        parameters = []
        for each in inspect.signature(build).parameters.values():
            if each.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            annotation = each.annotation
            if isinstance(annotation, str):  # postponed: only these are evaluated, tensors need not resolve
                annotation = eval(annotation, build.__globals__)
            default = None if each.default is inspect.Parameter.empty else each.default
            parameters.append(_parameter(each.name, annotation, default))
        if strength:
            parameters.append(STRENGTH)
        name = build.__name__
        METHODS[name] = Method(
            name, space, build, tuple(parameters), summary, source, names_base, takes_coefficients, simplex,
            default_range, check,
        )  # fmt: skip
        return build

    return register


@dataclass(frozen=True)
class Recipe:
    """A method, its coefficients and its structural parameters: frozen, hashable, YAML both ways.

    Attributes:
        method: name of a registered method.
        coefficients: name -> number; a missing name is 0.
        parameters: name -> value; a missing name is the default.
    """

    method: str
    coefficients: Mapping[str, float] = field(default_factory=FrozenDict)
    parameters: Mapping[str, Any] = field(default_factory=FrozenDict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficients", FrozenDict(self.coefficients))
        object.__setattr__(self, "parameters", FrozenDict(self.parameters))

    def as_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "coefficients": dict(self.coefficients),
            "parameters": dict(self.parameters),
        }

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.as_dict(), sort_keys=False)

    @property
    def key(self) -> str:
        """Canonical JSON: equal for equal recipes once `resolve` has filled in what was left out."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def __str__(self) -> str:
        if self.method == "single":
            return str(self.parameters.get("model", "single"))
        shown = ", ".join(f"{name} {value:g}" for name, value in self.coefficients.items() if value)
        return f"{self.method}({shown})"


def recipe_from_dict(data: Any, where: str = "recipe") -> Recipe:
    """A recipe from parsed YAML or JSON; raises `BadInput` on anything but the three documented keys."""
    if not isinstance(data, Mapping):
        raise bad(where, f"expected a mapping with a method, got {type(data).__name__}", "See docs/methods.md.")
    for key in data:
        if key not in ("method", "coefficients", "parameters"):
            raise unknown(where, "recipe key", str(key), ("method", "coefficients", "parameters"))
    if not isinstance(data.get("method"), str):
        raise bad(where, "the key 'method' is missing", f"Known methods: {', '.join(METHODS)}.")
    parts: dict[str, dict[str, Any]] = {}
    for key in ("coefficients", "parameters"):
        part = data.get(key) or {}
        if not isinstance(part, Mapping):
            raise bad(where, f"{key!r} must be a mapping of name to value, got {part!r}")
        parts[key] = {str(name): value for name, value in part.items()}
    return Recipe(data["method"], parts["coefficients"], parts["parameters"])


def read_yaml(path: Path) -> Any:
    """Parsed YAML of a file; raises `BadInput` naming file and line."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise bad(str(path), "no such file", "Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise bad(str(path), f"cannot be read ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise bad(f"{path}{line}", f"not valid YAML ({getattr(error, 'problem', error)})", "Mend it.") from None


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file, not yet resolved against a family."""
    return recipe_from_dict(read_yaml(path), str(path))


def find_method(name: str, where: str = "recipe") -> Method:
    """The registered method of that name; raises `BadInput` listing near matches."""
    if name not in METHODS:
        raise unknown(where, "method", name, METHODS)
    return METHODS[name]


def resolve(recipe: Recipe, names: Names, where: str = "recipe") -> Recipe:
    """The canonical form: defaults filled in, missing coefficients 0, numbers as floats, names in family order.

    Raises:
        BadInput: unknown method, parameter or expert; a value out of range or not finite; coefficients that the
            method cannot use (a zero sum where it divides by it).
    """
    spec = find_method(recipe.method, where)
    known = {each.name: each for each in spec.parameters}
    for name in recipe.parameters:
        if name not in known:
            raise unknown(where, f"parameter of {spec.name}", name, known)
    parameters: dict[str, Any] = {}
    for name, each in known.items():
        value = recipe.parameters.get(name, each.default)
        if value is None:
            raise bad(f"{where}: parameter {name}", f"{spec.name} needs it", f"One of {', '.join(names.models)}.")
        parameters[name] = each.check(value, where)
        if each.kind == "model" and value not in names.models:
            raise unknown(f"{where}: parameter {name}", "model in this family", value, names.models)
    allowed = spec.coefficient_names(names)
    for name, value in recipe.coefficients.items():
        if name not in allowed:
            raise unknown(f"{where}: coefficients", f"coefficient of {spec.name}", name, allowed)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise bad(f"{where}: coefficient {name}", f"expected a finite number, got {value!r}")
    # + 0.0 turns -0.0 into 0.0, which is the same mixture and must be the same point
    coefficients = {name: float(recipe.coefficients.get(name, 0.0)) + 0.0 for name in allowed}
    if spec.simplex and abs(sum(coefficients.values())) < 1e-12:
        raise bad(f"{where}: coefficients", f"their sum is 0 and {spec.name} divides by it", "Give one a value.")
    if spec.check is not None:
        spec.check(coefficients, parameters)
    return Recipe(spec.name, coefficients, parameters)


def point_id(recipe: Recipe, family_fingerprint: str) -> str:
    """12 hex digits over a resolved recipe and the family it runs on."""
    return hashlib.sha256(f"{recipe.key}\n{family_fingerprint}".encode()).hexdigest()[:12]
