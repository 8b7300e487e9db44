"""Bounds on objectives: what a mean must reach and what it must not exceed.

(0.6, None)   at least 0.6
(0.6, 0.9)    at least 0.6, at most 0.9; where the first is the higher one nothing meets both
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import bad, unknown
from engine.front.pareto import Bools, Floats

Pair = tuple[float | None, float | None]
"""The lowest and the highest value allowed, in the objective's units; None for no bound."""

Bounds = Mapping[str, Pair]
"""Objective -> its pair."""

FREE: Pair = (None, None)


@dataclass(frozen=True)
class Side:
    """One end of a pair."""

    words: Literal["at least", "at most"]
    value: float

    @property
    def outwards(self) -> int:
        """-1 where what it excludes lies below, 1 where that lies above."""
        return -1 if self.words == "at least" else 1

    def met(self, values: Floats) -> Bools:
        """bool [n]: which values meet it; NaN does not."""
        return np.asarray((values - self.value) * -self.outwards >= 0)

    def violation(self, values: Floats) -> Floats:
        """How far each value [n] is on the wrong side, 0 where the bound is met."""
        return np.maximum((values - self.value) * self.outwards, 0.0)


@dataclass(frozen=True)
class Unmet:
    """A bound that a point does not meet; moved to `closest` it would be met."""

    name: str
    bound: float
    closest: float

    @property
    def words(self) -> str:
        return "at least" if self.closest < self.bound else "at most"


def sides(pair: Pair) -> list[Side]:
    """The ends of a pair that bind something, the lower one first."""
    low, high = pair
    found = [] if low is None else [Side("at least", low)]
    return found if high is None else [*found, Side("at most", high)]


def sides_of(bounds: Bounds) -> list[tuple[str, Side]]:
    """Every bound with its objective."""
    return [(name, side) for name, pair in bounds.items() for side in sides(pair)]


def bounds_of(
    at_least: Iterable[tuple[str, float]], at_most: Iterable[tuple[str, float]]
) -> dict[str, Pair]:
    """Bounds from their sides; of several on one side of an objective the narrowest binds."""
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for name, value in at_least:
        lows[name] = max(value, lows.get(name, value))
    for name, value in at_most:
        highs[name] = min(value, highs.get(name, value))
    return {name: (lows.get(name), highs.get(name)) for name in {**lows, **highs}}


def check_bounds(names: Sequence[str], bounds: Bounds) -> None:
    """Raises `BadInput` for a bound on an unknown objective, or one that is not finite."""
    for name, side in sides_of(bounds):
        if name not in names:
            raise unknown(f"bound on {name}", "objective", name, names)
        if not math.isfinite(side.value):
            raise bad(f"bound on {name}", f"{side.value:g} is not finite", "Give a number.")


def unmet(names: Sequence[str], values: Floats, bounds: Bounds) -> tuple[Unmet, ...]:
    """The bounds that a point with these values [m] does not meet."""
    found = []
    for name, side in sides_of(bounds):
        value = values[names.index(name)]
        if side.violation(value) > 0:
            found.append(Unmet(name, side.value, float(value)))
    return tuple(found)
