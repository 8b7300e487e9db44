"""The quadratic surrogate: predicted scores anywhere on a method's sliders.

    measured points ── link ──► weighted least squares on 1, c_i, c_i c_j ── link⁻¹ ──► mean, band

Each point weighs by the variance of its score on the link's scale (delta method). Where the
residuals are larger than that, a quadratic is too stiff, and what it misses is added to every
point's variance: τ², as in meta-regression. Where they are smaller, every point having answered the
same prompts and shared their luck, one factor φ below 1 is on all. The band holds where a measured
score would lie 95 times in 100 if this were the truth: a model band, so the share of points that a
fit without them would have caught is reported with it.

Nothing is fitted that the positions do not determine: points along one axis say nothing about the
others, and duplicates add nothing. For methods in which only ratios matter, the first K − 1 shares
are fitted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.search.least_squares import orthonormal, solve, student, unexplained
from engine.search.links import LINKS, Link, bernoulli, floored, linked, unlinked
from engine.search.quadratic import (
    Floats,
    TooFew,
    features,
    fill,
    informative,
    parameters_needed,
    shares,
)

__all__ = [
    "LINKS",
    "Link",
    "Predicted",
    "Surrogate",
    "TooFew",
    "constant",
    "features",
    "fill",
    "fit",
    "informative",
    "parameters_needed",
]


PRIOR = 4.0
"""φ starts at 1, worth this many residuals: a handful of points cannot prove that it is 0."""

ROUNDS = 3
"""Fits to settle τ², after which it moves by less than 2 %; at most."""

SAME_PLACE = 6
"""Decimals to which two positions are the same."""

SLACK = 1e-6
"""A position this far beyond the points is not outside yet: what rounding leaves."""


@dataclass(frozen=True)
class Predicted:
    """What a surrogate says at n positions, in the objective's own units, float64 [n] each.

    Attributes:
        mean: the surface.
        low, high: the 95 % model band.
        outside: bool; whether no measured point stands by it there (`Surrogate.outside`).
    """

    mean: Floats
    low: Floats
    high: Floats
    outside: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A fitted surface of one objective over a method's K coefficients.

    Attributes:
        names: the coefficients, in the order of a position.
        link: what is quadratic is link(score).
        simplex: sums of a position of which only the proportions matter: 0, 1, or one a band of
            layers.
        beta: float64 [p], of the basis as `features` gives it.
        factor: float64 [p, p], F with F Fᵀ the covariance of beta, φ included.
        noise: sampling variance of one score on the link's scale, φ included; under "logit" to be
            divided by p (1 − p).
        scatter: φ τ², what the surface misses on the link's scale.
        count: under "logit", examples behind a typical score.
        freedom: degrees of freedom behind φ.
        n: distinct positions fitted.
        calibration: share of the points that lie in the 95 % band of a fit without them; None if
            no point can be left out.
        least: no prediction is below this.
        inside: whether it holds only where no coefficient is 0.
        box: float64 [2, K], least and most of each coefficient (share) fitted; None: anywhere.
        reach: largest variance of the surface itself at a fitted position.
    """

    names: tuple[str, ...]
    link: Link
    simplex: int
    beta: Floats
    factor: Floats
    noise: float
    scatter: float
    count: float
    freedom: float
    n: int
    calibration: float | None
    least: float = -math.inf
    basis: str = "quadratic"
    inside: bool = False
    box: Floats | None = None
    reach: float = math.inf

    def predict(self, positions: ArrayLike) -> Predicted:
        """The surface and its band at positions [n, K]; coefficients, never pre-scaled."""
        rows = features(positions, self.simplex)
        centre = rows @ self.beta
        noise = self.noise / bernoulli(centre, self.count) if self.link == "logit" else self.noise
        # squares are added, so that what large terms leave of each other stays exact, never below 0
        own = ((rows @ self.factor) ** 2).sum(axis=1)
        variance = own + self.scatter + noise
        half = student(self.freedom) * np.sqrt(variance)
        mean, low, high = (
            unlinked(each, self.link, self.count, self.least)
            for each in (centre, centre - half, centre + half)
        )
        return Predicted(mean, low, high, self._outside(positions, own))

    def outside(self, positions: ArrayLike) -> NDArray[np.bool_]:
        """bool [n]: which positions [n, K] extrapolate: outside the box of the points fitted, or
        less certain than any of them, beyond the independent variable hull (Cook 1977)."""
        own = ((features(positions, self.simplex) @ self.factor) ** 2).sum(axis=1)
        return self._outside(positions, own)

    def _outside(self, positions: ArrayLike, own: Floats) -> NDArray[np.bool_]:
        found = np.asarray(own > self.reach * (1.0 + SLACK))
        if self.box is not None:
            places = np.asarray(positions, dtype=np.float64)
            places = shares(places, self.simplex) if self.simplex else places
            low, high = self.box
            found |= ((places < low - SLACK) | (places > high + SLACK)).any(axis=1)
        return found

    def document(self) -> dict[str, Any]:
        """For JSON: what is needed to draw or explain the surface."""
        return {
            "names": list(self.names), "link": self.link, "basis": self.basis,
            "simplex": bool(self.simplex), "beta": self.beta.tolist(), "n": self.n,
            "calibration": self.calibration,
            "box": None if self.box is None else self.box.T.tolist(),
        }  # fmt: skip


def constant(names: Sequence[str], value: float, n: int, simplex: int = 0) -> Surrogate:
    """A surface that is one value wherever no coefficient is 0, without an error: n points have it.

    For what is counted and not sampled, as the parameters that run.
    """
    size = parameters_needed(len(names), simplex)
    beta = np.zeros(size)
    beta[0] = value
    return Surrogate(
        tuple(names), "identity", simplex, beta, np.zeros((size, size)), 0.0, 0.0, 0.0, PRIOR, n,
        None, basis="constant", inside=True,
    )  # fmt: skip


def fit(
    names: Sequence[str],
    positions: ArrayLike,
    mean: ArrayLike,
    *,
    link: Link,
    count: ArrayLike | None = None,
    stderr: ArrayLike | None = None,
    simplex: int = 0,
    least: float = -math.inf,
) -> Surrogate:
    """The surface through measured scores.

    Points without a finite score or place are set aside. Points of one place count once, their
    scores averaged: the same prompts asked twice are no second sample.

    Args:
        names: the K coefficients.
        positions: [n, K] coefficients; on a simplex they are scaled to sum one here.
        mean: [n] scores in the objective's own units.
        link: one of `LINKS`.
        count: [n] examples behind each score; needed by "logit" and used by it alone.
        stderr: [n] standard errors for the other links; NaN if there is none. None: no noise.
        simplex: sums of which only the proportions matter.
        least: the objective is never below this.

    Raises:
        TooFew: the distinct positions do not determine every parameter.
        ValueError: a link that there is not, shapes that do not fit, "logit" without counts.
    """
    places = np.asarray(positions, dtype=np.float64).reshape(-1, len(names))
    scores = np.asarray(mean, dtype=np.float64)
    if link not in LINKS or scores.shape != places.shape[:1]:
        raise ValueError(f"no fit of {scores.shape} scores at {places.shape} places by {link!r}")
    if simplex:
        places = shares(places, simplex)
    if link == "logit":
        if count is None:
            raise ValueError("proportions need their numbers of examples")
        spread = np.broadcast_to(np.asarray(count, dtype=np.float64), scores.shape)
        kept = np.isfinite(scores) & (spread > 0)
    else:
        spread = np.broadcast_to(np.asarray(0.0 if stderr is None else stderr), scores.shape)
        kept = np.isfinite(scores)
    kept &= np.isfinite(places).all(axis=1)
    places, scores, spread = _distinct(places[kept], scores[kept], spread[kept])
    rows, back = orthonormal(features(places, simplex))
    values, variance = linked(scores, spread, link)
    beta, factor = solve(rows, values, variance)
    if link == "logit":  # a lucky 0 of n is no less certain than its neighbours: once more
        variance = floored(1.0 / ((spread + 1.0) * bernoulli(rows @ beta, spread)), values)
        beta, factor = solve(rows, values, variance)

    left = len(values) - len(beta)
    missed = 0.0
    for _ in range(ROUNDS):
        before, missed = missed, unexplained((values - rows @ beta) ** 2, variance, left)
        if abs(missed - before) <= 0.02 * missed:
            break
        beta, factor = solve(rows, values, variance + missed)

    # w: standardised residuals; h: leverages, the diagonal of the hat matrix
    w = (values - rows @ beta) ** 2 / (variance + missed)
    h = ((rows @ factor) ** 2).sum(axis=1) / (variance + missed)
    freedom = PRIOR + left
    scale = float(PRIOR + w.sum()) / freedom
    reach = scale * float(((rows @ factor) ** 2).sum(axis=1).max())
    beta, factor = back @ beta, back @ factor
    typical = float(np.median(spread)) if link == "logit" else 0.0
    noise = 1.0 / (typical + 1.0) if link == "logit" else float(np.median(variance))
    return Surrogate(
        tuple(names), link, simplex, beta, math.sqrt(scale) * factor, scale * noise,
        scale * missed, typical, freedom, len(values), _caught(w, h, left), least,
        box=np.array([places.min(axis=0), places.max(axis=0)]), reach=reach,
    )  # fmt: skip


def _caught(w: Floats, h: Floats, left: int) -> float | None:
    """Share of the points inside the band of a fit without them, in closed form.

    Without point i its residual is r / (1 − h), of variance φ v / (1 − h), and the sum of squares
    behind φ is less by r² / (v (1 − h)) (Cook & Weisberg 1982, section 2.2). v holds τ², which is
    not estimated again.

    Args:
        w: r² / v of each point.
        h: its leverage.
        left: points beyond the parameters.
    """
    free = h < 1.0 - 1e-9
    if left < 1 or not free.any():
        return None
    without = w[free] / (1.0 - h[free])
    freedom = PRIOR + left - 1.0
    scale = (PRIOR + np.maximum(w.sum() - without, 0.0)) / freedom
    return float((without <= student(freedom) ** 2 * scale).mean())


def _distinct(places: Floats, *columns: Floats) -> list[Floats]:
    """One row a place, what stands beside it averaged."""
    if not len(places):
        return [places, *columns]
    keys = np.round(places, SAME_PLACE)
    order = np.lexsort(keys.T)
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    sizes = np.diff(np.r_[starts, len(keys)])
    return [
        places[order][starts],
        *(np.add.reduceat(column[order], starts) / sizes for column in columns),
    ]
