"""From per-example values to a score. Never NaN: what does not exist is None.

proportion   Wilson 95 % interval (Wilson 1927): inside [0, 1], and not empty at 0 and 1
mean         mean of examples, normal 95 % interval
perplexity   exp(Σ t_i v_i / Σ t_i), examples of t_i tokens and mean loss v_i; the error of the
             ratio by linearisation (delta method), the interval normal on the log scale
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.scoring.registry import Scorer

log = logging.getLogger(__name__)

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Score:
    """One composed model on one objective.

    Attributes:
        mean: None where it does not exist: some example has no finite value.
        stderr: sd (ddof 1) / √n; None at n = 1.
        n: number of examples.
        low, high: 95 % interval; None where there is none.
        values: one an example, in the order of the rows; None for a value that is not finite. For
            perplexity the example's own perplexity.
    """

    mean: float | None
    stderr: float | None
    n: int
    low: float | None
    high: float | None
    values: tuple[float | None, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The summary, without the values."""
        names = ("mean", "stderr", "n", "low", "high")
        return {name: getattr(self, name) for name in names}


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion of n ≥ 1 trials."""
    share, square = successes / n, Z95 * Z95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    # at 0 and n the closed end is exact; rounding must not put it beside the mean
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 709.0 else math.inf


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    squares = math.fsum((value - mean) * (value - mean) for value in values)
    return mean, math.sqrt(squares / (n - 1) / n)


def _perplexity(losses: Sequence[float], weights: Sequence[float]) -> Score:
    """The perplexity of examples of `weights` tokens with mean losses `losses`, all finite."""
    n, tokens = len(losses), math.fsum(weights)
    ratio = math.fsum(w * v for w, v in zip(weights, losses, strict=True)) / tokens
    mean = _finite(_exp(ratio))
    values = tuple(_finite(_exp(loss)) for loss in losses)
    if n == 1 or mean is None:
        return Score(mean, None, n, None, None, values)
    residuals = [w * (v - ratio) for w, v in zip(weights, losses, strict=True)]
    squares = math.fsum(residual * residual for residual in residuals)
    error = math.sqrt(squares / (n - 1) * n) / tokens
    low, high = _exp(ratio - Z95 * error), _exp(ratio + Z95 * error)
    return Score(mean, _finite(mean * error), n, _finite(low), _finite(high), values)


def summarise(
    scorer: Scorer, values: Sequence[float], weights: Sequence[float] | None = None
) -> Score:
    """The score of per-example values.

    Args:
        values: one an example, at least one; for perplexity the example's mean loss.
        weights: tokens an example, > 0; only perplexity uses them (default: all equal).

    Raises:
        ValueError: no values at all, or not as many weights.
    """
    n = len(values)
    if n == 0:
        raise ValueError("a score needs at least one value")
    if weights is not None and len(weights) != n:
        raise ValueError(f"{n} values but {len(weights)} weights")
    kept = tuple(_finite(float(value)) for value in values)
    finite = [value for value in kept if value is not None]
    if len(finite) < n:
        log.warning("%s: %d of %d examples have no finite value", scorer.name, n - len(finite), n)
        if scorer.mean == "perplexity":
            kept = tuple(None if value is None else _finite(_exp(value)) for value in kept)
        return Score(None, None, n, None, None, kept)
    if scorer.mean == "perplexity":
        return _perplexity(finite, weights if weights is not None else [1.0] * n)
    mean, error = _mean_and_error(finite)
    low: float | None
    high: float | None
    if scorer.proportion:
        low, high = wilson(math.fsum(finite), n)
    elif error is None:
        low = high = None
    else:
        low, high = mean - Z95 * error, mean + Z95 * error
    return Score(_finite(mean), _finite(error), n, _finite(low), _finite(high), kept)
