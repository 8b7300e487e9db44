"""The registry of scorers: from one observation of a model to one number.

A scorer is a decorated function, and everything known about it is in its registration: what a row
must contain, its options (keyword-only arguments, see `engine.parameter`), the unit and the scale
of its score, a sentence on what it measures. docs/extending.md adds one.

    @scorer(kind="text", direction="maximize", mean="proportion", needs="target", summary="…")
    def contains(text, row, *, ignore_case: Annotated[bool, Says("…")] = False): ...

What the observation is depends on the kind:

    text        the generated text, cut at the first stop              str
    likelihood  log p of each of the target's tokens                   sequence of floats
    choice      Σ log p of each choice, its tokens                     choices.Choices
    samples     answers to one prompt, as many as its option `samples`  sampled.Samples
    kl          KL(composed ‖ another) at each generated position      sequence of floats
    strength    strengths chosen for each of its tokens, summed         sequence of floats
    size        the tensors that an export holds                       exported.Stored
    votes       nothing: votes are counted elsewhere (voted.py)         float
    combined    nothing: worked out of other scores (combining.py)      float
    none        parameters run per generated token ÷ the base's        float
                (with data: for each row's tokens, where a mixture's models may rest)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import BadInput, Problem, unknown
from engine.method import OURS
from engine.parameter import Parameter, parameters_of
from engine.recipe import FrozenDict
from engine.registry import Registry
from engine.scoring.members import member_problems
from engine.study import OBJECTIVE_KEYS, Direction, Objective

Kind = Literal[
    "text", "likelihood", "choice", "samples", "kl", "strength", "size", "votes", "combined", "none"
]
Mean = Literal["proportion", "mean", "perplexity", "balanced", "calibration"]
Needs = Literal["nothing", "prompt", "target", "choices"]

Link = Literal["logit", "log", "identity"]

SHARE = "share of examples"
"""The unit of a proportion."""

Judge = Callable[
    [Sequence[str | None], Sequence[Any], Mapping[str, Any], str, Callable[[], None]],
    Sequence[float] | None,
]

Pooled = Callable[
    [Sequence[float], Sequence[Any], Mapping[str, Any]], tuple[list[float], float | None]
]

Refuse = Callable[[Sequence[Any], Mapping[str, Any]], list[tuple[Any, str, str]]]


@dataclass(frozen=True)
class Scorer:
    """A registered scorer.

    Attributes:
        direction: the natural one; an objective may turn it around.
        summary: what it measures, one plain sentence.
        mean: how values become the score: a proportion of zeros and ones, a mean of examples, or
            the exponential of a token-weighted mean; "balanced" and "calibration" by `pooled`.
        needs: what a row must hold; a function of the options where it depends on them.
        empty_target: whether a row's target may be the empty text.
        function: (observation, row, **options) -> value of one example.
        check: refuses options that fit their kinds and still cannot be used.
        judge: values of all answers at once (answers, None if there is none; rows, options,
            device, tick), for options under which the function is not asked; None if it is.
        pooled: (values, rows, options) -> (values whose mean is the score, its standard error),
            where the score is no mean of what each example gives by itself.
        refuse: (rows of a split, options) -> what is wrong with them beyond what `needs` says, as
            (row, or None for all of them; what; fix).
        tampers: whether the answers are those of the model moved by its option `step` towards its
            option `expert`.
        version: counted up when the same observation gets another value; part of an objective's
            fingerprint.
        least, most: no value is below or above; −∞ or ∞ if none is.
        unit: of the score, in words; that of a proportion is `SHARE`.
        link: on which scale the score is about quadratic in the coefficients: "logit" for a
            proportion, "log" for what is above 0 and spans factors, else "identity".
        log_axis: whether a chart of it is best read on a logarithmic axis.
        source: where the scorer comes from, to be shown; not part of a fingerprint.
    """

    name: str
    kind: Kind
    direction: Direction
    mean: Mean
    needs: Needs | Callable[[Mapping[str, Any]], Needs]
    options: tuple[Parameter, ...]
    function: Callable[..., float]
    summary: str
    unit: str
    link: Link
    empty_target: bool = True
    check: Callable[[Mapping[str, Any], str], None] | None = None
    judge: Judge | None = None
    version: int = 1
    source: str = OURS
    least: float = -math.inf
    log_axis: bool = False
    pooled: Pooled | None = None
    refuse: Refuse | None = None
    most: float = math.inf
    tampers: bool = False

    @property
    def proportion(self) -> bool:
        return self.mean == "proportion"

    @property
    def right_or_wrong(self) -> bool:
        """Whether an example is right or wrong: its value above ½, or not."""
        return self.mean in ("proportion", "balanced")

    @property
    def generates(self) -> bool:
        """Whether the model writes an answer."""
        return self.kind in ("text", "samples", "kl", "strength")

    @property
    def given(self) -> bool:
        """Whether it is measured on texts that are given, and so for many mixtures at once."""
        return self.kind in ("likelihood", "choice")

    @property
    def exact(self) -> bool:
        """Whether the score is counted and not estimated from examples, where it has no data."""
        return self.kind in ("none", "size")

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
                what = f"{self.name} needs the option {name!r}"
                problems.append(Problem(f"{where}: option {name}", what, "Give it."))
                continue
            try:
                resolved[name] = each.check(options.get(name, each.default), where, "option")
            except BadInput as error:
                problems.extend(error.problems)
        if problems:
            raise BadInput(*problems)
        if self.check is not None:
            self.check(resolved, where)
        return FrozenDict(resolved)


SCORERS: Registry[Scorer] = Registry("scorer")


def scorer(
    *,
    kind: Kind,
    direction: Direction,
    mean: Mean,
    needs: Needs | Callable[[Mapping[str, Any]], Needs],
    summary: str,
    unit: str = "",
    link: Link | None = None,
    log_axis: bool = False,
    empty_target: bool = True,
    check: Callable[[Mapping[str, Any], str], None] | None = None,
    judge: Judge | None = None,
    version: int = 1,
    source: str = OURS,
    least: float = -math.inf,
    most: float = math.inf,
    pooled: Pooled | None = None,
    refuse: Refuse | None = None,
    tampers: bool = False,
) -> Callable[[Callable[..., float]], Callable[..., float]]:
    """Register the decorated function as a scorer under its name; see `Scorer` for the arguments.

    Args:
        unit: needed but for a proportion.
        link: "logit" for a proportion, else "identity", if none is given.

    Raises:
        TypeError: a sentence or the unit is missing, or an option is of a kind that no study can
            hold.
        ValueError: the name is taken.
    """

    def register(function: Callable[..., float]) -> Callable[..., float]:
        name, share = function.__name__, mean == "proportion"
        said = {"summary": summary, "unit": unit or SHARE * share, "source": source}
        for fact, text in said.items():
            if not text.strip():
                raise TypeError(f"scorer {name}: it has no {fact}")
        options = parameters_of(function)
        found = Scorer(
            name, kind, direction, mean, needs, options, function, summary, said["unit"],
            link or ("logit" if share else "identity"), empty_target, check, judge, version,
            source, least, log_axis, pooled, refuse, most, tampers,
        )  # fmt: skip
        SCORERS.add(name, found)
        return function

    return register


OF: Mapping[str, str] = {"size": "shapes", "votes": "votes", "combined": "other scores"}
"""Kind -> what a score without data is counted from."""


def find_scorer(name: str, where: str = "objective") -> Scorer:
    """The scorer of this name; raises `BadInput` with near matches."""
    return SCORERS.find(name, where)


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
        if objective.report_data is not None and objective.data is None:
            what = f"{found.name} is given data for the report alone"
            problems.append(Problem(f"{where}: report_data", what, "Give data too, or neither."))
    elif found.kind in OF:
        if objective.data is not None or objective.report_data is not None:
            of = OF[found.kind]
            what = f"{found.name} is counted from {of} and reads no data"
            problems.append(Problem(f"{where}: data", what, "Remove data."))
    elif objective.data is None:
        what = f"{found.name} needs data"
        problems.append(Problem(f"{where}: data", what, "Give data: a file of rows."))
    if objective.answer_after and found.kind != "text":
        what = f"{found.name} does not judge generated text"
        problems.append(Problem(f"{where}: answer_after", what, "Remove answer_after."))
    options = FrozenDict()
    try:
        options = found.resolve(objective.options, where)
    except BadInput as error:
        problems.extend(error.problems)
    if options.get("samples", 1) > 1 and objective.temperature == 0.0:
        what = f"{options['samples']} samples of a prompt are all the same without a temperature"
        problems.append(Problem(f"{where}: temperature", what, "Set temperature, to 1 say."))
    if problems:
        raise BadInput(*problems)
    members = tuple(check_objective(each, path) for each in objective.members)
    direction = objective.direction or (members[0] if members else found).direction
    scored = [(each, find_scorer(each.scorer)) for each in members]
    if problems := member_problems(scored, str(direction), where):
        raise BadInput(*problems)
    return dataclasses.replace(objective, direction=direction, options=options, members=members)
