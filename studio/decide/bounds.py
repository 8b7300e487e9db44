"""Bounds on objectives: what a mean must reach or must not exceed. Pure; no widget.

a slider, a brush, the address ──► Bounds ──► within   the points that meet every one
                                          ──► words    what is bound, and how many meet it
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.counted import counted
from engine.front.bounds import FREE, Bounds, Pair, sides_of
from engine.scoring.registry import SHARE
from studio.points.numbers import finite
from studio.points.view import Axis, Measured
from studio.shared import once

NICE = (1.0, 2.0, 5.0, 10.0)
TICKS = 100
"""Steps of a slider, about."""


def bound_on(axes: Sequence[Axis], bounds: Bounds) -> dict[str, Pair]:
    """Those of the bounds that are on these axes and bind something, in the order of the axes."""
    found = {axis.name: bounds.get(axis.name, FREE) for axis in axes}
    return {name: pair for name, pair in found.items() if pair != FREE}


def mask(measured: Measured, axes: Sequence[Axis], bounds: Bounds) -> np.ndarray:
    """bool [points]: which meet every bound on these axes. One without that score does not."""
    found = np.ones(len(measured), dtype=bool)
    for name, side in sides_of(bound_on(axes, bounds)):
        found &= side.met(measured.mean[:, measured.column(name)])
    return found


def within(measured: Measured, axes: Sequence[Axis], bounds: Bounds) -> Measured:
    """The points that meet every bound on these axes, made again only when either changes."""
    if not bound_on(axes, bounds):
        return measured
    key = ("within", tuple(axes), tuple(sorted(bounds.items())))
    found: Measured = once(measured, key, lambda: measured.only(mask(measured, axes, bounds)))
    return found


def narrowed(bounds: Bounds, asked: Bounds) -> dict[str, Pair]:
    """The bounds with those asked for in their places; an end that is not asked for stays."""
    found = dict(bounds)
    for name, pair in asked.items():
        low, high = found.get(name, FREE)
        found[name] = (low if pair[0] is None else pair[0], high if pair[1] is None else pair[1])
    return found


def to_text(bounds: Bounds) -> str:
    """For the address of the page: `facts:0.6..,loss:..1.25`."""
    parts = []
    for name, pair in bounds.items():
        ends = ["" if each is None else f"{each:.6g}" for each in pair]
        if any(ends):
            parts.append(f"{name}:{'..'.join(ends)}")
    return ",".join(parts)


def from_text(text: str, names: Sequence[str]) -> dict[str, Pair]:
    """The bounds that a text names; none at all where it is not a text of bounds on these."""
    found: dict[str, Pair] = {}
    for part in text.split(",") if text else ():
        name, _, ends = part.partition(":")
        first, dots, last = ends.partition("..")
        low, high = finite(first), finite(last)
        readable = all(end == "" or finite(end) is not None for end in (first, last))
        if name not in names or name in found or not dots or not readable:
            return {}
        if (low, high) != FREE:
            found[name] = (low, high)
    return found


def words(measured: Measured, axes: Sequence[Axis], bounds: Bounds) -> str:
    """What is bound, and how many points meet it."""
    said = [
        f"{name} {side.words} {side.value:g}" for name, side in sides_of(bound_on(axes, bounds))
    ]
    if not said:
        return "No bounds. A slider at its end sets none."
    met = int(mask(measured, axes, bounds).sum())
    return f"{', '.join(said)}: {met:,} of {counted(len(measured), 'point')}."


def ends(values: np.ndarray, unit: str, pair: Pair = FREE) -> tuple[float, float, float]:
    """Lowest and highest value of a slider, and its step: what is measured and what is bound,
    rounded outwards to round steps; 0 … 1 for shares.

    Args:
        values: float64 [k ≥ 1], finite.
    """
    if unit == SHARE:
        return 0.0, 1.0, 0.01
    known = [float(values.min()), float(values.max()), *(each for each in pair if each is not None)]
    low, high = min(known), max(known)
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = power * next(each for each in NICE if each * power >= span / TICKS * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = decimals(step)
    last = max(last, first + 1)
    return round(first * step, digits), round(last * step, digits), round(step, digits)


def decimals(step: float) -> int:
    """Digits after the point that a number on this grid has."""
    return max(0, -math.floor(math.log10(step) + 1e-9))
