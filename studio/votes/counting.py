"""What votes say: who wins, how often, how sure, and whether the position decides.

win rate       of a over b, over questions: the mean of a's score, 1 for a win, ½ for a tie or
               where both are bad, 0 for a loss; the votes on a question are averaged first,
               since its two orders are one observation. Wilson's 95 % interval with n
               questions, its error sd(ddof 1) / √n.
position bias  the share of votes for the left among those that choose a side, with Wilson's
               interval; ½ is none.
strength       of a point in a Bradley–Terry model (1952, Biometrika 39) of all pairs, a tie as
               half a win of each (Davidson's ν = 0): log-odds against the mean of all, by
               Newton's method on the log-likelihood with a weak normal prior (sd 3), which keeps
               it finite; its error from the inverse of the Hessian.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.scoring.intervals import wilson
from studio.votes.ballots import Vote

PRIOR_SD = 3.0
"""Log-odds: a point that always wins is about e³ = 20 to 1 ahead."""


@dataclass(frozen=True)
class Rate:
    """How one point does against another.

    Attributes:
        one, other: ids of points.
        questions: that have a vote.
        votes, wins, losses, ties, bad: counts of votes, from the first's side.
        rate, stderr, low, high: of the first's win rate; stderr NaN with one question.
    """

    one: str
    other: str
    questions: int
    votes: int
    wins: int
    losses: int
    ties: int
    bad: int
    rate: float
    stderr: float
    low: float
    high: float


@dataclass(frozen=True)
class Bias:
    """How often the left one is chosen.

    Attributes:
        left, decided: votes for the left, votes for a side.
        share, low, high: NaN where none is decided.
    """

    left: int
    decided: int
    share: float
    low: float
    high: float


def rate(votes: Iterable[Vote], one: str, other: str) -> Rate | None:
    """The first's win rate over the second; None without a vote on them."""
    scores: dict[str, list[float]] = {}
    counts = dict.fromkeys(("wins", "losses", "ties", "bad"), 0)
    for each in votes:
        if {each.ballot.left, each.ballot.right} != {one, other}:
            continue
        score = each.score if each.ballot.left == one else 1.0 - each.score
        scores.setdefault(each.ballot.question, []).append(score)
        kind = {"tie": "ties", "bad": "bad"}.get(each.choice, "wins" if score else "losses")
        counts[kind] += 1
    if not scores:
        return None
    means = np.array([sum(each) / len(each) for each in scores.values()])
    n, mean = len(means), float(means.mean())
    low, high = wilson(float(means.sum()), n)
    stderr = float(means.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    total = sum(map(len, scores.values()))
    return Rate(one, other, n, total, **counts, rate=mean, stderr=stderr, low=low, high=high)


def pairs(votes: Iterable[Vote]) -> list[tuple[str, str]]:
    """The pairs of points that have a vote, in the order of the first."""
    return list(dict.fromkeys(each.ballot.pair for each in votes))


def bias(votes: Iterable[Vote]) -> Bias:
    """How often the left one is chosen."""
    chosen = [each.choice for each in votes if each.choice in ("left", "right")]
    left, decided = chosen.count("left"), len(chosen)
    if not decided:
        return Bias(0, 0, math.nan, math.nan, math.nan)
    return Bias(left, decided, left / decided, *wilson(left, decided))


def compared(votes: Iterable[Vote]) -> list[tuple[str, str, float]]:
    """(one, other, score of one) of each pair on each question: its votes averaged, by all voters
    given."""
    grouped: dict[tuple[str, str, str], list[float]] = {}
    for each in votes:
        one, other = each.ballot.pair
        score = each.score if each.ballot.left == one else 1.0 - each.score
        grouped.setdefault((each.ballot.question, one, other), []).append(score)
    return [(one, other, sum(s) / len(s)) for (_, one, other), s in grouped.items()]


def strengths(votes: Sequence[Vote]) -> Mapping[str, tuple[float, float]]:
    """Point -> Bradley–Terry strength and its standard error, both in log-odds; {} without a vote.

    A question's votes on a pair count as one comparison, as in `rate`.
    """
    points = list(dict.fromkeys(point for pair in pairs(votes) for point in pair))
    if not points:
        return {}
    place = {point: row for row, point in enumerate(points)}
    known = compared(votes)
    ones = np.array([place[one] for one, _, _ in known])
    others = np.array([place[other] for _, other, _ in known])
    won = np.array([score for _, _, score in known])
    design = np.zeros((len(won), len(points)))
    design[np.arange(len(won)), ones] += 1.0
    design[np.arange(len(won)), others] -= 1.0
    strength, hessian = np.zeros(len(points)), np.eye(len(points))
    for _ in range(100):
        chance = 1.0 / (1.0 + np.exp(-(design @ strength)))
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design
        hessian += np.eye(len(points)) / PRIOR_SD**2
        step = np.linalg.solve(hessian, design.T @ (won - chance) - strength / PRIOR_SD**2)
        strength = strength + step
        if np.abs(step).max() < 1e-10:
            break
    # against the mean of all: what the prior knows of the common level drops out
    centre = np.eye(len(points)) - 1.0 / len(points)
    error = np.sqrt(np.diag(centre @ np.linalg.inv(hessian) @ centre))
    strength = centre @ strength
    return {
        point: (float(value), float(each))
        for point, value, each in zip(points, strength, error, strict=True)
    }
