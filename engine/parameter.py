"""Parameters: the settings of a method or a scorer besides its coefficients or its data.

They are the keyword-only arguments of the registered function. An annotation says the kind, what is
allowed and, in one sentence, what the parameter does; so one signature feeds the checks of files,
the command line, the widgets and their help.

    ratio: Annotated[float, Limits(0.0, 1.0, open_low=True), Says("Share of the weights …")] = 0.1
    variant: Annotated[Literal["main", "nlp"], Says("Which …", main="…", nlp="…")] = "main"
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, get_args, get_origin

from engine.errors import bad, unknown

Kind = Literal["float", "int", "flag", "choice", "model", "text", "texts", "directory"]

ModelName = NewType("ModelName", str)
"""Annotation of a parameter that names a model of the family: base, target or an expert."""

BASE, TARGET = ModelName("base"), ModelName("target")
"""Defaults of one; of a family without a target the base stands for it."""

EXPERT, SECOND = ModelName("the first expert"), ModelName("the second expert")
"""Defaults too: experts in the order of the family; the base stands for one that it lacks."""


@dataclass(frozen=True)
class Limits:
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


class Says:
    """What a parameter does, in one plain sentence; likewise each value of a choice."""

    def __init__(self, sentence: str, **choices: str) -> None:
        self.sentence = sentence
        self.choices = choices


@dataclass(frozen=True)
class Only:
    """Of a parameter that means something beside one value of another alone: recipes with another
    value leave it out."""

    name: str
    value: str


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
    """One parameter of a method, or option of a scorer.

    Attributes:
        kind: "float", "int", "flag" (true or false), "choice", "model" (a name of the family),
            "text", "texts" (a list of them), or "directory" (of a model; its files, not its place,
            are what counts).
        sentence: what it does.
        default: None if there is none.
        required: whether it must be given.
        absent: whether it may be left out, or null, which is not the same as any value.
        limits: of a number.
        choices: of a choice, each with its sentence.
        only: beside which value of another parameter it means something.
    """

    name: str
    kind: Kind
    sentence: str
    default: Any = None
    required: bool = False
    absent: bool = False
    limits: Limits = Limits()
    choices: Mapping[str, str] = field(default_factory=dict, hash=False)
    only: Only | None = None

    def counts(self, values: Mapping[str, Any]) -> bool:
        """Whether it means anything beside these values of the others."""
        return self.only is None or values.get(self.only.name) == self.only.value

    @property
    def help(self) -> str:
        """All there is to say: its sentence, those of a choice's values, the range of a number."""
        lines = [self.sentence, *(f"{value}: {says}" for value, says in self.choices.items())]
        if math.isfinite(self.limits.low) or math.isfinite(self.limits.high):
            lines.append(f"Allowed: {self.limits}.")
        return "\n\n".join(lines)

    def check(self, value: Any, where: str, word: str = "parameter") -> Any:
        """The value in its canonical type; raises `BadInput` if it does not fit.

        Args:
            word: what a parameter is called there; "option" for those of scorers.
        """
        place = f"{where}: {word} {self.name}"
        if value is None and self.absent:
            return None
        if self.kind in ("float", "int"):
            return self._number(value, place)
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise bad(place, f"expected true or false, got {value!r}", "Write true or false.")
            return value
        if self.kind == "texts":
            value = [value] if isinstance(value, str) else value
            good = isinstance(value, list | tuple) and all(
                isinstance(each, str) and each.strip() for each in value
            )
            if not good or not value:
                what = f"expected a list of non-blank strings, got {value!r}"
                raise bad(place, what, "Write it as [one, two].")
            return tuple(value)
        if not isinstance(value, str):
            fix = f"One of {', '.join(self.choices)}." if self.choices else "Put it in quotes."
            fix = "Name a model." if self.kind == "model" else fix
            raise bad(place, f"expected a string, got {value!r}", fix)
        if self.kind == "choice" and value not in self.choices:
            raise unknown(place, "choice", value, self.choices)
        return value

    def _number(self, value: Any, place: str) -> float:
        allowed = f"Allowed: {self.limits}."
        if not is_number(value):
            raise bad(place, f"expected a finite number, got {value!r}", allowed)
        if self.kind == "int" and value != int(value):
            raise bad(place, f"expected a whole number, got {value!r}", allowed)
        if not self.limits.holds(value):
            raise bad(place, f"{value!r} is out of range", allowed)
        # + 0.0 turns -0.0 into 0.0, which is the same recipe and must be the same point
        return int(value) if self.kind == "int" else float(value) + 0.0


_KINDS: Mapping[Any, tuple[Kind, bool]] = {
    float: ("float", False),
    int: ("int", False),
    bool: ("flag", False),
    ModelName: ("model", False),
    str: ("text", False),
    str | None: ("text", True),
    tuple[str, ...]: ("texts", False),
    Path | None: ("directory", True),
}
"""Annotation -> kind, and whether it may be absent."""


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    extras: Sequence[Any] = ()
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
    limits = next((each for each in extras if isinstance(each, Limits)), Limits())
    says = next((each for each in extras if isinstance(each, Says)), Says(""))
    if not says.sentence:
        raise TypeError(f"parameter {name}: it has no description; annotate it with Says(…)")
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    if values != tuple(says.choices):
        raise TypeError(f"parameter {name}: each value of {values} needs one description, in order")
    if not values and annotation not in _KINDS:
        raise TypeError(f"parameter {name}: no file can hold a {annotation!r}")
    kind, absent = _KINDS[annotation] if not values else ("choice", False)
    required = default is inspect.Parameter.empty
    return Parameter(
        name, kind, says.sentence, None if required else default, required, absent, limits,
        says.choices, next((each for each in extras if isinstance(each, Only)), None),
    )  # fmt: skip


def parameters_of(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The parameters that a function's keyword-only arguments are.

    Raises:
        TypeError: one of a type that no file can hold, or without its sentences.
    """
    found = []
    for each in inspect.signature(function).parameters.values():
        if each.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        annotation = each.annotation
        if isinstance(annotation, str):  # postponed; the other arguments' types need not resolve
            annotation = eval(annotation, function.__globals__)
        found.append(_parameter(each.name, annotation, each.default))
    return tuple(found)
