"""Scorers of probabilities, and the cost of a mixture. Logarithms are natural: 0.69 is one bit.

A value that does not exist (the logarithm of a probability of 0, say) comes back as it is, infinite
or NaN; `engine.scoring.scores` turns it into null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from engine.parameter import BASE, ModelName, Says
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.choices import Choices
    from engine.scoring.data import Row


Delimiter = Annotated[
    str | None,
    Says(
        "Text between the prompt and what is measured. Default: a space, or nothing with a chat "
        "template."
    ),
]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values)


Normalize = Annotated[
    Literal["none", "chars", "bytes", "tokens", "unconditional"],
    Says(
        "How choices of different lengths are made comparable.",
        none="the plain sum over the choice's tokens",
        chars="divided by its number of characters (lm-eval's acc_norm)",
        bytes="divided by its number of UTF-8 bytes (lm-eval's acc_bytes)",
        tokens="divided by its number of tokens",
        unconditional="minus its log-likelihood without the prompt (lm-eval's acc_mutual_info)",
    ),
]


def choice_scores(seen: Choices, row: Row, normalize: str) -> list[float] | None:
    """The score of each choice; None where there is none to compare.

    normalize: none; ÷ the characters (lm-eval's acc_norm) or UTF-8 bytes (acc_bytes) of the choice
    without its delimiter; ÷ its tokens; − Σ log p without the prompt (acc_mutual_info).
    """
    if any(map(math.isnan, (*seen.sums, *(seen.alone or ())))):
        return None
    sizes: Sequence[int] = [1] * len(seen.sums)
    if normalize == "chars":
        sizes = [len(each) for each in row.choices]
    elif normalize == "bytes":
        sizes = [len(each.encode()) for each in row.choices]
    elif normalize == "tokens":
        sizes = seen.tokens
    alone = seen.alone or [0.0] * len(seen.sums)
    if not all(sizes):
        return None  # an empty choice has no mean
    scores = [(a - b) / n for a, b, n in zip(seen.sums, alone, sizes, strict=True)]
    # equal texts are equal choices, whatever the rounding of the rows of a batch
    scores = [scores[row.choices.index(choice)] for choice in row.choices]
    if any(map(math.isnan, scores)) or max(scores) == -math.inf:
        return None  # −∞ − (−∞), and choices none of which can be said
    return scores


@scorer(
    kind="choice",
    direction="maximize",
    mean="proportion",
    needs="choices",
    summary="the correct choice is the most likely one, by Σ log p of its tokens",
    source="GPT-3's multiple choice (arXiv 2005.14165, section 2.4), tokens as in lm-eval 0.4.13",
    version=4,
)
def choice(
    seen: Choices,
    row: Row,
    *,
    normalize: Normalize = "none",
    delimiter: Delimiter = None,
) -> float:
    """Of k choices that share the largest score each is chosen with 1/k."""
    scores = choice_scores(seen, row, normalize)
    if row.answer is None or scores is None:
        return math.nan
    best = max(scores)
    return (scores[row.answer] == best) / scores.count(best)


@scorer(
    kind="likelihood",
    direction="minimize",
    mean="mean",
    needs="target",
    summary="negative log-likelihood of the target: the mean of −log p over its tokens",
    unit="nats per token",
    link="log",
    source="the cross-entropy of language modelling, in nats",
    empty_target=False,
    version=3,
    least=0.0,
)
def nll(
    log_probs: Sequence[float],
    row: Row,
    *,
    delimiter: Delimiter = None,
) -> float:
    """Of several targets the first is measured."""
    return -_mean(log_probs)


@scorer(
    kind="likelihood",
    direction="minimize",
    mean="perplexity",
    needs="target",
    summary="perplexity of the targets: exp of the mean of −log p over all tokens",
    unit="perplexity",
    link="log",
    log_axis=True,
    source="Jelinek et al. 1977",
    empty_target=False,
    version=3,
    least=1.0,
)
def perplexity(
    log_probs: Sequence[float],
    row: Row,
    *,
    delimiter: Delimiter = None,
) -> float:
    """The example's mean of −log p; `summarise` weights it by tokens and takes the exponential."""
    return -_mean(log_probs)


@scorer(
    kind="kl",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="divergence of the answers from the base: the mean of KL(composed ‖ base) over tokens",
    unit="nats per token",
    source="Kullback and Leibler 1951; on the model's own texts as in arXiv 1909.08593",
    least=0.0,
)
def kl_to_base(divergences: Sequence[float], row: Row) -> float:
    """The position of the end token counts where the text ended by it."""
    return _mean(divergences)


@scorer(
    kind="kl",
    direction="minimize",
    mean="mean",
    needs="prompt",
    summary="divergence of the answers from a model of the family: the mean of "
    "KL(composed ‖ model) over tokens",
    unit="nats per token",
    source="Kullback and Leibler 1951; on the model's own texts as in arXiv 1909.08593",
    least=0.0,
)
def kl_to(
    divergences: Sequence[float],
    row: Row,
    *,
    model: Annotated[ModelName, Says("Base, target or an expert, as it is.")] = BASE,
) -> float:
    """As `kl_to_base`; over the ids that both models can say."""
    return _mean(divergences)


@scorer(
    kind="none",
    direction="minimize",
    mean="mean",
    needs="nothing",
    summary="parameters run per generated token ÷ the base's; counted, not estimated: of what does "
    "not depend on the text without data, else on average over its answers",
    unit="× the base's parameters",
    least=0.0,
)
def cost(ratio: float, row: None) -> float:
    return ratio
