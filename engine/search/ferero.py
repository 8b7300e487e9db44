"""FERERO in coefficient space: descend all objectives within a preference (arXiv 2412.01773).

F1 is better than F2 iff A F1 ≤ A F2 for the rows of a cone A; G = B_g F − b_g ≤ 0 and
H = B_h F − b_h = 0 are absolute preferences. With J = ∂F/∂λ, a step is the solution of

    min_{d, c}  c + d·M d / 2       A J d ≤ c A 1,   B_g J d ≤ −G,   B_h J d = −H,
                                    lo − λ ≤ d ≤ hi − λ,   Σ d = 0 where Σ λ is kept

(the paper's sub-program with c_g = c_h = 1, a box, and in place of its |d|² a metric M that follows
the curvature of the objectives as its multipliers weigh them: BFGS with Powell's damping, from the
identity, so that a few evaluations do). It is cut to a length, then halved until the merit
max(A (F_new − F)) + ρ (Σ (G)₊ + Σ |H|) falls. Where nothing is left to do d is 0, and the
multipliers say what one objective costs in another there.

λ has K entries and the program K + 1 unknowns: the models cost all the time there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

from engine.front.pareto import Floats

Evaluate = Callable[[Floats], tuple[Floats, Floats]]
"""λ [k] -> F [m], to be minimised, and J [m, k]."""

LONGEST = 0.25
"""A step's length, at most."""

STILL, MET = 1e-5, 1e-6
"""Length of a step and violation below which nothing is left to do."""

CLOSEST = 1e-9
"""Length below which a step that could still meet what is missed is none either."""

SLACK = 1e3
"""What missing a linearised constraint costs where it cannot be met."""

HALVINGS = 12

ARMIJO = 1e-4
"""Share of the promised fall of the merit that a step has to bring (Armijo)."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class Preference:
    """What is asked of the m objectives, all minimised.

    Attributes:
        cone: A, float64 [r, m], entries ≥ 0.
        limits: (B_g [p, m], b_g [p]), B_g F ≤ b_g.
        equal: (B_h [q, m], b_h [q]), B_h F = b_h.
        worst: descend max(A F), the worst of the rows, instead of all of them: with weights on the
            diagonal of A, the Chebyshev scalarisation of scaled objectives.
    """

    cone: Floats
    limits: tuple[Floats, Floats]
    equal: tuple[Floats, Floats]
    worst: bool = False

    @classmethod
    def of(
        cls,
        m: int,
        cone: Floats | None = None,
        limits: tuple[Floats, Floats] | None = None,
        equal: tuple[Floats, Floats] | None = None,
        worst: bool = False,
    ) -> Preference:
        """With what is not given left free: every objective counts, nothing is bound."""
        none = (np.zeros((0, m)), np.zeros(0))
        return cls(np.eye(m) if cone is None else cone, limits or none, equal or none, worst)

    def rise(self, before: Floats, after: Floats) -> float:
        """How much worse F [m] got; below 0 it is better."""
        first, then = self.cone @ before, self.cone @ after
        return float(then.max() - first.max() if self.worst else (then - first).max())

    def beyond(self, values: Floats) -> tuple[Floats, Floats]:
        """G [p] and H [q] at F [m]."""
        (over, most), (same, level) = self.limits, self.equal
        return over @ values - most, same @ values - level

    def violation(self, values: Floats) -> float:
        """Σ (G)₊ + Σ |H|."""
        over, off = self.beyond(values)
        return float(np.maximum(over, 0.0).sum() + np.abs(off).sum())


@dataclass(frozen=True)
class Region:
    """Where λ may be.

    Attributes:
        low, high: float64 [k].
        total: Σ λ is kept as it is.
    """

    low: Floats
    high: Floats
    total: bool = False


@dataclass(frozen=True)
class Step:
    """The solution of the sub-problem.

    Attributes:
        move: d, float64 [k]; gain: c.
        prices: float64 [m]: what each objective counts for, Aᵀ y + B_gᵀ μ + B_hᵀ ν. Where d is 0,
            Jᵀ prices is 0 but for the box, so that along the front 1 of an objective is paid for
            with prices_i / prices_j of another.
        binding: float64 [p], multipliers μ of the limits.
        met: whether the linearised constraints could be met.
    """

    move: Floats
    gain: float
    prices: Floats
    binding: Floats
    met: bool


@dataclass(frozen=True)
class Visited:
    """A place that was evaluated: λ, F and the violation there."""

    place: Floats
    values: Floats
    violation: float


@dataclass(frozen=True)
class Solution:
    """Where the descent ended.

    Attributes:
        place, values, violation: λ [k], F [m] and Σ (G)₊ + Σ |H| there.
        step: the sub-problem's solution there, with the prices.
        visited: every place evaluated, in order.
        why: "still" (nothing left to do), "stuck" (no step lowers the merit), "steps" (as many as
            were allowed), or "infeasible" (still, and the constraints are not met).
    """

    place: Floats
    values: Floats
    violation: float
    step: Step
    visited: tuple[Visited, ...] = field(repr=False)
    why: str


def subproblem(
    preference: Preference,
    values: Floats,
    slopes: Floats,
    place: Floats,
    region: Region,
    metric: Floats | None = None,
) -> Step:
    """The next step d at λ = `place`, from F [m] and J [m, k] there.

    Args:
        metric: M, float64 [k, k], positive definite; by default the identity.
    """
    (over, off), k, r = preference.beyond(values), len(place), len(preference.cone)
    fall = preference.cone @ slopes
    unit, room = preference.cone.sum(axis=1), np.zeros(r)
    if preference.worst:
        unit, room = np.ones(r), (preference.cone @ values).max() - preference.cone @ values
    limit, level = preference.limits[0] @ slopes, preference.equal[0] @ slopes
    p, q = len(over), len(off)
    low, high = region.low - place, region.high - place
    metric = np.eye(k) if metric is None else metric

    def solve(slack: bool) -> tuple[Floats, Floats, bool]:
        """(d, c, slacks), multipliers of all rows, and whether it converged."""
        extra = p + 2 * q if slack else 0
        n = k + 1 + extra

        def value(x: Floats) -> float:
            return float(x[k] + x[:k] @ metric @ x[:k] / 2 + SLACK * x[k + 1 :].sum())

        def slope(x: Floats) -> Floats:
            return np.r_[metric @ x[:k], 1.0, np.full(extra, SLACK)]

        less = np.zeros((r + p, n))
        less[:r, :k], less[:r, k] = fall, -unit
        less[r:, :k] = limit
        same = np.zeros((q + region.total, n))
        same[:q, :k] = level
        if region.total:
            same[q, :k] = 1.0
        if slack:
            less[r:, k + 1 : k + 1 + p] = -np.eye(p)
            same[:q, k + 1 + p : k + 1 + p + q] = np.eye(q)
            same[:q, k + 1 + p + q :] = -np.eye(q)
        top, right = np.r_[room, -over], np.r_[-off, np.zeros(int(region.total))]
        start = np.zeros(n)
        if slack:
            start[k + 1 :] = np.r_[np.maximum(over, 0.0), np.maximum(-off, 0), np.maximum(off, 0)]
        found = minimize(
            value, start, jac=slope, method="SLSQP",
            bounds=[*zip(low, high, strict=True), (None, None), *[(0.0, None)] * extra],
            constraints=[
                {"type": "eq", "fun": lambda x: same @ x - right, "jac": lambda _: same},
                {"type": "ineq", "fun": lambda x: top - less @ x, "jac": lambda _: -less},
            ],
            options={"maxiter": 200, "ftol": 1e-14},
        )  # fmt: skip
        fits = bool(
            (less @ found.x <= top + 1e-9).all()
            and np.abs(same @ found.x - right).max(initial=0.0) < 1e-9
        )
        return found.x, found.multipliers, fits

    x, multipliers, met = solve(False)
    if not met:
        x, multipliers, _ = solve(True)
    nu, rest = multipliers[:q], multipliers[q + region.total :]
    y, mu = rest[:r], rest[r:]
    prices = preference.cone.T @ y + preference.limits[0].T @ mu - preference.equal[0].T @ nu
    return Step(np.clip(x[:k], low, high), float(x[k]), prices, mu, met)


def solve(
    evaluate: Evaluate,
    start: Floats,
    region: Region,
    preference: Preference,
    *,
    steps: int = 100,
    told: Callable[[int, Visited], None] = lambda count, visited: None,
) -> Solution:
    """Descend from `start` until nothing is better.

    Args:
        steps: evaluations, at most.
        told: called after each evaluation with their count and the place.
    """
    visited: list[Visited] = []

    def at(place: Floats) -> tuple[Floats, Floats, Visited]:
        values, slopes = evaluate(place)
        found = Visited(place, values, preference.violation(values))
        visited.append(found)
        told(len(visited), found)
        return values, slopes, found

    place = np.clip(np.asarray(start, dtype=np.float64), region.low, region.high)
    values, slopes, here = at(place)
    rho, metric = 1.0, np.eye(len(place))
    while True:
        step = subproblem(preference, values, slopes, place, region, metric)
        length = float(np.linalg.norm(step.move))
        settled = here.violation < MET or not step.met or length < CLOSEST
        if length < STILL and settled:
            why = "still" if here.violation < MET else "infeasible"
            break
        rise = preference.rise(values, values + slopes @ step.move)
        if here.violation > MET:
            rho = max(rho, 2 * rise / here.violation, 1.5 * np.abs(step.binding).max(initial=0.0))
        promised = rise - rho * here.violation
        share = min(1.0, LONGEST / length)
        for _ in range(HALVINGS):
            if len(visited) >= steps:
                return Solution(place, values, here.violation, step, tuple(visited), "steps")
            reached = place + share * step.move
            new, new_slopes, there = at(reached)
            merit = preference.rise(values, new)
            merit += rho * (there.violation - here.violation)
            if merit <= ARMIJO * share * promised + ROUNDING:
                break
            share /= 2
        else:
            why = "stuck"
            break
        metric = _curved(metric, reached - place, step.prices @ (new_slopes - slopes))
        place, values, slopes, here = reached, new, new_slopes, there
    return Solution(place, values, here.violation, step, tuple(visited), why)


def _curved(metric: Floats, moved: Floats, change: Floats) -> Floats:
    """M after a move s that changed the weighted slope by y: BFGS with Powell's damping (Nocedal &
    Wright, Numerical Optimization, procedure 18.2), which keeps it positive definite."""
    pull = metric @ moved
    curvature, own = float(moved @ change), float(moved @ pull)
    if own <= 0.0:
        return metric
    if curvature < 0.2 * own:
        mix = 0.8 * own / (own - curvature)
        change = mix * change + (1.0 - mix) * pull
        curvature = float(moved @ change)
    return metric - np.outer(pull, pull) / own + np.outer(change, change) / curvature
