"""The registry of methods: what can be mixed how, before any tensor is touched.

A method is a decorated function, and everything known about it is in its registration: its
parameters (keyword-only arguments, see `engine.parameter`), a sentence on what it does and one on
its sliders, its source, its corners, its mark in charts. Nothing here imports torch: the app reads
this registry in its own process. docs/extending.md adds one.

    @method(space="weight", summary="…", slider="…", source="arXiv 2410.02396", mark="triangle-up")
    def pcb(tensors, *, ratio: Annotated[float, Limits(0, 1), Says("…")] = 0.1): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.bands import GROUPS, banded, groups_of
from engine.parameter import EXPERT, SECOND, Limits, Parameter, parameters_of
from engine.prune import Rows
from engine.registry import Registry

Space = Literal["weight", "logit"]

OURS = "defined here"
"""The source of what no paper defines."""

HELD: frozenset[str] = frozenset(("float", "int", "flag", "choice", "model", "text"))
"""Kinds of parameters that a recipe can hold, in a file, a key and an address."""

MODEL_MARKS = frozenset(("square", "diamond", "star"))
"""Marks of unmerged models: an expert, the base, the target."""


@dataclass(frozen=True)
class Names:
    """The names that recipes may speak of: a family's models and a study's objectives.

    Attributes:
        layers: how many its models have; 0 where that is not known, or cannot be.
        no_layers: why its layers cannot be told; empty where they can, or nobody has looked.
        rows: the objectives that merged weights can be pruned on; None where there is no study.
        own_words: models that read prompts of their own.
    """

    experts: tuple[str, ...]
    has_target: bool = False
    layers: int = 0
    no_layers: str = ""
    rows: Rows | None = field(default=None, compare=False, repr=False)
    own_words: frozenset[str] = frozenset()

    @property
    def models(self) -> tuple[str, ...]:
        """Every model of the family, in the order they are shown and scored."""
        return ("base", *(("target",) if self.has_target else ()), *self.experts)

    @property
    def steered(self) -> str:
        """The model that methods of logit space steer: the base where there is no target."""
        return "target" if self.has_target else "base"

    def default_of(self, parameter: Parameter) -> Any:
        """What a parameter that is not given is: of models the base where there is no target."""
        if parameter.kind == "model" and parameter.default in (EXPERT, SECOND):
            return [*self.experts, "base", "base"][parameter.default == SECOND]
        model = parameter.kind == "model" and parameter.default == "target"
        return self.steered if model else parameter.default


@dataclass(frozen=True)
class Corners:
    """Which unmerged models lie exactly on a method's surface.

    Attributes:
        zero: the model that zero coefficients are; None if they are refused or no model.
        one: whether one coefficient of 1 (times strength), the others 0, is that model; "alone"
            where it is so in a family without a target only.
    """

    zero: Literal["base", "target"] | None = None
    one: bool | Literal["alone"] = False


@dataclass(frozen=True)
class InMergekit:
    """What mergekit's method of the same name is given for the same result, on task vectors.

    Attributes:
        weights: expert -> weight, a number or what mergekit is told of it by depth.
        parameters: of the whole merge.
    """

    weights: Mapping[str, Any]
    parameters: Mapping[str, Any]


Mergekit = (
    Literal["task vectors", "models"]
    | Callable[[Mapping[str, Any], Mapping[str, Any]], InMergekit | None]
    | None
)
"""What the weights of mergekit's method of the same name multiply; where the two agree for some
recipes only, what it is given for coefficients (times strength) and parameters, None of a recipe
that it cannot say; None if mergekit has no such method with the same result."""


@dataclass(frozen=True)
class Method:
    """A registered way to combine.

    Attributes:
        space: "weight" (one merged model) or "logit" (several models a step).
        build: the decorated function; `engine.merging` and `engine.decoding` say what it is given.
        summary: what it does, one plain sentence.
        slider: what a coefficient does, one plain sentence.
        source: where it comes from.
        mark: plotly's name of the symbol of its points; no other method's, and no model's.
        corners: which unmerged models lie on its surface.
        names_base: whether `base` is a coefficient beside the experts.
        sliders: the coefficients of a method that has its own, rather than one a model.
        beside: the coefficients that it has beside those of the models; no expert may be called so.
        takes_coefficients: whether there is anything to mix.
        unmerged: the parameter that names the model, where the method is one model, unmerged.
        first: whether it is the method to begin with.
        simplex: whether only the proportions of the coefficients matter (Σ c must not be 0).
        matrices: whether it takes whole matrices apart, which needs memory for copies of one.
        by_depth: whether coefficients may differ by depth (`groups`), as they may where a tensor's
            result depends on the coefficients at that tensor alone.
        passes: how often it reads the task vectors to make a basis; 0 where it makes none.
        linear: of weight space: whether the merged weights are linear in the coefficients, up to a
            common divisor.
        additive: whether it is θ0 + Σ c_i τ_i, which adapters on the base give without a merge.
        mergekit: how mergekit's method of the same name gives the same result, as `Mergekit` says.
        default_range: slider range of a coefficient.
        check: refuses coefficients that the method cannot use, as `bad` input.
    """

    name: str
    space: Space
    build: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    summary: str
    slider: str
    source: str
    mark: str
    corners: Corners
    names_base: bool = False
    sliders: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    takes_coefficients: bool = True
    unmerged: str = ""
    first: bool = False
    simplex: bool = False
    matrices: bool = False
    by_depth: bool = False
    passes: int = 1
    linear: bool = True
    additive: bool = False
    mergekit: Mergekit = None
    default_range: tuple[float, float] = (0.0, 1.5)
    check: Callable[[Mapping[str, float], Mapping[str, Any]], None] | None = None

    @property
    def words(self) -> str:
        """What it does and whether it is linear, in plain sentences."""
        return self.summary if self.linear else f"{self.summary} {NOT_LINEAR}"

    def mixed_names(self, names: Names) -> tuple[str, ...]:
        """The models that have coefficients, or the method's own sliders."""
        if not self.takes_coefficients or self.sliders:
            return self.sliders
        models = ("base", *names.experts) if self.names_base else names.experts
        return tuple(dict.fromkeys((*models, *self.beside)))

    def coefficient_names(
        self, names: Names, parameters: Mapping[str, Any] | None = None
    ) -> tuple[str, ...]:
        """The coefficients beside these parameters: of each model, one or one a band of layers."""
        groups = groups_of(parameters or {})
        return tuple(each for name in self.mixed_names(names) for each in banded(name, groups))

    def structural(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that shape the basis: all but those that are about coefficients."""
        about = (STRENGTH.name, GROUPS.name)
        return {key: value for key, value in parameters.items() if key not in about}

    def parameters_in(self, names: Names) -> tuple[Parameter, ...]:
        """The parameters as far as a family has a choice: no bands where it has no layers, and no
        more than it has layers."""
        if not names.layers and not names.no_layers:
            return self.parameters
        return tuple(
            replace(each, limits=Limits(1, names.layers)) if each is GROUPS else each
            for each in self.parameters
            if each is not GROUPS or names.layers > 1
        )


METHODS: Registry[Method] = Registry("method")

NOT_LINEAR = "Not linear in its sliders: a slider's effect depends on where the others stand."

STRENGTH = Parameter(
    "strength",
    "float",
    "Multiplies all coefficients: 1 uses the sliders as they are, 0.5 halves them.",
    1.0,
    limits=Limits(0.0, 10.0),
)


def _refuse(name: str, parameters: tuple[Parameter, ...], found: Mapping[str, Any]) -> None:
    """What a registration lacks, as `TypeError`; what it shares with another, as `ValueError`."""
    for each in parameters:
        if each.kind not in HELD:
            raise TypeError(f"method {name}: a recipe cannot hold the {each.kind} {each.name}")
    said = ("summary", "source") + ("slider", "mark") * found["takes_coefficients"]
    for fact in said:
        if not found[fact].strip():
            raise TypeError(f"method {name}: it has no {fact}")
    for fact in ("unmerged", "first"):
        if found[fact] and any(getattr(each, fact) for each in METHODS.values()):
            raise ValueError(f"method {name}: another one is {fact} already")
    if found["takes_coefficients"]:
        taken = {each.mark: each.name for each in METHODS.values()}
        taken |= dict.fromkeys(MODEL_MARKS, "an unmerged model")
        if found["mark"] in taken:
            raise ValueError(f"method {name}: {taken[found['mark']]} has the mark {found['mark']}")


def method(
    *,
    space: Space,
    summary: str,
    source: str = OURS,
    slider: str = "",
    mark: str = "",
    corners: Corners = Corners(),
    strength: bool = False,
    names_base: bool = False,
    sliders: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
    takes_coefficients: bool = True,
    unmerged: str = "",
    first: bool = False,
    simplex: bool = False,
    matrices: bool = False,
    by_depth: bool = False,
    passes: int = 1,
    linear: bool = True,
    additive: bool = False,
    mergekit: Mergekit = None,
    default_range: tuple[float, float] = (0.0, 1.5),
    check: Callable[[Mapping[str, float], Mapping[str, Any]], None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as a method under its own name; `Method` has the arguments.

    `strength` adds the parameter that multiplies every coefficient, `by_depth` the one that cuts
    the layers into bands with coefficients of their own.

    Raises:
        TypeError: a sentence, the source or the mark is missing, or no recipe can hold a parameter
            of that kind.
        ValueError: the name or the mark is taken, or another method is unmerged or the first.
    """
    facts: dict[str, Any] = dict(
        space=space, summary=summary, source=source, slider=slider, mark=mark, corners=corners,
        names_base=names_base, sliders=sliders, beside=beside,
        takes_coefficients=takes_coefficients, unmerged=unmerged, first=first, simplex=simplex,
        matrices=matrices, by_depth=by_depth, passes=passes, linear=linear, additive=additive,
        mergekit=mergekit, default_range=default_range, check=check,
    )  # fmt: skip

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        name = build.__name__
        parameters = parameters_of(build) + (STRENGTH,) * strength + (GROUPS,) * by_depth
        _refuse(name, parameters, facts)
        METHODS.add(name, Method(name=name, build=build, parameters=parameters, **facts))
        return build

    return register


def first_method() -> Method:
    """The method to begin with."""
    return next(each for each in METHODS.values() if each.first)


def find_method(name: str, where: str = "recipe") -> Method:
    """The registered method of that name; raises `BadInput` listing near matches."""
    return METHODS.find(name, where)
