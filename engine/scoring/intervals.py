"""95 % intervals of scores, from mean, standard error and number of examples.

proportion   Wilson (1927): inside [0, 1], and not empty at 0 and 1
mean, and    Student's t with n − 1 degrees of freedom, cut at the least and the largest value
pooled       that are possible
perplexity   the same on the logarithmic scale, whose standard error is stderr / mean
cost         exact: none

They follow from what a score row holds, so that they are worked out where scores are read: rows of
an earlier version hold intervals that reach below what is possible.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.scoring.registry import SCORERS, Scorer

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""

ONE = "one example: no interval"

_SUMMED = 400
"""Degrees of freedom up to which the distribution is summed; beyond, a series is exact."""


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion of n ≥ 1 trials."""
    share, square = successes / n, Z95 * Z95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    # at 0 and n the closed end is exact; rounding must not put it beside the mean
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def _between(t: float, degrees: int) -> float:
    """P(−t < T < t) of Student's t (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(degrees))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    term = total = 1.0 if degrees % 2 == 0 else math.cos(angle)
    for k in range(2 if degrees % 2 == 0 else 3, degrees, 2):
        term *= square * (k - 1) / k
        total += term
    if degrees % 2 == 0:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if degrees > 1 else 0.0))


@functools.lru_cache(maxsize=4096)
def student(degrees: int) -> float:
    """97.5 % quantile of Student's t distribution with `degrees` ≥ 1 degrees of freedom."""
    if degrees < 1:
        raise ValueError(f"Student's t has no {degrees} degrees of freedom")
    z, v = Z95, float(degrees)
    # the expansion about the normal quantile (Abramowitz and Stegun 26.7.5)
    found = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    found += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    found += (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    if degrees > _SUMMED:
        return found
    low, high = 0.0, 2 * found + 20.0
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _between(middle, degrees) < 0.95 else (low, middle)
    return (low + high) / 2


def interval(
    scorer: Scorer, mean: float | None, stderr: float | None, n: int | None
) -> tuple[float | None, float | None]:
    """(low, high) of a score; None if there is none: of one example, or without data."""
    if mean is None or not n or not math.isfinite(mean):
        return None, None
    if scorer.proportion:
        return wilson(min(max(mean, 0.0), 1.0) * n, n)
    if n < 2 or stderr is None or not math.isfinite(stderr):
        return None, None
    reach, least = student(n - 1) * stderr, scorer.least
    if scorer.mean == "perplexity":
        try:
            factor = math.exp(reach / mean)
            return max(least, mean / factor), _finite(mean * factor)
        except (OverflowError, ZeroDivisionError):
            return least, None
    return max(least, mean - reach), _finite(min(scorer.most, mean + reach))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def with_interval(scorer: str, score: Mapping[str, Any]) -> dict[str, Any]:
    """A score as it was stored, with the interval that its mean, error and n give.

    Where a mean of examples has none, `note` says why.
    """
    found = SCORERS.get(scorer)
    if found is None or score.get("mean") is None:
        return dict(score)
    low, high = interval(found, score["mean"], score.get("stderr"), score.get("n"))
    note = {"note": ONE} if low is None and not found.exact and score.get("n") == 1 else {}
    return {**score, "low": low, "high": high, **note}


def with_intervals(scores: Mapping[str, Any], scorers: Mapping[str, str]) -> dict[str, Any]:
    """`with_interval` of scores by the name of their objective."""
    return {name: with_interval(scorers.get(name, ""), each) for name, each in scores.items()}


def interval_columns(
    scorers: Sequence[str], mean: np.ndarray, stderr: np.ndarray, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`interval` of many scores.

    Args:
        scorers: name of the scorer of each objective.
        mean, stderr, n: float64 or int64 [points, objectives]; NaN if there is none.

    Returns:
        low, high: float64 [points, objectives], NaN if there is none.
    """
    low, high = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    for column, name in enumerate(scorers):
        scorer = SCORERS[name]
        m, error, count = mean[:, column], stderr[:, column], np.nan_to_num(n[:, column])
        if scorer.proportion:
            low[:, column], high[:, column] = _wilsons(m, count)
            continue
        known = np.isfinite(m) & np.isfinite(error) & (count > 1)
        sizes, which = np.unique(count[known].astype(np.int64), return_inverse=True)
        reach = np.array([student(size - 1) for size in sizes.tolist()])[which] * error[known]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if scorer.mean == "perplexity":
                factor = np.exp(reach / m[known])
                down, up = m[known] / factor, m[known] * factor
            else:
                down, up = m[known] - reach, np.minimum(scorer.most, m[known] + reach)
        low[known, column] = np.maximum(down, scorer.least)
        high[known, column] = np.where(np.isfinite(up), up, np.nan)
    return low, high


def _wilsons(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`wilson` of many proportions; NaN if there is none."""
    square = Z95 * Z95
    count = np.where(n > 0, n, np.nan)
    share = np.clip(share, 0.0, 1.0)
    centre = (share + square / (2 * count)) / (1 + square / count)
    spread = np.sqrt(share * (1 - share) / count + square / (4 * count * count))
    half = Z95 * spread / (1 + square / count)
    low = np.where(share == 0.0, 0.0 * count, np.maximum(0.0, centre - half))
    high = np.where(share == 1.0, 0.0 * count + 1.0, np.minimum(1.0, centre + half))
    return low, high
