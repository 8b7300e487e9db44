"""Which position of the preference sliders a voter has, and whom to compare next.

    votes ──► posterior over positions w ──► the point that serves it best, its expected regret
                                        └──► the pair to compare next

A position is a set of weights over the front's objectives, and its utility of a point is minus the
augmented Chebyshev term that the preference panel ranks points by. A voter with position w prefers
point a to point b with probability 1 / (1 + exp(−β (u(a) − u(b)))); a tie is half a vote for each.
Positions are drawn from a flat Dirichlet, and β from a grid, so that how decided a voter is need
not be known; each draw is weighted by the likelihood of the votes (importance sampling: exact as
the number of draws grows). What counts is a point's posterior utility, not the weights themselves.

The next pair is that of the largest expected utility of the better one, E[max(u(a), u(b))]: qEUBO
of two (arXiv 2303.15746), one-step optimal where votes are without noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.front.preference import RHO

Floats = NDArray[np.float64]

DECIDED = (2.0, 5.0, 10.0, 20.0, 40.0)
"""β: at 10 a tenth of the range apart is 73 : 27."""
DRAWS, MOST_DRAWS = 2000, 32_000
ENOUGH = 200.0
"""Draws that the posterior consists of in effect, below which there are drawn more."""
MOST = 60
"""Points that a pair is chosen from: those most often the best under the posterior."""

Duel = tuple[int, int, float]
"""Row of one point, row of another, the first one's score: 1, ½ or 0."""


def utilities(terms: Floats, weights: Floats) -> Floats:
    """Utility of each point at each position, float64 [draws, points].

    Args:
        terms: float64 [points, objectives], 0 at the range's best and 1 at its worst.
        weights: float64 [draws, objectives], each row of sum one.
    """
    found = np.full((len(weights), len(terms)), -np.inf)
    for column in range(terms.shape[1]):
        np.maximum(found, np.outer(weights[:, column], terms[:, column]), out=found)
    return -(found + RHO * (weights @ terms.T))


@dataclass(frozen=True)
class Posterior:
    """What votes say of a voter's position.

    Attributes:
        weights: float64 [draws, objectives].
        utility: float64 [draws, points].
        share: float64 [draws], the posterior probability of each draw; its sum is one.
    """

    weights: Floats
    utility: Floats
    share: Floats

    @cached_property
    def expected(self) -> Floats:
        """Posterior utility of each point, float64 [points]."""
        return np.asarray(self.share @ self.utility)

    @property
    def best(self) -> int:
        """The point of the largest posterior utility; of equals the earlier."""
        return int(self.expected.argmax())

    @property
    def regret(self) -> float:
        """How much worse than the voter's own best the best point is expected to be, in units of an
        objective's range."""
        return float(self.share @ self.utility.max(axis=1) - self.expected.max())

    @property
    def position(self) -> Floats:
        """The mean position, float64 [objectives]."""
        return np.asarray(self.share @ self.weights)

    @property
    def spread(self) -> Floats:
        """Its standard deviation, float64 [objectives]."""
        return np.asarray(np.sqrt(self.share @ (self.weights - self.position) ** 2))

    @property
    def draws(self) -> float:
        """Of how many draws the posterior consists in effect, 1 / Σ share²: few are too few."""
        return float(1.0 / (self.share**2).sum())

    def next_pair(self) -> tuple[int, int] | None:
        """The pair to compare next, the more useful first; None where no two points differ."""
        best = np.zeros(self.utility.shape[1])
        np.add.at(best, self.utility.argmax(axis=1), self.share)
        rows = np.argsort(-(best + 1e-9 * self.expected), kind="stable")[:MOST]
        found, pair = -np.inf, None
        for place, one in enumerate(rows.tolist()):
            rest = rows[place + 1 :]
            if not len(rest):
                break
            gains = self.share @ np.maximum(self.utility[:, [one]], self.utility[:, rest])
            top = int(gains.argmax())
            if gains[top] > found and np.ptp(self.utility[:, one] - self.utility[:, rest[top]]) > 0:
                found, pair = float(gains[top]), (one, int(rest[top]))
        if pair is not None and self.expected[pair[1]] > self.expected[pair[0]]:
            pair = pair[1], pair[0]
        return pair


def posterior(terms: Floats, duels: Sequence[Duel], seed: int = 0, draws: int = DRAWS) -> Posterior:
    """The posterior after these duels; the same for the same seed.

    Many votes leave few draws that fit them: then four times as many are drawn, up to `MOST_DRAWS`.

    Args:
        terms: float64 [points ≥ 1, objectives ≥ 1].
    """
    found = _drawn(terms, duels, seed, draws)
    while found.draws < ENOUGH and len(found.share) < MOST_DRAWS:
        found = _drawn(terms, duels, seed, 4 * len(found.share))
    return found


def _drawn(terms: Floats, duels: Sequence[Duel], seed: int, draws: int) -> Posterior:
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(terms.shape[1]), draws)
    decided = np.resize(DECIDED, draws)
    utility = utilities(terms, weights)
    log = np.zeros(draws)
    for one, other, score in duels:
        gap = decided * (utility[:, one] - utility[:, other])
        log -= score * np.logaddexp(0.0, -gap) + (1 - score) * np.logaddexp(0.0, gap)
    share = np.exp(log - log.max())
    return Posterior(weights, utility, share / share.sum())
