"""A quadratic with its uncertainty: joint draws of what an objective may be, at any positions.

    link(score) = 1, u_i, u_i u_j  ·  θ   +   what a quadratic misses, smooth   +   noise
                        θ ~ N(0, prior)        τ² exp(−|u − u'|² / 2 l²)            v of each point

Positions u are the ranges scaled to [−1, 1], shares on a simplex; scores are standardised on the
link's scale. θ integrated out, that is a Gaussian process (Rasmussen & Williams 2006, section 2.7),
and so it answers from the first few points on, where the surrogate of the page (surrogate.py) waits
until the quadratic is determined. The v are those of each point's own rows, so that few rows count
little. Prior, τ², l and the share of the noise that points do not have in common are those of a
small grid under which the scores measured are most likely.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from engine.search.links import Link, linked, unlinked
from engine.search.quadratic import Floats, features, shares

SLOPE = (0.3, 1.0, 3.0)
"""Prior variances of a linear term, the variance of the scores being 1; squares have a third."""

MISSED = (0.02, 0.1, 0.3, 1.0)
LENGTHS = (0.35, 0.7, 1.4)
SHARED = (0.1, 1.0)
"""Prompts are the same at every point, so that much of a score's luck is every point's."""

LEVEL = 4.0
JITTER = 1e-8


@dataclass(frozen=True, eq=False)
class Setting:
    """Hyperparameters: the prior variance of slopes, τ², l and the factor on the noise."""

    slope: float
    missed: float
    length: float
    noise: float


def scaled(positions: Floats, ranges: Floats, simplex: int) -> Floats:
    """Positions [n, K] in units of half a range about its middle; shares on a simplex, from −1 to
    1, without the last of each sum."""
    if simplex:
        return 2.0 * shares(positions, simplex)[:, :-simplex] - 1.0
    low, high = ranges.T
    width = np.where(high > low, high - low, 1.0)
    return 2.0 * (positions - low) / width - 1.0


def kernel(one: Floats, other: Floats, setting: Setting) -> Floats:
    """Prior covariance between places [n, d] and [m, d]."""
    dimensions = one.shape[1]
    prior = np.full(features(one[:1]).shape[1], setting.slope / 3.0)
    prior[0], prior[1 : 1 + dimensions] = LEVEL, setting.slope
    smooth = features(one) * prior @ features(other).T
    gaps = ((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(smooth + setting.missed * np.exp(-0.5 * gaps / setting.length**2))


class Posterior:
    """What the scores measured say of one objective over one method's sliders.

    Args:
        places: float64 [n, d], as `scaled` gives them, n ≥ 1.
        scores: float64 [n], finite.
        spread: float64 [n], examples under "logit", else standard errors (NaN: none).
    """

    def __init__(
        self, places: Floats, scores: Floats, spread: Floats, link: Link, least: float
    ) -> None:
        values, variance = linked(scores, spread, link)
        self.places, self.link, self.least = places, link, least
        self.count = float(np.median(spread)) if link == "logit" else 0.0
        self.middle = float(values.mean())
        self.scale = float(values.std()) or 1.0
        self.values = (values - self.middle) / self.scale
        self.variance = variance / self.scale**2
        self.setting = self._likeliest()
        self._factor, self._solved = self._fit(self.setting)

    def _fit(self, setting: Setting) -> tuple[Floats, Floats]:
        """L of K + V = L Lᵀ, and L⁻¹ y."""
        whole = kernel(self.places, self.places, setting)
        whole[np.diag_indices_from(whole)] += setting.noise * self.variance + JITTER
        factor = np.linalg.cholesky(whole)
        solved = np.linalg.solve(factor, self.values)
        return np.asarray(factor, dtype=np.float64), np.asarray(solved, dtype=np.float64)

    def _likeliest(self) -> Setting:
        def evidence(setting: Setting) -> float:
            factor, solved = self._fit(setting)
            return -0.5 * float(solved @ solved) - float(np.log(np.diag(factor)).sum())

        grid = [Setting(*each) for each in itertools.product(SLOPE, MISSED, LENGTHS, SHARED)]
        return max(grid, key=evidence)

    def moments(self, places: Floats) -> tuple[Floats, Floats]:
        """Mean [n] and covariance [n, n] at places [n, d], standardised, without noise."""
        solved = np.linalg.solve(self._factor, kernel(self.places, places, self.setting))
        across = np.asarray(solved, dtype=np.float64)
        covariance = kernel(places, places, self.setting) - across.T @ across
        return across.T @ self._solved, covariance

    def draws(self, places: Floats, normal: Floats) -> Floats:
        """Joint draws [s, n] of the true scores at places [n, d], in the objective's own units.

        Args:
            normal: standard normal numbers [s, n].
        """
        mean, covariance = self.moments(places)
        covariance[np.diag_indices_from(covariance)] += 1e-6
        found = mean + normal @ np.linalg.cholesky(covariance).T
        return unlinked(self.middle + self.scale * found, self.link, self.count, self.least)
