"""Racing: points are scored on growing blocks of rows, and those without a chance are stopped.

    points ── first rows ──► chance of each to be on the front ──┬─ below the threshold ► stopped
       ▲                     (paired, on these rows alone)       └─ the others: more rows, then all
       └── what is measured in full stands beside them, with its values on the same rows

The blocks are nested and the same for all, so that differences are paired; the chance is that of
`engine.front.sure`. As in Hoeffding races (Maron and Moore, 1993) and F-Race (Birattari et al.,
2002), with the front in the place of a single best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.front.noise import Kind, Places, Results, errors
from engine.front.pareto import Floats
from engine.front.sure import sureness

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Of an objective's rows, that are scored before all of them."""

LEAST = 8
"""Rows of a block at least: of fewer an error says nothing."""


def block(share: float, rows: int) -> int:
    """How many of an objective's rows are scored at a share of them."""
    return min(rows, max(LEAST, math.ceil(share * rows)))


def results_on(
    kind: Kind, values: NDArray[np.float64], rows: str, mean: Floats | None = None
) -> Results:
    """What n points have on the same rows of an objective.

    For a perplexity every example counts alike here, whatever its tokens: it is compared, not
    shown.

    Args:
        values: float64 [n, rows], one an example, finite.
        rows: names them, as `Results.rows`.
        mean: float64 [n], of an objective that is counted and has no rows.
    """
    if mean is not None:
        nothing = np.full(len(mean), 0.0 if kind == "exact" else np.nan)
        return Results(kind, mean, nothing, np.empty((len(mean), 0)), rows)
    read = np.log(values) if kind == "perplexity" else values
    centre, n = read.mean(axis=1), read.shape[1]
    spread = read.std(axis=1, ddof=1) / math.sqrt(n) if n > 1 else np.full(len(read), np.nan)
    if kind == "perplexity":
        centre = np.exp(centre)
        spread = centre * spread
    return Results(kind, centre, spread, values, rows)


def chances(names: Sequence[str], maximize: ArrayLike, results: Sequence[Results]) -> Floats:
    """Probability of each of n points to be on the front of them all, float64 [n]; NaN where it is
    not known how sure its scores are.

    Args:
        maximize: bool [m].
        results: one an objective, each on one block of rows for all points.
    """
    mean = np.column_stack([each.mean for each in results])
    error = errors(
        [each.kind for each in results],
        mean,
        np.column_stack([each.stderr for each in results]),
        np.tile([each.values.shape[1] for each in results], (len(mean), 1)),
    )
    own = [
        Results(each.kind, each.mean, error[:, place], each.values, each.rows)
        for place, each in enumerate(results)
    ]

    def load(places: Places) -> list[Results]:
        return [each.only(places) for each in own]

    return sureness(names, maximize, mean, error, load).front
