"""Scorers of probabilities, and the cost of a mixture. Logarithms are natural: a loss of 0.69 is
one bit.

A value that does not exist (the logarithm of a probability of 0, say) comes back as it is, infinite
or NaN; `engine.scoring.scores` turns it into null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.data import Row


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)


@scorer(
    kind="choice",
    direction="maximize",
    mean="proportion",
    needs="choices",
    summary='the right choice has the largest Σ log p(" " + choice)',
    source="GPT-3's multiple choice (arXiv 2005.14165, section 2.4); bytes: lm-eval's acc_norm",
)
def choice(
    sums: Sequence[float], row: Row, *, normalize: Literal["none", "bytes"] = "none"
) -> float:
    """The first among equals is chosen; bytes: the sum ÷ the UTF-8 bytes of " " + choice."""
    if any(map(math.isnan, sums)):
        return math.nan
    scores = list(sums)
    if normalize == "bytes":
        sizes = [len(f" {each}".encode()) for each in row.choices]
        scores = [total / size for total, size in zip(sums, sizes, strict=True)]
    return float(scores.index(max(scores)) == row.answer)


@scorer(
    kind="likelihood",
    direction="minimize",
    mean="mean",
    needs="target",
    summary="mean over the target's tokens of −log p, the end token included under chat",
    source="the cross-entropy of language modelling, in nats",
    empty_target=False,
)
def nll(log_probs: Sequence[float], row: Row) -> float:
    """Of several targets the first is measured."""
    return -_mean(log_probs)


@scorer(
    kind="likelihood",
    direction="minimize",
    mean="perplexity",
    needs="target",
    summary="exp of the token-weighted mean of −log p",
    source="Jelinek et al. 1977",
    empty_target=False,
)
def perplexity(log_probs: Sequence[float], row: Row) -> float:
    """The example's mean of −log p; `summarise` weights it by its tokens and takes the
    exponential."""
    return -_mean(log_probs)


@scorer(
    kind="kl",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="mean over the generated tokens of KL(composed ‖ base)",
    source="Kullback and Leibler 1951; on the model's own texts as in arXiv 1909.08593",
)
def kl_to_base(divergences: Sequence[float], row: Row) -> float:
    """The position of the end token counts where the text ended by it."""
    return _mean(divergences)


@scorer(
    kind="none",
    direction="minimize",
    mean="mean",
    needs="nothing",
    summary="parameters run per generated token ÷ the base's; deterministic",
)
def cost(ratio: float, row: None) -> float:
    return ratio
