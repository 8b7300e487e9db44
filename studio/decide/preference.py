"""A preference: weights over objectives that sum to one. Pure; no widget.

    a slider or the pad ──► Preference ──► picking.pick ──► one point of the front

A weight is a whole number of hundredths, so that a preference can be a key and a part of an
address. A locked weight stays when another moves. Hundredths are rounded by largest remainder, the
earlier one among equals, so that the sum is exactly one.

While a hand moves a weight the browser does the same, step by step (ui/components/picking.js).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add

from studio.points.numbers import finite

STEPS = 100
"""Hundredths of the whole."""

EVEN = 1e-9
"""Remainders nearer than this are equal: 28.999999999999996 is 29."""

LEAST_ROOM = 1e-6
"""What free weights share, in hundredths, where the others leave nothing: so that there and back is
in proportion."""


@dataclass(frozen=True)
class Preference:
    """Weights over objectives.

    Attributes:
        weights: objective -> weight in steps of 0.01; their sum is exactly 1.
        locked: objectives whose weight stays when another moves.
        exact: the weights before they were rounded to hundredths, never all 0 among those that
            give way: so that moving one to the end and back leaves the others in proportion.
    """

    weights: Mapping[str, float]
    locked: frozenset[str] = field(default_factory=frozenset)
    exact: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if sum(self.hundredths.values()) != STEPS:
            raise ValueError(f"the weights do not sum to one: {dict(self.weights)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.weights)

    @property
    def hundredths(self) -> dict[str, int]:
        return {name: round(weight * STEPS) for name, weight in self.weights.items()}

    def lock(self, name: str, locked: bool) -> Preference:
        """With this weight locked, or free."""
        names = self.locked | {name} if locked else self.locked - {name}
        return replace(self, locked=names)


def _sum(numbers: Sequence[float]) -> float:
    """One after the other, as the browser adds: `sum` compensates for rounding from Python 3.12."""
    return reduce(add, numbers, 0.0)


def apportion(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers that sum to `total`, in proportion to shares ≥ 0; even where all are 0.

    Largest remainders are rounded up, the earlier one among equals.
    """
    whole = _sum(shares)
    exact = [total * (each / whole if whole else 1 / len(shares)) for each in shares]
    found = [math.floor(each + EVEN) for each in exact]
    left = [
        math.floor((each - count) / EVEN + 0.5) for each, count in zip(exact, found, strict=True)
    ]
    order = sorted(range(len(shares)), key=lambda i: (-left[i], i))
    for i in order[: total - sum(found)]:
        found[i] += 1
    return found


def _shared(
    preference: Preference, held: Mapping[str, int], free: Sequence[str], shares: Sequence[float]
) -> Preference:
    """These weights as they are held, in hundredths, the rest among the free ones."""
    room = STEPS - sum(held.values())
    counts = {**held, **dict(zip(free, apportion(shares, room), strict=True))}
    whole = _sum(shares)
    exact = {
        name: max(room, LEAST_ROOM) * (share / whole if whole else 1 / len(free)) / STEPS
        for name, share in zip(free, shares, strict=True)
    }
    return Preference(
        {name: counts[name] / STEPS for name in preference.names},
        preference.locked,
        {name: count / STEPS for name, count in held.items()} | exact,
    )


def _of(names: Sequence[str], shares: Sequence[float]) -> Preference:
    """Weights in proportion to shares of 0 or more, nothing locked."""
    counts = apportion(shares, STEPS)
    return Preference({name: count / STEPS for name, count in zip(names, counts, strict=True)})


def equal(names: Sequence[str]) -> Preference:
    """The same weight for each, nothing locked."""
    return _of(names, [1.0] * len(names))


def rebalanced(preference: Preference, name: str, value: float) -> Preference:
    """After one weight was moved: the free others take or give in proportion to what they have.

    A value for which the locked ones leave no room is brought back to what they leave. Where the
    weight itself is locked, or all others are, nothing moves.
    """
    now = preference.hundredths
    others = [each for each in now if each != name and each not in preference.locked]
    if name in preference.locked or not others:
        return preference
    held = {each: now[each] for each in preference.locked}
    room = STEPS - sum(held.values())
    held[name] = min(max(round(value * STEPS), 0), room)
    exact = preference.exact or preference.weights
    return _shared(preference, held, others, [exact[each] for each in others])


def placed(preference: Preference, weights: Mapping[str, float]) -> Preference:
    """After all weights were moved at once, as on the pad: locked ones stay, the free ones share
    what is left in the proportion asked for. Raises `KeyError` where a weight is missing."""
    now = preference.hundredths
    free = [each for each in now if each not in preference.locked]
    if not free:
        return preference
    held = {each: now[each] for each in preference.locked}
    return _shared(preference, held, free, [max(weights[each], 0.0) for each in free])


def to_text(preference: Preference) -> str:
    """For the address of the page: `facts:0.50,refusals:0.50`. Locks are not part of it."""
    return ",".join(f"{name}:{weight:.2f}" for name, weight in preference.weights.items())


def from_text(text: str, names: Sequence[str]) -> Preference | None:
    """The preference that a text names, scaled to sum one; an objective it does not name has the
    weight 0. None if it is not one over these objectives."""
    asked: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition(":")
        weight = finite(value)
        if name not in names or name in asked or weight is None or weight < 0:
            return None
        asked[name] = weight
    shares = [asked.get(name, 0.0) for name in names]
    if not 0 < sum(shares) < math.inf:
        return None
    return _of(names, shares)
