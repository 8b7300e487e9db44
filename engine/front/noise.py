"""What scores might have been on other rows of the same kind: draws, paired between points.

    results by row ──► weights of the rows, the same for all points ──► draws ──► shares of draws

A draw gives each row a weight that is exponentially distributed and takes every point's weighted
mean: the Bayesian bootstrap (Rubin, Annals of Statistics 9, 1981). Points that share rows share
their weights, so that differences are paired, and points that share some only (one was scored on
more rows) are paired on those; each keeps the error of its own rows.

    mean         mean + its standard error × deviation, in units of what the weights alone give;
    balanced     of shares that are balanced, the same
    perplexity   the same on the logarithmic scale
    proportion   (Σ w v + a) / (Σ w + a + b), with a and b of the point's own ~ Gamma(½): the
                 posterior under Jeffreys' prior, so that 0 of n and n of n are not certain. Two
                 points that differ on k and l rows are compared as in a sign test, Gamma(k + ½)
                 against Gamma(l + ½)
    exact        counted: no noise
    no rows      a score of which the error alone is known: normal, on its own

Points whose results are the same on every objective are drawn alike and stay ties. All is
reproducible: the seed is fixed.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.front.pareto import Bools, Floats

DRAWS = 1000
SEED = 20810

WITHIN = 0.025
"""Share of draws on either side of 0 from which a difference is within the noise."""

Kind = Literal["proportion", "balanced", "mean", "perplexity", "exact"]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Results:
    """What n points have on one objective.

    Attributes:
        kind: how a row's values become the score.
        mean: float64 [n], finite.
        stderr: float64 [n], of `errors`; NaN where there is none.
        values: float64 [n, rows], one an example, NaN where a point was not scored on that row; for
            a perplexity each example's own. No rows where the objective has no data.
        rows: names the rows: objectives of the same name are measured on the same ones.
    """

    kind: Kind
    mean: Floats
    stderr: Floats
    values: Floats
    rows: str = ""

    def only(self, points: ArrayLike) -> Results:
        """Those of some points: their places."""
        chosen = np.asarray(points)
        return replace(
            self, mean=self.mean[chosen], stderr=self.stderr[chosen], values=self.values[chosen]
        )

    @property
    def known(self) -> Bools:
        """bool [n]: where it is known how sure the score is."""
        if self.kind == "exact":
            return np.ones(len(self.mean), dtype=bool)
        if self.kind == "proportion":
            return np.isfinite(self.stderr) | np.isfinite(self.values).any(axis=1)
        return np.isfinite(self.stderr)


def errors(
    kinds: Sequence[Kind], mean: NDArray[np.float64], stderr: NDArray[np.float64], n: ArrayLike
) -> Floats:
    """Standard errors to reckon with, float64 [points, m]; NaN where none is known.

    That of a proportion whose examples all agree is 0, which is not certainty: there it is that of
    Jeffreys' posterior, Beta(k + ½, n − k + ½).

    Args:
        mean, stderr, n: [points, m].
    """
    found = np.array(stderr, dtype=np.float64)
    count = np.nan_to_num(np.asarray(n, dtype=np.float64))
    for column, kind in enumerate(kinds):
        if kind == "exact":
            found[:, column] = 0.0
        elif kind in ("proportion", "balanced"):
            size = count[:, column]
            share = (mean[:, column] * size + 0.5) / (size + 1.0)
            floor = np.sqrt(share * (1 - share) / (size + 2.0))
            own = found[:, column]
            found[:, column] = np.where((size > 0) & ~(own > 0), floor, own)
    return found


@functools.lru_cache(maxsize=16)
def _weights(rows: str, count: int, draws: int) -> NDArray[np.float32]:
    """float32 [count, draws], exponentially distributed; the first rows' are those of fewer."""
    random = np.random.default_rng((SEED, zlib.crc32(rows.encode())))
    found = random.standard_exponential((count, draws), dtype=np.float32)
    found.flags.writeable = False
    return found


def _different(values: NDArray[np.float64]) -> tuple[Places, Places]:
    """Places of the rows that differ, and which of them each row is. Equal rows have to be worked
    out once: a product of matrices may round two equal ones differently."""
    found: dict[bytes, int] = {}
    which = np.array([found.setdefault(each.tobytes(), len(found)) for each in values], np.intp)
    first = np.full(len(found), -1, np.intp)
    first[which[::-1]] = np.arange(len(which))[::-1]
    return first, which


def different(results: Sequence[Results]) -> tuple[Places, Places]:
    """Places of the points that differ on an objective, and which of them each point is."""
    columns = [np.column_stack([each.mean, each.stderr, each.values]) for each in results]
    return _different(np.ascontiguousarray(np.hstack(columns)))


def _own(place: int, many: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal numbers of an objective's points, of each its own."""
    random = np.random.default_rng((SEED, 1 + place))
    return random.standard_normal(many, dtype=np.float32).astype(np.float64)


def _drawn(result: Results, draws: int, place: int) -> Floats:
    """Draws of one objective, float64 [n, draws]."""
    exact = np.repeat(result.mean[:, None], draws, axis=1)
    if result.kind == "exact":
        return exact
    values = np.log(result.values) if result.kind == "perplexity" else result.values
    there = np.isfinite(values)
    n = there.sum(axis=1)
    centre = np.where(there, values, 0.0).sum(axis=1) / np.maximum(n, 1)
    off = np.where(there, values - centre[:, None], 0.0)
    first, which = _different(np.ascontiguousarray(np.where(there, values, np.nan)))
    weights = _weights(result.rows, values.shape[1], draws)
    moved = (off[first].astype(np.float32) @ weights).astype(np.float64)
    total = (there[first].astype(np.float32) @ weights).astype(np.float64)
    if result.kind == "proportion" and n.all():
        won, lost = _own(place, (2, len(n), draws)) ** 2 / 2
        total = total[which]
        found = (moved[which] + centre[:, None] * total + won) / (total + won + lost)
        return np.asarray(found)
    spread = np.sqrt((off**2).sum(axis=1) / np.maximum(n * (n + 1.0), 1.0))
    error = result.stderr / result.mean if result.kind == "perplexity" else result.stderr
    error = np.nan_to_num(error)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(spread > 0, error / spread, 0.0)[:, None] * (moved / total)[which]
    alone = (spread == 0) & (error > 0)
    if alone.any():
        change[alone] = error[alone, None] * _own(place, (int(alone.sum()), draws))
    return np.asarray(exact * np.exp(change) if result.kind == "perplexity" else exact + change)


def draw(results: Sequence[Results], draws: int = DRAWS) -> NDArray[np.float64]:
    """What the scores might have been, float64 [draws, n, m], in the objectives' own units.

    A score of which no error is known stays as it is.

    Args:
        results: one an objective, of the same n points.
    """
    first, which = different(results)
    found = [_drawn(each.only(first), draws, place) for place, each in enumerate(results)]
    return np.stack(found, axis=2)[which].transpose(1, 0, 2)


def lead(results: Sequence[Results]) -> list[tuple[float, bool]]:
    """Of two points, for each objective: the standard error of their paired difference, and whether
    the difference is within the noise: 0 is in its 95 % interval."""
    drawn = draw(results)
    found = []
    for difference in (drawn[:, 0] - drawn[:, 1]).T:
        ahead = min((difference > 0).mean(), (difference < 0).mean())
        found.append((float(difference.std()), bool(ahead >= WITHIN)))
    return found
