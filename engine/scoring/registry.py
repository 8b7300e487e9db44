"""The registry of scorers: what an example's value is called, what it needs, which options it
takes.

A scorer is a decorated function from one observation of a model to one number. Its keyword-only
arguments are its options; their annotations say the kinds, so one signature feeds the check of a
study file and the fingerprint.

    @scorer(kind="text", direction="maximize", mean="proportion", needs="target", summary="...")
    def contains(text, row, *, ignore_case: bool = False): ...

What the observation is depends on the kind:

    text        the generated text, cut at the first stop              str
    likelihood  log p of each of the target's tokens                   sequence of floats
    choice      Σ log p of each choice, its tokens                     choices.Choices
    kl          KL(composed ‖ base) at each generated position         sequence of floats
    none        parameters run per generated token ÷ the base's        float
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from engine.errors import BadInput, Problem, bad, unknown
from engine.recipe import FrozenDict
from engine.study import OBJECTIVE_KEYS, Direction, Objective

Kind = Literal["text", "likelihood", "choice", "kl", "none"]
Mean = Literal["proportion", "mean", "perplexity"]
Needs = Literal["nothing", "prompt", "target", "choices"]

OURS = "defined here"

Judge = Callable[
    [Sequence[str | None], Sequence[Any], Mapping[str, Any], str, Callable[[], None]],
    Sequence[float] | None,
]

_REQUIRED: Any = object()


@dataclass(frozen=True)
class Option:
    """One option of a scorer.

    Attributes:
        kind: "flag" (true or false), "text", "texts" (a list of them), "choice", or "model" (the
            directory of one; its files, not its place, are part of an objective's fingerprint).
        required: whether it has no default.
        absent: whether it may be left out, or null, which is not the same as any text.
    """

    name: str
    kind: Literal["flag", "text", "texts", "choice", "model"]
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    absent: bool = False

    def check(self, value: Any, where: str) -> Any:
        """The value in its canonical type; raises `BadInput` where it does not fit."""
        place = f"{where}: option {self.name}"
        if value is None and self.absent:
            return None
        if self.kind == "flag":
            if not isinstance(value, bool):
                raise bad(place, f"expected true or false, got {value!r}")
            return value
        if self.kind == "texts":
            value = [value] if isinstance(value, str) else value
            good = isinstance(value, list | tuple) and all(
                isinstance(e, str) and e.strip() for e in value
            )
            if not good or not value:
                raise bad(place, f"expected a list of texts, none blank, got {value!r}")
            return tuple(value)
        if not isinstance(value, str):
            raise bad(place, f"expected a text, got {value!r}", "Put it in quotes.")
        if self.kind == "choice" and value not in self.choices:
            raise unknown(place, "choice", value, self.choices)
        return value


@dataclass(frozen=True)
class Scorer:
    """A registered scorer.

    Attributes:
        direction: the natural one; an objective may turn it around.
        mean: how values become the score: a proportion of zeros and ones, a mean of examples, or
            the exponential of a token-weighted mean.
        needs: what a row must hold; a function of the options where it depends on them.
        empty_target: whether a row's target may be the empty text.
        function: (observation, row, **options) -> value of one example.
        check: refuses options that fit their kinds and still cannot be used.
        judge: values of all answers at once (answers, None where there is none; rows, options,
            device, tick), for options under which the function is not asked; None where it is.
        version: counted up when the same observation gets another value; part of an objective's
            fingerprint.
        least: no value is below it; −∞ where none is too low.
        source: where the scorer comes from, to be shown; not part of a fingerprint.
    """

    name: str
    kind: Kind
    direction: Direction
    mean: Mean
    needs: Needs | Callable[[Mapping[str, Any]], Needs]
    options: tuple[Option, ...]
    function: Callable[..., float]
    summary: str
    empty_target: bool = True
    check: Callable[[Mapping[str, Any], str], None] | None = None
    judge: Judge | None = None
    version: int = 1
    source: str = OURS
    least: float = -math.inf

    @property
    def proportion(self) -> bool:
        return self.mean == "proportion"

    @property
    def exact(self) -> bool:
        """Whether the score is counted and not estimated from examples."""
        return self.kind == "none"

    def needs_of(self, options: Mapping[str, Any]) -> Needs:
        """What a row must hold under these resolved options."""
        return self.needs(options) if callable(self.needs) else self.needs

    def resolve(self, options: Mapping[str, Any], where: str) -> FrozenDict:
        """Every option with its value, defaults filled in.

        Raises:
            BadInput: every option that is unknown, missing or of the wrong kind.
        """
        known = {each.name: each for each in self.options}
        problems: list[Problem] = []
        for name in options:
            if name not in known:
                names = [*known, *OBJECTIVE_KEYS]
                problems.extend(unknown(where, f"option of {self.name}", name, names).problems)
        resolved: dict[str, Any] = {}
        for name, each in known.items():
            if name not in options and each.required:
                problems.append(
                    Problem(where, f"{self.name} needs the option {name!r}", "Give it.")
                )
                continue
            try:
                resolved[name] = each.check(options.get(name, each.default), where)
            except BadInput as error:
                problems.extend(error.problems)
        if problems:
            raise BadInput(*problems)
        if self.check is not None:
            self.check(resolved, where)
        return FrozenDict(resolved)


SCORERS: dict[str, Scorer] = {}


def _option(name: str, annotation: Any, default: Any) -> Option:
    required = default is _REQUIRED
    default = None if required else default
    if annotation is bool:
        return Option(name, "flag", default, required)
    if annotation == Path | None:
        return Option(name, "model", default, required, absent=True)
    if annotation in (str, str | None):
        return Option(name, "text", default, required, absent=annotation is not str)
    if get_origin(annotation) is Literal:
        return Option(name, "choice", default, required, get_args(annotation))
    if annotation == tuple[str, ...]:
        return Option(name, "texts", default, required)
    raise TypeError(f"option {name}: {annotation!r} is not a kind of option that a study can hold")


def scorer(
    *,
    kind: Kind,
    direction: Direction,
    mean: Mean,
    needs: Needs | Callable[[Mapping[str, Any]], Needs],
    summary: str,
    empty_target: bool = True,
    check: Callable[[Mapping[str, Any], str], None] | None = None,
    judge: Judge | None = None,
    version: int = 1,
    source: str = OURS,
    least: float = -math.inf,
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register the decorated function as a scorer under its own name; see `Scorer` for the
    arguments."""

    def register(function: Callable[..., float]) -> Callable[..., float]:
        options = []
        for each in inspect.signature(function).parameters.values():
            if each.kind is not inspect.Parameter.KEYWORD_ONLY:
                continue
            annotation = each.annotation
            if isinstance(annotation, str):
                annotation = eval(annotation, function.__globals__)
            empty = each.default is inspect.Parameter.empty
            options.append(_option(each.name, annotation, _REQUIRED if empty else each.default))
        name = function.__name__
        SCORERS[name] = Scorer(
            name, kind, direction, mean, needs, tuple(options), function, summary, empty_target,
            check, judge, version, source, least,
        )  # fmt: skip
        return function

    return register


def find_scorer(name: str, where: str = "objective") -> Scorer:
    """The scorer of this name; raises `BadInput` with near matches."""
    if name not in SCORERS:
        raise unknown(where, "scorer", name, SCORERS)
    return SCORERS[name]


def check_objective(objective: Objective, path: object = "study") -> Objective:
    """The objective with its direction filled in and every option of its scorer resolved.

    Data files are not opened; `engine.scoring.objectives.prepare` does that.

    Args:
        path: the study file, for the error.

    Raises:
        BadInput: an unknown scorer or option (with near matches), an option that does not fit, data
            missing or given to a scorer that uses none.
    """
    where = f"{path}: objective {objective.name}"
    found = find_scorer(objective.scorer, where)
    problems: list[Problem] = []
    if found.kind == "none":
        for key in ("data", "report_data"):
            if getattr(objective, key) is not None:
                problems.append(Problem(where, f"{found.name} uses no data", f"Remove {key}."))
    elif objective.data is None:
        problems.append(Problem(where, f"{found.name} needs data", "Give data: a file of rows."))
    if objective.answer_after and found.kind != "text":
        what = f"{found.name} judges no generated text"
        problems.append(Problem(f"{where}: answer_after", what, "Remove answer_after."))
    options = FrozenDict()
    try:
        options = found.resolve(objective.options, where)
    except BadInput as error:
        problems.extend(error.problems)
    if problems:
        raise BadInput(*problems)
    direction = objective.direction or found.direction
    return dataclasses.replace(objective, direction=direction, options=options)
