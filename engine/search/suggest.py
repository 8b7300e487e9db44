"""What to measure next, across methods, groups and parameters: expected hypervolume gain a second.

    an arm (method, parameters) with few points ──► Sobol over its sliders
    else  candidates of every arm ── joint draws (posterior.py, or gp.py) ──► improvement.choose

An arm is a method with its structural parameters; arms compete for each batch, by what their points
are expected to add to the front of all and by the seconds that one takes. `cost` is an objective
like any other. The same points, arms and seed give the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.search.improvement import Batch, choose
from engine.search.links import Link
from engine.search.posterior import Posterior, scaled
from engine.search.quadratic import Floats, by_model, shares

DRAWS = 64
CANDIDATES = 384
"""Of all arms together; each has 64 at least."""

LEAST = 64
STAND = 48
"""Measured points of an arm that are drawn jointly with its candidates: those nearest the front."""

FITTED = 300
"""Points of an arm behind its posterior at most: those nearest the front, for time's sake."""

DECIMALS = 3
STILL = 0.01
"""The front stands still where the next batch is expected to add less than this share."""


@dataclass(frozen=True)
class Goal:
    """An objective as a search sees it.

    Attributes:
        link, least: as of its scorer; exact: whether it is counted, not estimated.
        reference: in its own units; what is not better has no volume. A bound may move it.
        scale: ideal − nadir in size; gains are in units of the product of all.
    """

    name: str
    maximize: bool
    link: Link
    least: float
    exact: bool
    reference: float
    scale: float


@dataclass(frozen=True, eq=False)
class Arm:
    """One method under one set of parameters, and its points.

    Attributes:
        names: its K coefficients; ranges: float64 [K, 2].
        simplex: sums of which only the shares matter.
        places: float64 [n, K]; mean, stderr, n: [n, m], NaN where there is no score.
        seconds: that a point takes.
        tried: positions that were tried and have no score, not asked for again.
    """

    method: str
    parameters: Mapping[str, Any]
    names: tuple[str, ...]
    ranges: Floats
    simplex: int
    places: Floats
    mean: Floats
    stderr: Floats
    n: Floats
    seconds: float = 1.0
    tried: Floats = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True)
class Suggestion:
    """A batch, and what is expected of it.

    Attributes:
        positions: (arm, coefficients) each.
        gain: expected gain of hypervolume, as a share of the volume there is; noise: standard
            deviation of that volume, likewise a share. None in the space-filling start.
        start: whether the batch belongs to that.
    """

    positions: tuple[tuple[int, tuple[float, ...]], ...]
    gain: float | None = None
    noise: float | None = None
    start: bool = False


Draw = Callable[[Arm, Sequence[Goal], Floats, np.random.Generator], Floats]
"""Arm, goals, positions [p, K] -> draws [DRAWS, p, m] of the true scores, in their own units."""


def begun(arm: Arm) -> int:
    """Points that an arm has before it competes: two more than a linear model needs."""
    return int(len(arm.names) - arm.simplex + 3)


def by_quadratic(
    arm: Arm, goals: Sequence[Goal], positions: Floats, rng: np.random.Generator
) -> Floats:
    """`Draw` by the quadratic posterior of each objective."""
    found = np.empty((DRAWS, len(positions), len(goals)))
    places = scaled(positions, arm.ranges, arm.simplex)
    for column, goal in enumerate(goals):
        normal = rng.standard_normal((DRAWS, len(positions)))
        known = np.isfinite(arm.mean[:, column])
        scores = arm.mean[known, column]
        if goal.exact:
            found[:, :, column] = commonest(scores)
            continue
        spread = (arm.n if goal.link == "logit" else arm.stderr)[known, column]
        model = Posterior(
            scaled(arm.places[known], arm.ranges, arm.simplex), scores, spread, goal.link,
            goal.least,
        )  # fmt: skip
        found[:, :, column] = model.draws(places, normal)
    return found


def suggest(
    arms: Sequence[Arm],
    others: Floats,
    goals: Sequence[Goal],
    count: int,
    seed: Sequence[int],
    draw: Draw = by_quadratic,
) -> Suggestion:
    """The next batch, once every arm has begun (`begun`).

    Args:
        others: float64 [k, m] means of points of no arm, as the unmerged models; NaN is set aside.
        count: points at most.
        seed: of the candidates and the draws.
    """
    rng = np.random.default_rng(list(seed))
    flip = np.array([-1.0 if each.maximize else 1.0 for each in goals])
    scale = np.array([each.scale for each in goals])
    reference = np.array([each.reference for each in goals]) * flip / scale
    others = others[np.isfinite(others).all(axis=1)] * flip / scale
    size = max(LEAST, CANDIDATES // len(arms))
    measured, candidates, where, seconds = [], [], [], []
    for number, arm in enumerate(arms):
        arm = _nearest_front(arm, flip / scale, FITTED)
        few = _nearest_front(arm, flip / scale, STAND)
        fresh = _candidates(few, size, rng)
        drawn = draw(arm, goals, np.vstack((few.places, fresh)), rng) * flip / scale
        measured.append(drawn[:, : len(few.places)])
        candidates.append(drawn[:, len(few.places) :])
        where += [(number, tuple(row)) for row in fresh.tolist()]
        seconds += [arm.seconds] * len(fresh)
    still = np.broadcast_to(others, (DRAWS, *others.shape))
    found: Batch = choose(
        np.concatenate([*measured, still], axis=1), np.concatenate(candidates, axis=1),
        reference, np.array(seconds), count,
    )  # fmt: skip
    whole = found.volume or 1.0
    return Suggestion(
        tuple(where[row] for row in found.chosen), found.gain / whole, found.noise / whole
    )


def commonest(scores: Floats) -> float:
    """What is counted is the same wherever every coefficient counts: the commonest value."""
    values, counts = np.unique(scores, return_counts=True)
    return float(values[counts.argmax()]) if len(values) else 0.0


def _nearest_front(arm: Arm, signs: Floats, most: int) -> Arm:
    """The arm with at most so many points: those that fewest others dominate, on all objectives."""
    whole = np.isfinite(arm.mean).all(axis=1)
    if whole.sum() <= most and whole.all():
        return arm
    rows = np.flatnonzero(whole)
    values = arm.mean[rows] * signs
    beaten = np.array([(values <= each).all(axis=1).sum() for each in values])
    rows = np.sort(rows[np.argsort(beaten, kind="stable")[:most]])
    return Arm(
        arm.method, arm.parameters, arm.names, arm.ranges, arm.simplex, arm.places[rows],
        arm.mean[rows], arm.stderr[rows], arm.n[rows], arm.seconds,
        np.vstack([*(each for each in (arm.tried,) if each.size), arm.places]),
    )  # fmt: skip


def _candidates(arm: Arm, count: int, rng: np.random.Generator) -> Floats:
    """Positions [≤ count, K] that are not measured: a third anywhere, a third of them on the edges
    of the ranges, a third beside the points of the front."""
    low, high = arm.ranges.T
    k, width = len(low), high - low
    third = count // 3
    found = low + width * rng.uniform(size=(count, k))
    edge = rng.uniform(size=(third, k))
    ends = np.where(rng.uniform(size=(third, k)) < 0.5, low, high)
    found[:third] = np.where(edge < 0.4, ends, found[:third])
    if len(arm.places):
        near = arm.places[rng.integers(len(arm.places), size=third)]
        if arm.simplex:
            near = shares(near, arm.simplex)
        step = width * rng.choice([0.03, 0.1, 0.25], size=(third, 1))
        moved = np.where(rng.uniform(size=near.shape) < 0.7, step, 0.0)
        found[third : 2 * third] = np.clip(
            near + moved * rng.standard_normal(near.shape), low, high
        )
    if arm.simplex:
        total = np.abs(by_model(found, arm.simplex).sum(axis=1))
        found = shares(found[(total > 0.05).all(axis=1)], arm.simplex)
    found = np.unique(np.round(found, DECIMALS) + 0.0, axis=0)
    known = [each for each in (arm.places, arm.tried) if each.size]
    if known:
        there = np.vstack(known)
        there = shares(there, arm.simplex) if arm.simplex else there
        apart = np.abs(found[:, None, :] - there[None, :, :]).max(axis=2)
        found = found[(apart > 0.5 * 10.0**-DECIMALS).all(axis=1)]
    return np.asarray(rng.permutation(found), dtype=np.float64)
