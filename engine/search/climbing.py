"""A utility of one's own, maximised along the front without leaving it: our reading of the
semivectorial bilevel problem of arXiv 2504.02854, max u(F(λ)) over the λ that are Pareto-optimal.

    on the front ─ predictor: a step that raises u ─► off it ─ corrector: FERERO ─► on it again
                   └─ shorter, where u is not larger there ◄────────────────────────┘

A utility that falls where an objective gets better would leave the front if it were just followed;
the corrector brings it back to a place that no small move betters in every objective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from engine.front.pareto import Floats
from engine.search.ferero import (
    LONGEST,
    MET,
    STILL,
    Evaluate,
    Preference,
    Region,
    Solution,
    Visited,
    solve,
    subproblem,
)

Utility = Callable[[Floats], tuple[float, Floats]]
"""F [m] -> u, to be maximised, and its derivatives [m]; NaN where there is none."""

CORRECTIONS = 8
"""Evaluations of one corrector, at most."""

SHORTEST = 1e-3
"""Length of a predictor below which the climb ends."""


def climb(
    evaluate: Evaluate,
    start: Floats,
    region: Region,
    preference: Preference,
    utility: Utility,
    *,
    steps: int = 100,
    told: Callable[[int, Visited], None] = lambda count, visited: None,
) -> Solution:
    """From `start` to the front, then along it to where the utility is largest nearby.

    Args:
        preference: its cone says what the front is; its limits are kept.
        steps: evaluations, at most.

    Returns:
        The last place on the front, with prices there; `why` is "still" where no step along the
        front raises the utility.
    """
    visited: list[Visited] = []
    known: dict[bytes, tuple[Floats, Floats]] = {}

    def counted(place: Floats) -> tuple[Floats, Floats]:
        key = place.tobytes()
        if key not in known:
            known[key] = evaluate(place)
            here = Visited(place, known[key][0], preference.violation(known[key][0]))
            visited.append(here)
            told(len(visited), here)
        return known[key]

    def corrected(place: Floats, most: int) -> Solution:
        return solve(counted, place, region, preference, steps=max(1, most))

    here = corrected(np.asarray(start, dtype=np.float64), min(steps, 4 * CORRECTIONS))
    reach, why = LONGEST, "still"
    while True:
        values, slopes = counted(here.place)
        worth, rise = utility(values)
        if here.violation > MET and here.why != "still":
            why = here.why
            break
        if not np.isfinite(rise).all() or not np.isfinite(worth):
            why = "stuck"
            break
        move = _predictor(preference, values, slopes, here.place, region, rise)
        length = float(np.linalg.norm(move))
        if length < STILL or reach < SHORTEST:
            break
        if len(visited) >= steps:
            why = "steps"
            break
        away = here.place + move * min(1.0, reach / length)
        there = corrected(away, min(CORRECTIONS, steps - len(visited)))
        better = utility(there.values)[0]
        if better > worth + 1e-9 and there.violation <= max(MET, here.violation):
            here, reach = there, min(LONGEST, 2 * reach)
        else:
            reach = min(reach, length) / 2
    return replace(here, visited=tuple(visited), why=why)


def _predictor(
    preference: Preference,
    values: Floats,
    slopes: Floats,
    place: Floats,
    region: Region,
    rise: Floats,
) -> Floats:
    """The step that raises the utility most for its length within the linearised limits."""
    (over, most), (same, level) = preference.limits, preference.equal
    one = Preference(
        np.array([[*np.zeros(len(values)), 1.0]]),
        (np.c_[over, np.zeros(len(over))], most),
        (np.c_[same, np.zeros(len(same))], level),
    )
    both = np.vstack([slopes, -rise @ slopes])
    return subproblem(one, np.r_[values, 0.0], both, place, region).move
