"""The registry of methods: what can be mixed how, before any tensor is touched.

A method is a decorated function. Its keyword-only arguments are its structural parameters; their
annotations say the bounds and choices, so one signature feeds the command line, the sliders and the
checks. Nothing here imports torch: the app reads this registry in its own process.

    @method(space="weight", summary="...", source="arXiv 2410.02396")
    def pcb(vectors, *, ratio: Annotated[float, Bounds(0, 1)] = 0.1): ...
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from engine.errors import bad, unknown

Space = Literal["weight", "logit"]


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
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of more than 308 digits
        return False


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
                known = f"One of {', '.join(self.choices)}." if self.choices else "Name a model."
                raise bad(place, f"expected a name, got {value!r}", known)
            if self.kind == "choice" and value not in self.choices:
                raise unknown(place, "choice", value, self.choices)
            return value
        if not is_number(value):
            raise bad(place, f"expected a finite number, got {value!r}", f"Allowed: {self.bounds}.")
        if self.kind == "int" and value != int(value):
            raise bad(place, f"expected a whole number, got {value!r}", f"Allowed: {self.bounds}.")
        if not self.bounds.holds(value):
            raise bad(place, f"{value!r} is out of range", f"Allowed: {self.bounds}.")
        # + 0.0 turns -0.0 into 0.0, which is the same recipe and must be the same point
        return int(value) if self.kind == "int" else float(value) + 0.0


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
        build: the decorated function; `engine.merging` and `engine.decoding` say what it is given.
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
        """The parameters that shape the basis: all but `strength`, which scales coefficients."""
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
    raise TypeError(f"parameter {name}: a recipe cannot hold a {annotation!r}")


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
    """Register the decorated function as a method under its own name; `Method` has the arguments.

    `strength` adds the parameter that multiplies every coefficient.
    """

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        parameters = []
        for each in inspect.signature(build).parameters.values():
            if each.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            annotation = each.annotation
            if isinstance(annotation, str):  # postponed; the tensor arguments need not resolve
                annotation = eval(annotation, build.__globals__)
            default = None if each.default is inspect.Parameter.empty else each.default
            parameters.append(_parameter(each.name, annotation, default))
        if strength:
            parameters.append(STRENGTH)
        name = build.__name__
        METHODS[name] = Method(
            name=name,
            space=space,
            build=build,
            parameters=tuple(parameters),
            summary=summary,
            source=source,
            names_base=names_base,
            takes_coefficients=takes_coefficients,
            simplex=simplex,
            default_range=default_range,
            check=check,
        )
        return build

    return register


def find_method(name: str, where: str = "recipe") -> Method:
    """The registered method of that name; raises `BadInput` listing near matches."""
    if name not in METHODS:
        raise unknown(where, "method", name, METHODS)
    return METHODS[name]
