"""Points as columns, joined from the index without creating a Python object per score.

    rows ──► the newest score of each (point, fingerprint) ──► float64 [points, objectives] each

`join` reads all points or some of them; `Columns.updated` merges changed points into those read
before, so that a new point does not require reading the old ones again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.index import Index
from cache.joining import NUMBERS, join_points, points_text, sorted_by_time
from cache.point import Point


@dataclass(frozen=True)
class Columns:
    """Points that have a score of an objective or failed, the earliest first.

    Attributes:
        names: the objectives.
        ids: object [points] of texts.
        recipes: object [points] of JSON texts.
        errors: point id -> why it last failed, of points without a score after that; else why it
            has no value of an objective, with the objective's name.
        at: float64 [points], unix seconds of the first row of each.
        seconds: float64 [points], what the scores of each took together.
        scored: bool [points, objectives], whether there is a score (its mean may be NaN).
        table: float64 [5, points, objectives], NUMBERS of each score; NaN if there is none.
        shipped: bool [points, objectives], whether a score came with the program.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    recipes: np.ndarray
    errors: Mapping[str, str]
    at: np.ndarray
    seconds: np.ndarray
    scored: np.ndarray
    table: np.ndarray
    shipped: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def updated(self, news: Columns, changed: Collection[str]) -> Columns:
        """These points with `news` for the `changed` ones, some of which may be new or gone."""
        ids = np.concatenate([self.ids, news.ids])
        at = np.concatenate([self.at, news.at])
        kept = np.ones(len(ids), dtype=bool)
        kept[: len(self)] = ~np.fromiter(map(changed.__contains__, self.ids), bool, len(self))
        order = sorted_by_time(np.flatnonzero(kept), at, ids)
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
            np.concatenate([self.shipped, news.shipped])[order],
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


def join(
    index: Index,
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
    with index.snapshot():
        found = join_points(index, family, objectives, split, numerics, only)
        recipes = points_text(index, found.numbers, "coalesce(recipe, '{}')", only is None)
    return Columns(
        tuple(objectives), found.ids, recipes, found.errors, found.at, found.seconds, found.scored,
        found.table, found.shipped,
    )  # fmt: skip
