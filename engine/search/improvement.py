"""Which points to measure together: expected gain of hypervolume over joint draws, greedily.

    draws of what is measured ──► a front a draw ┐
    draws of the candidates ─────────────────────┴─► gain of each in each draw ──► mean ÷ seconds

The front itself is drawn, so that a lucky score is not a wall that nothing can pass (NEHVI, arXiv
2105.08195, eq. 4). A batch is chosen one by one, each taken into the fronts of every draw before
the next; gains only shrink as fronts grow, so that a candidate is looked at again only when it
leads (lazy greedy, Minoux 1978).

A bound on an objective is a reference there: what does not meet it has no volume.

Throughout smaller is better and values are scaled by the caller.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from engine.search.quadratic import Floats

LOOKED = 64
"""Candidates whose gain is computed exactly."""

COSTLY = {4: 2, 5: 4}
"""Objectives -> by what draws and candidates looked at are divided; more objectives count as 5.
There a hypervolume takes milliseconds."""


@dataclass(frozen=True)
class Batch:
    """What is measured next.

    Attributes:
        chosen: rows of the candidates, the most promising first.
        gain: expected gain of hypervolume of all of them together.
        volume: expected hypervolume of what is measured.
        noise: its standard deviation over the draws.
    """

    chosen: list[int]
    gain: float
    volume: float
    noise: float


def volume(points: Floats, reference: Floats) -> float:
    """Hypervolume of points [n, m] up to reference [m], smaller being better."""
    inside = points[(points < reference).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=reference)) if len(inside) else 0.0


def gain(point: Floats, front: Floats, reference: Floats) -> float:
    """What a point [m] adds to the hypervolume of a front [n, m]: its own box less what the front
    has of it."""
    if not (point < reference).all():
        return 0.0
    own = float(np.prod(reference - point))
    return max(0.0, own - volume(np.maximum(front, point), reference))


def choose(
    measured: Floats, candidates: Floats, reference: Floats, seconds: Floats, count: int
) -> Batch:
    """The batch of most expected gain a second.

    Args:
        measured: float64 [draws, n, m], joint draws of what is measured.
        candidates: float64 [draws, c, m], drawn together with it.
        reference: float64 [m].
        seconds: float64 [c] that each takes, above 0.
        count: how many at most; candidates without any gain are not chosen.
    """
    part = COSTLY.get(min(len(reference), 5), 1)
    draws = max(1, len(candidates) // part)
    measured, candidates = measured[:draws], candidates[:draws]
    fronts = [_front(each, reference) for each in measured]
    volumes = np.array([volume(each, reference) for each in fronts])
    gains = _gains(fronts, candidates, reference, LOOKED // part)
    heap = [(-float(mean) / seconds[row], row, 0) for row, mean in enumerate(gains.mean(axis=0))]
    heapq.heapify(heap)
    chosen: list[int] = []
    total = 0.0
    while heap and len(chosen) < count:
        rate, row, seen = heapq.heappop(heap)
        if rate >= 0.0:
            break
        if seen < len(chosen):  # a gain from before the last ones were chosen
            live = np.flatnonzero(gains[:, row] > 0.0).tolist()
            for draw in live:
                gains[draw, row] = gain(candidates[draw, row], fronts[draw], reference)
            heapq.heappush(heap, (-float(gains[:, row].mean()) / seconds[row], row, len(chosen)))
            continue
        chosen.append(row)
        total += float(gains[:, row].mean())
        for draw in np.flatnonzero(gains[:, row] > 0.0).tolist():
            fronts[draw] = _front(np.vstack((fronts[draw], candidates[draw, row])), reference)
    return Batch(chosen, total, float(volumes.mean()), float(volumes.std()))


def _front(points: Floats, reference: Floats) -> Floats:
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return inside
    found: NDArray[np.bool_] = moocore.is_nondominated(inside)
    return inside[found]


def _gains(fronts: list[Floats], candidates: Floats, reference: Floats, most: int) -> Floats:
    """float64 [draws, c]: the gain of each candidate by itself; 0 for those that are passed over.

    Looked at exactly are the `most` candidates that the fronts would have to be moved most for,
    on average, to dominate them (additive epsilon): a matter of one subtraction.
    """
    moved = np.array([_moved(*each, reference) for each in zip(fronts, candidates, strict=True)])
    looked = np.argsort(-moved.mean(axis=0), kind="stable")[:most]
    found = np.zeros(moved.shape)
    for draw, front in enumerate(fronts):
        for row in looked[moved[draw, looked] > 0.0].tolist():
            found[draw, row] = gain(candidates[draw, row], front, reference)
    return found


def _moved(front: Floats, candidates: Floats, reference: Floats) -> Floats:
    """float64 [c]: how far a front has to move to dominate each candidate; 0 where it does."""
    edge = (reference - candidates).min(axis=1)
    if len(front):
        apart = (front[None, :, :] - candidates[:, None, :]).max(axis=2)
        edge = np.minimum(edge, apart.min(axis=1))
    return np.maximum(edge, 0.0)
