"""The points of a study as they arrive: an update costs what is new, not what exists.

Columns of the store ──► Arrivals.measured ──► Measured
                             │ recipe, method and place of every point ever met: kept, by its id
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np

from cache.columns import NUMBERS, Columns
from engine.recipe import METHODS, Recipe, recipe_from_dict
from engine.scoring.intervals import interval_columns
from engine.scoring.registry import SCORERS
from studio.points.places import position_of, shape_of
from studio.points.view import Measured


class Arrivals:
    """Makes `Measured` of columns, again and again. Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, int] = {}
        self._recipes = np.empty(0, dtype=object)
        self._shape_codes: dict[tuple[Any, ...], int] = {}
        self._codes = np.empty(0, dtype=np.int64)
        self._positions: dict[tuple[str, ...], np.ndarray] = {}
        self._names: dict[str, None] = {}
        self._coefficients = np.empty((0, 0))

    def measured(
        self,
        columns: Columns,
        scorers: Mapping[str, str] | None = None,
        called: Mapping[str, str] | None = None,
    ) -> Measured:
        """What `studio.points.view.measure` makes of the same points one by one.

        Args:
            scorers: objective -> its scorer, which says what interval a score has; without them
                the intervals are those that were stored.
            called: point id -> what a user calls it.
        """
        numbers = dict(zip(NUMBERS, columns.table, strict=True))
        exact: frozenset[str] = frozenset()
        if scorers is not None:
            names = [scorers[each] for each in columns.names]
            found = interval_columns(names, numbers["mean"], numbers["stderr"], numbers["n"])
            numbers["low"], numbers["high"] = found
            exact = frozenset(each for each, name in scorers.items() if SCORERS[name].exact)
        ids, recipes, shipped, failures = columns.ids, columns.recipes, columns.shipped, {}
        there = np.isfinite(numbers["mean"]).any(axis=1)
        if not there.all():
            missing = ids[~there].tolist()
            failures = {name: columns.errors[name] for name in missing if name in columns.errors}
            ids, recipes, shipped = ids[there], recipes[there], shipped[there]
            numbers = {name: each[there] for name, each in numbers.items()}
        n = np.nan_to_num(numbers.pop("n")).astype(np.int64)
        reasons = {name: why for name, why in columns.errors.items() if name not in failures}
        met_ids = tuple(ids.tolist())
        with self._lock:
            entries = self._met(met_ids, recipes)
            met = tuple(self._recipes[entries].tolist())
        return Followed(
            columns.names, met_ids, met, n=n, failures=failures, **numbers, exact=exact,
            reasons=reasons, shipped=shipped, called=called or {},
            arrivals=self, entries=entries,
        )  # fmt: skip

    def _met(self, ids: Sequence[str], recipes: np.ndarray) -> np.ndarray:
        """int64 [points]: the number of each point, which is kept from now on where it is new."""
        entries = np.fromiter((self._entries.get(each, -1) for each in ids), np.int64, len(ids))
        news = np.flatnonzero(entries < 0)
        if len(news):
            entries[news] = np.arange(len(news)) + len(self._recipes)
            self._entries.update((ids[row], int(entries[row])) for row in news.tolist())
            met = [recipe_from_dict(json.loads(text)) for text in recipes[news].tolist()]
            found = np.empty(len(met), dtype=object)
            found[:] = met
            codes = [
                self._shape_codes.setdefault(shape_of(each), len(self._shape_codes)) for each in met
            ]
            for each in met:
                self._names.update(dict.fromkeys(each.coefficients))
            self._coefficients = _below(self._coefficients, met, tuple(self._names))
            self._recipes = np.concatenate([self._recipes, found])
            self._codes = np.concatenate([self._codes, codes])
        return entries

    def shapes(self, entries: np.ndarray) -> dict[tuple[Any, ...], np.ndarray]:
        """Method and parameters -> places in `entries`, in order."""
        with self._lock:
            codes, names = self._codes[entries], list(self._shape_codes)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        runs = np.split(order, starts[1:])
        return {names[codes[run[0]]]: run for run in runs if len(run)}

    def positions(self, entries: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        """float64 [entries, names]."""
        with self._lock:
            found = self._positions.get(names, np.empty((0, len(names))))
            if len(found) < len(self._recipes):
                news = [position_of(each, names) for each in self._recipes[len(found) :]]
                found = self._positions[names] = np.concatenate([found, news])
        return found[entries]

    def coefficients(self, entries: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Names, and float64 [entries, names]: what recipes say, NaN where one lacks the name."""
        with self._lock:
            return tuple(self._names), self._coefficients[entries]


def _below(above: np.ndarray, recipes: Sequence[Recipe], names: tuple[str, ...]) -> np.ndarray:
    """The coefficients of recipes below those of others, which may have had fewer names."""
    wide = np.full((len(above), len(names)), np.nan)
    wide[:, : above.shape[1]] = above
    rows = [[each.coefficients.get(name, np.nan) for name in names] for each in recipes]
    return np.concatenate([wide, np.array(rows).reshape(len(recipes), len(names))])


def coefficients(measured: Measured) -> tuple[tuple[str, ...], np.ndarray]:
    """The names that points have, and float64 [points, names] as their recipes say them."""
    if isinstance(measured, Followed):
        names, values = measured.arrivals.coefficients(measured.entries)
    else:
        names = tuple(
            dict.fromkeys(name for each in measured.recipes for name in each.coefficients)
        )
        values = _below(np.empty((0, 0)), measured.recipes, names)
    there = np.isfinite(values).any(axis=0)
    return tuple(compress(names, there.tolist())), values[:, there]


def kinds(measured: Measured) -> tuple[np.ndarray, list[Recipe]]:
    """int64 [points], which method with which parameters each is, and a recipe of each kind."""
    codes = np.zeros(len(measured), np.int64)
    recipes: list[Recipe] = []
    for rows in measured.shapes.values():
        codes[rows] = len(recipes)
        recipes.append(measured.recipes[rows[0]])
    return codes, recipes


@dataclass(frozen=True, kw_only=True)
class Followed(Measured):
    """Measured points that know what was worked out for them before.

    Attributes:
        entries: int64 [points], under which number `arrivals` keeps each.
    """

    arrivals: Arrivals
    entries: np.ndarray

    def only(self, mask: np.ndarray) -> Measured:
        chosen = super().only(mask)
        kept = {each.name: getattr(chosen, each.name) for each in fields(Measured)}
        return Followed(**kept, arrivals=self.arrivals, entries=self.entries[mask])

    @cached_property
    def singles(self) -> np.ndarray:
        found = np.zeros(len(self), dtype=bool)
        for (method, _), rows in self.shapes.items():
            found[rows] = method in METHODS and bool(METHODS[method].unmerged)
        return found

    @cached_property
    def shapes(self) -> dict[tuple[Any, ...], np.ndarray]:
        return self.arrivals.shapes(self.entries)

    def _positions(self, shape: tuple[Any, ...] | None, names: tuple[str, ...]) -> np.ndarray:
        key = (shape, names)
        if key not in self._places:
            entries = self.entries if shape is None else self.entries[self.shapes[shape]]
            self._places[key] = self.arrivals.positions(entries, names)
        return self._places[key]
