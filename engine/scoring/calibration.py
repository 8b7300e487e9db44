"""Calibration: whether a model is as sure of its choices as it is right.

confidence   the largest of softmax(score of each choice)
value        confidence − correct, from −1 (wrongly unsure) to 1 (wrongly sure)
ECE          Σ_bins |Σ of the values of its examples| / n
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from engine.parameter import Limits, Says
from engine.scoring.likelihood import Delimiter, Normalize, choice_scores
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.choices import Choices
    from engine.scoring.data import Row

DRAWS, BLOCK, SEED = 1000, 50, 0
"""Of the bootstrap; always the same, so that a score's error is too."""

KEPT = 2000
"""Examples up to which the samples are kept for the next score: 16 MB."""


def bins_of(gaps: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each example, int64: (k / bins, (k + 1) / bins], the first closed.

    Args:
        gaps: float64 [n], confidence − correct; above 0 where the choice was wrong.
    """
    confidence = np.where(gaps > 0.0, gaps, gaps + 1.0)
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _counts(n: int, start: int, draws: int) -> np.ndarray:
    """How often each of n examples is in each bootstrap sample from `start` on, float64 [draws, n].

    Each block has numbers of its own, so that they are the same in whatever order they are drawn.
    """
    places = np.random.default_rng((SEED, start)).integers(0, n, (draws, n))
    places += n * np.arange(draws)[:, None]
    found: np.ndarray = np.bincount(places.ravel(), minlength=draws * n).reshape(draws, n)
    return found.astype(np.float64)


@functools.lru_cache(maxsize=256)
def _kept_counts(n: int, start: int, draws: int) -> np.ndarray:
    return _counts(n, start, draws)


def ece_error(gaps: np.ndarray, bins: int) -> float:
    """Standard error of the ECE: sd of `DRAWS` bootstrap samples of the examples.

    Args:
        gaps: float64 [n ≥ 2].
    """
    n, where = len(gaps), bins_of(gaps, bins)
    table = np.zeros((n, bins))
    table[np.arange(n), where] = gaps
    draw = _kept_counts if n <= KEPT else _counts
    sums = [np.abs(draw(n, start, BLOCK) @ table).sum(1) for start in range(0, DRAWS, BLOCK)]
    return float(np.concatenate(sums).std(ddof=1)) / n


def _pooled(
    values: Sequence[float], rows: Sequence[Row], options: Mapping[str, Any]
) -> tuple[list[float], float | None]:
    """Each example's part in the ECE: its gap, turned round where its bin is unsure."""
    gaps, bins = np.array(values), int(options["bins"])
    where = bins_of(gaps, bins)
    signs = np.sign(np.bincount(where, gaps, bins))
    parts: list[float] = (gaps * signs[where]).tolist()
    return parts, ece_error(gaps, bins) if len(gaps) > 1 else None


@scorer(
    kind="choice",
    direction="minimize",
    mean="calibration",
    needs="choices",
    summary="expected calibration error: the gap between how sure the model is of its choice and "
    "how often that is right, over bins of equal width",
    unit="expected calibration error",
    source="Guo et al. 2017 (arXiv 1706.04599), equation 3",
    pooled=_pooled,
    least=0.0,
    most=1.0,
)
def ece(
    seen: Choices,
    row: Row,
    *,
    bins: Annotated[int, Limits(1, 1000), Says("Bins of confidence, all of one width.")] = 15,
    normalize: Normalize = "none",
    delimiter: Delimiter = None,
) -> float:
    """Confidence − correct; of k choices that share the largest score each is chosen with 1/k.

    The ECE of few examples is biased upward, by the noise of each bin.
    """
    scores = choice_scores(seen, row, normalize)
    if row.answer is None or scores is None:
        return math.nan
    best = max(scores)
    sure = 1.0 / math.fsum(math.exp(each - best) for each in scores)
    right = (scores[row.answer] == best) / scores.count(best)
    return sure - right
