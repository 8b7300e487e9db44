"""What a logit-space method returns: a few models, their weights, and how the logits are combined.

    linear       l = Σ_m w_m l_m      raw logits; up to a constant, log-probabilities mixed
    forward_kl   l = −logsumexp_m(log w_m − log p_m)      MOD, arXiv 2406.18853; needs w > 0

A `Mixture` knows names only, so methods stay torch-free; `combine` does the arithmetic, in float32.
Ids outside the vocabulary are masked after combining, never here: −inf times a zero or negative
weight is NaN or +inf.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["linear", "forward_kl"]

NOTHING = 1e-12
"""A weight below this is rounding: 1 − 0.1 − 0.2 − 0.7 is −3e-17, not worth a model's forward."""


@dataclass(frozen=True)
class Mixture:
    """The models that run at every token, and their weights.

    Attributes:
        models: names of the family, each once; logits are accumulated in this order.
        weights: one per model, none of them 0; above 0 for "forward_kl".
        kind: how the logits are combined, see the module.
    """

    models: tuple[str, ...]
    weights: tuple[float, ...]
    kind: Kind = "linear"

    def __post_init__(self) -> None:
        if not self.models or len(self.models) != len(self.weights):
            raise ValueError(f"a mixture needs one weight per model: {self.models}, {self.weights}")
        if len(set(self.models)) != len(self.models):
            raise ValueError(f"a model is listed twice: {self.models}")
        if not all(math.isfinite(weight) and weight != 0.0 for weight in self.weights):
            raise ValueError(f"weights must be finite and non-zero: {self.weights}")
        if self.kind == "forward_kl" and min(self.weights) < 0.0:
            raise ValueError(f"forward_kl takes the logarithm of its weights: {self.weights}")


def mix(terms: Iterable[tuple[str, float]], kind: Kind = "linear") -> Mixture:
    """The mixture of (model, weight) terms: a model's terms are added up, weight 0 drops it."""
    parts: dict[str, list[float]] = {}
    for model, weight in terms:
        parts.setdefault(model, []).append(weight)
    totals = {model: math.fsum(weights) for model, weights in parts.items()}
    kept = {model: weight for model, weight in totals.items() if abs(weight) > NOTHING}
    return Mixture(tuple(kept), tuple(kept.values()), kind)


def combine(mixture: Mixture, logits: Sequence[Tensor]) -> Tensor:
    """The mixture's logits.

    Args:
        logits: one tensor per model in the mixture's order, float32 [..., vocabulary], all of one
            shape; not modified.

    Returns:
        float32 [..., vocabulary]: for "forward_kl" up to normalisation. A single model of weight 1
        is returned as it is, not copied.
    """
    import torch

    if len(logits) != len(mixture.models):
        raise ValueError(f"{len(logits)} logits for models {mixture.models}")
    if len(logits) == 1 and (mixture.kind == "forward_kl" or mixture.weights[0] == 1.0):
        return logits[0]
    if mixture.kind == "forward_kl":
        total: Tensor | None = None
        for weight, each in zip(mixture.weights, logits, strict=True):
            term = (each.logsumexp(-1, keepdim=True) + math.log(weight)) - each
            total = term if total is None else torch.logaddexp(total, term)
        assert total is not None
        return total.neg_()
    total = logits[0] * mixture.weights[0]
    for weight, each in zip(mixture.weights[1:], logits[1:], strict=True):
        total.add_(each, alpha=weight)
    return total
