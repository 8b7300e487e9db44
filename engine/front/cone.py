"""Relative preference: the trades that a user accepts, and the cone of improvements they make.

    1 facts for 0.4 refusals       losing 1 of facts is made up for by gaining 0.4 of refusals

Without trades one point is better than another where it is nowhere worse: improvements are the
positive orthant. Each trade adds a direction to it. A y ≥ 0 says the same by its facets, as FERERO
has it (arXiv 2412.01773, section 2: F1 is better than F2 iff A F1 ≤ A F2): the rows of A are the
extreme rays of {a ≥ 0 : a · v ≥ 0 for each trade's direction v}.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import bad
from engine.front.pareto import Bools, Floats, front_mask, to_minimize

DIGITS = 12
"""Decimals, in units of a column's spread, to which two sums over objectives are the same."""

LEAST = 1e-100
"""Rate of a trade, at least; its inverse is the most."""

MOST = 12
"""Trades, at most: their facets are found by trying."""

FIX = "Write it as 1 facts for 0.4 refusals."


@dataclass(frozen=True)
class Trade:
    """Losing 1 of an objective is made up for by gaining `rate` of another, in their own units;
    of a minimised one, losing is a rise."""

    lost: str
    gained: str
    rate: float

    def __str__(self) -> str:
        return f"1 {self.lost} for {self.rate:g} {self.gained}"


def trade(text: str, known: Sequence[str], where: str) -> Trade:
    """The trade that a text says; raises `BadInput` where it says none."""
    names = "|".join(re.escape(each) for each in sorted(known, key=len, reverse=True))
    number = r"(?:([0-9.]+(?:e[+-]?[0-9]+)?)\s*\*?\s*)?"
    form = rf"\s*{number}`?({names})`?\s+for\s+{number}`?({names})`?\s*"
    found = re.fullmatch(form, text) if isinstance(text, str) else None
    if found is None:
        known_names = ", ".join(known)
        raise bad(where, f"{text!r} is no trade between two of {known_names}", FIX)
    lost, gained = _amount(found[1], text, where), _amount(found[3], text, where)
    if found[2] == found[4]:
        raise bad(where, f"{text!r} trades {found[2]} for itself", FIX)
    if not LEAST < gained / lost < 1.0 / LEAST:
        raise bad(where, f"the amounts of {text!r} are too far apart", FIX)
    return Trade(found[2], found[4], gained / lost)


def _amount(text: str | None, whole: str, where: str) -> float:
    try:
        value = float(text or 1.0)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise bad(where, f"{text} in {whole!r} is not a number above 0", FIX)
    return value


def rows_of(names: Sequence[str], trades: Sequence[Trade], where: str = "cone") -> Floats:
    """A, float64 [r, m], of objectives that are all minimised: each row's largest entry is 1.

    Trades of objectives that are not among `names` are passed over.

    Raises:
        BadInput: the trades contradict each other: going round them, something is lost for nothing;
            or a rate is beyond float64.
    """
    m = len(names)
    used = [each for each in trades if each.lost in names and each.gained in names]
    if not used:
        return np.eye(m)
    if len(used) > MOST:
        raise bad(where, f"more than {MOST} trades", "Leave out some.")
    if not all(0.0 < each.rate < math.inf for each in used):
        what = f"beside what the objectives span, {', '.join(map(str, used))} cannot be reckoned"
        raise bad(where, what, "Leave out what spans too much or too little.")
    sides = np.zeros((len(used) + m, m))
    sides[len(used) :] = np.eye(m)
    for row, each in zip(sides, used, strict=False):
        row[names.index(each.gained)] = each.rate
        row[names.index(each.lost)] = -1.0
    sides /= np.abs(sides).max(axis=1, keepdims=True)
    found: list[Floats] = []
    for chosen in itertools.combinations(range(len(sides)), m - 1):
        tight = sides[list(chosen)].reshape(-1, m)
        _, lengths, across = np.linalg.svd(tight)
        if (lengths < 1e-12).any():
            continue
        ray = across[-1] * (1.0 if across[-1].sum() >= 0 else -1.0)
        ray = np.where(np.abs(ray) < 1e-12, 0.0, ray / np.abs(ray).max())
        if (sides @ ray >= -1e-9).all() and not any(np.allclose(ray, each) for each in found):
            found.append(ray)
    if not found or not (np.array(found).max(axis=0) > 0).all():
        said = ", ".join(map(str, used))
        raise bad(where, f"{said}: going round, something is lost for nothing", "Leave out one.")
    return np.array(sorted(found, key=lambda each: (-each).tolist()))


def ordered(
    names: Sequence[str], values: ArrayLike, maximize: ArrayLike, trades: Sequence[Trade]
) -> Floats:
    """What decides whether one point is better: float64 [n, r], less is better in every column.

    Without trades the minimised objectives themselves.
    """
    points = to_minimize(values, maximize)
    if not trades or not len(points):
        return points
    away = points - points.min(axis=0)  # what is small stays exact beside what is large
    spread = away.max(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    rows = rows_of(names, _in_units_of(names, spread, trades))
    sums = (away / spread) @ rows.T
    return np.asarray(np.round(sums, DIGITS) + 0.0)


def _in_units_of(names: Sequence[str], spread: Floats, trades: Sequence[Trade]) -> list[Trade]:
    """The trades between objectives that are divided by their spreads [m]."""
    by = dict(zip(names, spread.tolist(), strict=True))
    return [
        Trade(each.lost, each.gained, each.rate * by[each.lost] / by[each.gained])
        for each in trades
        if each.lost in by and each.gained in by
    ]


def front_under(
    names: Sequence[str], values: ArrayLike, maximize: ArrayLike, trades: Sequence[Trade]
) -> Bools:
    """Which points none is better than, bool [n], once the trades are accepted."""
    found = ordered(names, values, maximize, trades)
    return front_mask(found, np.zeros(found.shape[1], dtype=bool))
