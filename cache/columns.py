"""Points as columns, joined from the index without a Python object a score.

    rows ──► the newest score of each (point, fingerprint) ──► float64 [points, objectives] each

`join` reads the points there are, or some of them; `Columns.updated` puts the ones that changed
among those read before, so that a new point costs no second look at the old ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.index import NEWEST
from cache.point import Point

NUMBERS = ("mean", "stderr", "low", "high", "n")

Query = Callable[[str, list[Any]], Mapping[str, np.ndarray]]
"""SQL and its parameters -> columns; missing values are masked."""


@dataclass(frozen=True)
class Columns:
    """Points that have a score of an objective or failed, the earliest first.

    Attributes:
        names: the objectives.
        ids: object [points] of texts.
        recipes: object [points] of JSON texts.
        errors: point id -> why it last failed, of points without a score after that.
        at: float64 [points], unix seconds of the first row of each.
        seconds: float64 [points], what the scores of each took together.
        scored: bool [points, objectives], whether there is a score (its mean may be NaN).
        table: float64 [5, points, objectives], NUMBERS of each score; NaN where there is none.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    recipes: np.ndarray
    errors: Mapping[str, str]
    at: np.ndarray
    seconds: np.ndarray
    scored: np.ndarray
    table: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def updated(self, news: Columns, changed: Collection[str]) -> Columns:
        """These points with `news` for the `changed` ones, some of which may be new or gone."""
        ids = np.concatenate([self.ids, news.ids])
        at = np.concatenate([self.at, news.at])
        kept = np.ones(len(ids), dtype=bool)
        kept[: len(self)] = ~np.fromiter(map(changed.__contains__, self.ids), bool, len(self))
        order = _sorted(np.flatnonzero(kept), at, ids)
        errors = {point: why for point, why in self.errors.items() if point not in changed}
        return Columns(
            self.names,
            ids[order],
            np.concatenate([self.recipes, news.recipes])[order],
            {**errors, **news.errors},
            at[order],
            np.concatenate([self.seconds, news.seconds])[order],
            np.concatenate([self.scored, news.scored])[order],
            np.concatenate([self.table, news.table], axis=1).take(order, axis=1),
        )

    def points(self, parsed: dict[str, Mapping[str, Any]]) -> list[Point]:
        """The points one by one.

        Args:
            parsed: point id -> recipe, filled as they are read, so that each is parsed once.
        """
        scores: list[dict[str, dict[str, Any]]] = [{} for _ in self.ids]
        for column, name in enumerate(self.names):
            rows = np.flatnonzero(self.scored[:, column])
            found = self.table[:, rows, column].astype(object)
            found[np.isnan(self.table[:, rows, column])] = None
            for row, *each in zip(rows.tolist(), *found.tolist(), strict=True):
                score = dict(zip(NUMBERS, each, strict=True))
                score["n"] = None if score["n"] is None else int(score["n"])
                scores[row][name] = score
        points = []
        for name, recipe, own, seconds, at in zip(
            *(each.tolist() for each in (self.ids, self.recipes)),
            scores,
            *(each.tolist() for each in (self.seconds, self.at)),
            strict=True,
        ):
            if name not in parsed:
                parsed[name] = json.loads(recipe)
            took, error = seconds if own else None, self.errors.get(name)
            points.append(Point(name, parsed[name], own, took, error, at))
        return points


def _sorted(rows: np.ndarray, at: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rows by their time, then by their id; the times of few are equal."""
    rows = rows[np.argsort(at[rows], kind="stable")]
    same = np.flatnonzero(np.diff(at[rows]) == 0)
    if len(same):
        for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1):
            tied = slice(run[0], run[-1] + 2)
            rows[tied] = sorted(rows[tied].tolist(), key=ids.__getitem__)
    return rows


def join(
    query: Query,
    family: str,
    objectives: Mapping[str, str],
    split: str,
    numerics: str,
    only: Collection[str] | None = None,
) -> Columns:
    """The points of a family as columns.

    Args:
        objectives: name -> fingerprint now; scores of an older fingerprint do not count.
        only: ids of points; all where None.
    """
    where, parameters = "family = ? AND split = ? AND numerics = ?", [family, split, numerics]
    if only is not None:
        # a join with few ids looks at few rows, a list of them at all
        where, parameters = f"{where} AND point IN (SELECT unnest(?))", [*parameters, list(only)]  # type: ignore[list-item]
    fingerprints = list(dict.fromkeys(objectives.values()))
    found = query(
        f"SELECT point, list_position(?, objective_fingerprint) - 1 AS which, seconds,"
        f" {', '.join(NUMBERS)} FROM rows"
        f" WHERE kind = 'score' AND {where} AND list_contains(?, objective_fingerprint)"
        f" QUALIFY row_number() OVER (PARTITION BY point, which ORDER BY {NEWEST}) = 1",
        [fingerprints, *parameters, fingerprints],
    )
    # asked second, so that it knows every point of the first answer
    known = query(
        "SELECT point, coalesce(any_value(recipe), '{}') AS recipe, min(\"at\") AS first,"
        """ max("at") FILTER (kind = 'score') AS scored,"""
        """ max("at") FILTER (kind = 'failure') AS failed,"""
        """ arg_max(error, "at") FILTER (kind = 'failure') AS error"""
        f" FROM rows WHERE {where} AND kind IN ('score', 'failure')"
        " GROUP BY point ORDER BY first, point",
        parameters,
    )
    ids = known["point"]
    row_of = {point: row for row, point in enumerate(ids.tolist())}
    rows = np.fromiter(map(row_of.__getitem__, found["point"]), np.int64, len(found["point"]))
    scored = np.zeros((len(ids), len(fingerprints)), dtype=bool)
    scored[rows, found["which"]] = True
    table = np.full((len(NUMBERS), *scored.shape), np.nan)
    for place, name in enumerate(NUMBERS):
        table[place, rows, found["which"]] = _floats(found[name])
    seconds = np.bincount(rows, np.nan_to_num(_floats(found["seconds"])), len(ids))
    failed = _floats(known["failed"]) >= np.nan_to_num(_floats(known["scored"]), nan=-np.inf)
    kept = np.flatnonzero(scored.any(axis=1) | failed)
    places = [fingerprints.index(each) for each in objectives.values()]
    return Columns(
        tuple(objectives),
        ids[kept],
        known["recipe"][kept],
        {ids[row]: known["error"][row] for row in np.flatnonzero(failed).tolist()},
        _floats(known["first"])[kept],
        seconds[kept],
        scored[kept][:, places],
        table[:, kept][:, :, places],
    )


def _floats(column: np.ndarray) -> np.ndarray:
    return np.ma.filled(column.astype(float), np.nan)
