"""Links: on which scale an objective is quadratic, and how far sampling moves a score there.

logit      proportions of n examples, as log((k + ½) / (n − k + ½)), the logit of (k + ½)/(n + 1):
           finite at 0 and n (Haldane 1956, Anscombe 1956)
log        losses above 0
identity   everything else
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from engine.scoring.registry import Link
from engine.search.quadratic import Floats

LINKS: tuple[Link, ...] = get_args(Link)

FLOOR = 0.01
"""Least noise of a point, as a share of the spread of all: a score without an error, as `cost`,
is not trusted further than that, and no point outweighs all others."""

CEILING = 1e8
"""Most noise of a point, in units of the least: one that says nothing still counts as a place."""

HALF = 0.5
"""Of an example: added to hits and to misses."""

LARGEST = 700.0
"""Logarithm beyond which a value is cut: the next ones have no float64."""

SMALLEST = 1e-9
"""A loss of 0 has no logarithm; this is put in its place."""


def _sigmoid(values: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * values)


def linked(scores: Floats, spread: Floats, link: Link) -> tuple[Floats, Floats]:
    """Scores on the link's scale and their sampling variance there (delta method).

    Args:
        scores: [n], finite, in the objective's own units.
        spread: [n] examples under "logit", else standard errors; NaN if there is none.
    """
    if link == "logit":
        hits = np.clip(scores, 0.0, 1.0) * spread
        misses = spread - hits
        values = np.log((hits + HALF) / (misses + HALF))
        return values, floored(1.0 / (hits + HALF) + 1.0 / (misses + HALF), values)
    if link == "log":
        above = np.maximum(scores, SMALLEST)
        return np.log(above), floored((spread / above) ** 2, np.log(above))
    return scores, floored(spread**2, scores)


def unlinked(values: Floats, link: Link, count: float, least: float) -> Floats:
    """Back to the objective's own units, inside what it can be.

    Args:
        count: under "logit", examples of a typical score: the shift by half an example is undone,
            so that 0 and 1 can be reached.
        least: under the other links nothing is below this.
    """
    if link == "logit":
        return np.clip((_sigmoid(values) * (count + 1.0) - HALF) / count, 0.0, 1.0)
    if link == "log":
        values = np.exp(np.clip(values, -LARGEST, LARGEST))
    return np.maximum(values, least)


def bernoulli(values: Floats, count: ArrayLike) -> Floats:
    """p (1 − p) at logits, p no nearer to 0 and 1 than half an example of `count`."""
    edge = HALF / (np.asarray(count, dtype=np.float64) + 1.0)
    p = np.clip(_sigmoid(values), edge, 1.0 - edge)
    return p * (1.0 - p)


def floored(variance: Floats, values: Floats) -> Floats:
    """Variances [n ≥ 1] between a floor and a ceiling. A point without one gets the median, and so
    does one of 0 beside others': its examples happened to agree, which is no certainty."""
    known = np.isfinite(variance) & (variance > 0)
    variance = np.where(known, variance, np.median(variance[known]) if known.any() else 0.0)
    scale = float(np.std(values)) or 1e-6 * max(1.0, float(np.abs(values).max()))
    variance = np.maximum(variance, (FLOOR * scale) ** 2)
    return np.minimum(variance, CEILING * variance.min())
