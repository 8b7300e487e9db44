"""How sure the front and the pick of a page are, worked out beside it. Pure; no widget.

    points, front, bounds ──► a thread ──► Known, kept with the points
                                 │ meanwhile: that of the points before
                                 └─► `version`, which a page looks at

A page never waits for it. What is not known yet is not said.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.front.bounds import Bounds, sides_of
from engine.front.criteria import NONE, Criteria
from engine.front.noise import errors, lead
from engine.front.preference import Range, ranges_of, scale_weights
from engine.front.sure import Sure, on_front, picked, sureness
from studio.decide.bounds import bound_on
from studio.decide.preference import Preference
from studio.decide.results import kind_of, loader
from studio.points.view import Axis, Measured, axes_of
from studio.shared import once
from studio.workbench import Workbench

log = logging.getLogger(__name__)

MOST_WAITING = 4
"""Fronts that wait to be worked out; the oldest gives way, its page asks again."""


@dataclass(frozen=True, eq=False)
class Known:
    """How sure a front within bounds is.

    Attributes:
        ids: of all its points.
        rows: int [k], those with a score on every objective of the front and of the bounds.
        sure: of those; the front's objectives first, then others that are bound.
        front: float64 [points], the probability that a point is on the front, and within the
            bounds; NaN where it is not known.
    """

    ids: tuple[str, ...]
    rows: np.ndarray
    sure: Sure
    front: np.ndarray

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """`front` of some points, float64 [ids]; NaN of those that are not among them."""
        if ids is self.ids:
            return self.front
        known: dict[str, float] = once(
            self, "by id", lambda: dict(zip(self.ids, self.front.tolist(), strict=True))
        )
        return np.array([known.get(each, np.nan) for each in ids], dtype=np.float64)


def sure_of(known: Known | None, ids: Sequence[str]) -> np.ndarray | None:
    """`Known.of`; None where nothing is known."""
    return None if known is None else known.of(ids)


class Noise:
    """What is worked out, or waits for it, of one study's points. Thread safe."""

    def __init__(self, bench: Workbench) -> None:
        self.version = 0
        self._bench = bench
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Any, tuple[Measured, tuple[Axis, ...], Bounds]] = OrderedDict()
        self._running = False
        self._last: OrderedDict[Any, Known] = OrderedDict()

    def known(
        self, measured: Measured, over: Sequence[Axis], bounds: Bounds | None = None
    ) -> Known | None:
        """How sure the front is, of the points before where that of these is still worked out;
        None where nothing is known yet.

        Args:
            measured: all points, whether they meet the bounds or not.
            over: the objectives of the front.
        """
        every = axes_of(self._bench.objectives)
        asked = dict(sorted(bound_on(every, bounds or {}).items()))
        what = tuple(over), tuple(asked.items())
        found: dict[Any, Known | None] = vars(measured).setdefault("_sure", {})
        with self._lock:
            if what in found:
                return found[what]
            if len(measured) and self._bench.known is not None:
                self._waiting[what] = measured, tuple(over), asked
                self._waiting.move_to_end(what)
                while len(self._waiting) > MOST_WAITING:
                    self._waiting.popitem(last=False)
                if not self._running:
                    self._running = True
                    threading.Thread(target=self._work, name="noise", daemon=True).start()
            return self._last.get(what)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                what, (measured, over, bounds) = self._waiting.popitem(last=False)
                done: dict[Any, Known | None] = vars(measured)["_sure"]
                if what in done:  # asked for again while it was worked out
                    continue
            try:
                found = worked_out(self._bench, measured, over, bounds)
            except Exception:  # the page says nothing of noise; a closed store, say
                log.exception("how sure the front is could not be worked out")
                done[what] = None
                continue
            with self._lock:
                done[what] = self._last[what] = found
                self._last.move_to_end(what)
                while len(self._last) > MOST_WAITING:
                    self._last.popitem(last=False)
                self.version += 1


def noise(bench: Workbench) -> Noise:
    """The one of a study."""
    found: Noise = once(bench, "noise", lambda: Noise(bench))
    return found


def worked_out(bench: Workbench, measured: Measured, over: Sequence[Axis], bounds: Bounds) -> Known:
    """How sure the front of these points is; arguments as `Noise.known`."""
    opened = bench.known
    assert opened is not None
    beside = [name for name in bounds if name not in {axis.name for axis in over}]
    every = {axis.name: axis for axis in axes_of(bench.objectives)}
    axes = [*over, *(every[name] for name in beside)]
    columns = [measured.column(axis.name) for axis in axes]
    mean = measured.mean[:, columns]
    rows = np.flatnonzero(np.isfinite(mean).all(axis=1))
    objectives = [bench.study.objective(axis.name) for axis in axes]
    part = np.ix_(rows, np.array(columns))
    kinds = [kind_of(each) for each in objectives]
    error = errors(kinds, mean[rows], measured.stderr[part], measured.n[part])
    load = loader(
        bench.store, objectives, opened.objectives, opened.numerics,
        [measured.ids[row] for row in rows.tolist()], mean[rows], error,
    )  # fmt: skip
    names, maximize = [axis.name for axis in axes], [axis.maximize for axis in axes]
    sure = sureness(names, maximize, mean[rows], error, load, bool(bounds))
    front = np.full(len(measured), np.nan)
    front[rows] = sure.front
    if bounds and len(sure.rows):
        share = on_front(sure.drawn, sure.maximize, names, within=bounds, count=len(over))
        front[rows] = sure.spread(share)
    return Known(measured.ids, rows, sure, front)


def chances(
    known: Known, over: Sequence[Axis], preference: Preference, ranges: Mapping[str, Range],
    bounds: Bounds, criteria: Criteria = NONE,
) -> np.ndarray:  # fmt: skip
    """Probability of each of `known.ids` to be the pick, float64; NaN where it is not known: of
    criteria that name other objectives than those of the front and the bounds, too.

    Args:
        ranges: of the front's objectives, as the pick has them.
    """
    sure = known.sure
    names = list(sure.names)
    found = np.full(len(known.ids), np.nan)
    named = {name for each in criteria.constraints for name in each.names}
    named |= set(criteria.utility.names if criteria.utility is not None else ())
    if not len(sure.rows) or named - set(names):
        return found
    centre = sure.drawn.mean(axis=0)
    scale = ranges_of(names, centre, sure.maximize) | dict(ranges)
    likely = np.arange(len(sure.rows))
    if not bounds and not criteria:  # where none is met, the pick is not on the front within them
        own = known.front[known.rows][sure.rows]
        likely = np.flatnonzero(np.nan_to_num(own, nan=1.0) > 0)
    given = {axis.name: preference.weights[axis.name] for axis in over}
    weights = None if criteria.utility is not None else scale_weights(names, given)
    asked = {name: pair for name, pair in bounds.items() if name in names}
    share = np.zeros(len(sure.rows))
    if len(likely):
        share[likely] = picked(
            sure.drawn[:, likely], names, sure.maximize, weights, scale, asked, criteria
        )
    found[known.rows] = sure.spread(share)
    return found


def met(known: Known, row: int, bounds: Bounds) -> list[tuple[str, str, float]]:
    """Each bound in words, with the probability that a point meets it.

    Args:
        row: among `known.ids`.
    """
    place = _place(known, row)
    if place is None:
        return []
    sure = known.sure
    return [
        (name, f"{side.words} {side.value:g}",
         float(side.met(sure.drawn[:, place, sure.names.index(name)]).mean()))
        for name, side in sides_of(bounds)
        if name in sure.names
    ]  # fmt: skip


def leads(known: Known | None, row: int, other: int) -> dict[str, tuple[float, bool]]:
    """Objective -> the standard error of the paired difference of two points, and whether that is
    within the noise; nothing where it is not known.

    Args:
        row, other: among `known.ids`.
    """
    if known is None:
        return {}
    first, second = _place(known, row), _place(known, other)
    if first is None or second is None:
        return {}
    results = [each.only(np.array([first, second])) for each in known.sure.results]
    found = lead(results)
    return dict(zip(known.sure.names, found, strict=True))


def _place(known: Known, row: int) -> int | None:
    """Where a point is among the points drawn; None where it is not."""
    at = np.flatnonzero(known.rows[known.sure.rows] == row)
    return int(at[0]) if len(at) and np.isfinite(known.front[row]) else None
