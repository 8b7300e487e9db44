"""What a logit-space method returns: a few models, their weights, and how the logits are combined.

A `Mixture` knows names only, so methods stay torch-free; `engine.decoding.rules` says what each
kind computes, in float32. Ids outside the vocabulary are never fed into a sum as −inf: times a zero
or negative weight that is NaN or +inf.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.method import find_method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.method import Names
    from engine.recipe import Recipe

Kind = Literal["linear", "forward_kl", "alpha", "nucleus", "plausible", "dynamic", "gated"]

POSITIVE = frozenset(("forward_kl", "alpha"))
"""Kinds that take the logarithm of their weights."""

FILTERING = frozenset(("nucleus", "plausible"))
"""Kinds whose first model rules tokens out."""

LEADING = FILTERING | {"gated"}
"""Kinds whose first model decides something: its own weight may be 0."""

NOTHING = 1e-12
"""A weight below this is rounding: 1 − 0.1 − 0.2 − 0.7 is −3e-17, not worth a model's forward."""


@dataclass(frozen=True)
class Mixture:
    """The models that run at every token, and their weights.

    Attributes:
        models: names of the family; logits are accumulated in this order. One may stand there
            twice where it reads other words the second time.
        weights: one per model, none of them 0 but that of a first model which only decides; above
            0 for a kind that takes their logarithm.
        kind: how the logits are combined, see `engine.decoding.rules`.
        options: of the kind, each a name and a number.
        instead: for each model what it reads in place of its own system message, under chat, or of
            its prefix, without; None for its own words. () where all read their own.
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    kind: Kind = "linear"
    options: tuple[tuple[str, float], ...] = ()
    instead: tuple[str | None, ...] = ()

    @property
    def passes(self) -> tuple[tuple[str, str | None], ...]:
        """Of each pass the model and what it reads instead."""
        instead = self.instead or (None,) * len(self.models)
        return tuple(zip(self.models, instead, strict=True))

    @property
    def labels(self) -> tuple[str, ...]:
        """Of each pass a name of its own: the model's, and what else it reads."""
        return tuple(
            name if other is None else f"{name} (negative prompt)" for name, other in self.passes
        )

    @property
    def chosen(self) -> tuple[str, ...]:
        """What has a strength chosen anew at every token: experts, or their sum; mostly nothing."""
        options = dict(self.options)
        if self.kind != "dynamic":
            return ()
        return ("strength",) if options["directed"] else self.models[1 + int(options["target"]) :]

    @property
    def rests(self) -> bool:
        """Whether all models but the first run only where its logits ask for them."""
        return self.kind == "gated" and len(self.models) > 1

    def __post_init__(self) -> None:
        if not self.models or len(self.models) != len(self.weights):
            raise ValueError(f"a mixture needs one weight per model: {self.models}, {self.weights}")
        if len(set(self.passes)) != len(self.models):
            raise ValueError(f"a model is listed twice: {self.models}")
        needed = self.weights[1:] if self.kind in LEADING else self.weights
        if not all(map(math.isfinite, self.weights)) or 0.0 in needed:
            raise ValueError(f"weights must be finite and non-zero: {self.weights}")
        if self.kind in POSITIVE and min(self.weights) < 0.0:
            raise ValueError(f"{self.kind} takes the logarithm of its weights: {self.weights}")


Said = str | tuple[str, str]
"""A model in its own words, or with what it reads instead of them."""


def mix(terms: Iterable[tuple[Said, float]], kind: Kind = "linear", **options: float) -> Mixture:
    """The mixture of (model, weight) terms: a model's terms are added up, weight 0 drops it, unless
    it is the first and filters."""
    parts: dict[Said, list[float]] = {}
    for model, weight in terms:
        parts.setdefault(model, []).append(weight)
    totals = {model: math.fsum(weights) for model, weights in parts.items()}
    kept = {
        model: weight if abs(weight) > NOTHING else 0.0
        for place, (model, weight) in enumerate(totals.items())
        if abs(weight) > NOTHING or (kind in LEADING and not place)
    }
    pairs = [(each, None) if isinstance(each, str) else each for each in kept]
    instead = tuple(other for _, other in pairs) if any(o is not None for _, o in pairs) else ()
    models = tuple(name for name, _ in pairs)
    return Mixture(models, tuple(kept.values()), kind, tuple(options.items()), instead)


def mixture_of(recipe: Recipe, names: Names) -> Mixture | None:
    """What a resolved recipe of logit space mixes; None for weights, and for a model as it is."""
    method = find_method(recipe.method)
    if method.space != "logit" or recipe.unmerged is not None:
        return None
    found: Mixture = method.build(recipe.coefficients, names, **dict(recipe.parameters))
    return found


def combine(
    mixture: Mixture,
    logits: Sequence[Tensor],
    vocabulary: int | None = None,
    said: list[Tensor] | None = None,
) -> Tensor:
    """The mixture's logits.

    Args:
        logits: one tensor per model in the mixture's order, float32 [..., rows], all of one shape;
            may be overwritten where a vocabulary is given.
        vocabulary: ids from this one on are ruled out; None rules none out.
        said: takes float64 [..., n], the strengths of `Mixture.chosen`, where they are chosen.

    Returns:
        float32 [..., rows], normalised or not. A single model of weight 1 is returned as it is, not
        copied.
    """
    from engine.decoding.rules import combined

    if len(logits) != len(mixture.models):
        raise ValueError(f"{len(logits)} logits for models {mixture.models}")
    options = dict(mixture.options)
    return combined(mixture.kind, logits, mixture.weights, options, vocabulary, said)
