"""A raced sweep: what its points have on the first rows, which are stopped, and why. No widget.

recipes ── block of rows ──► rows of the kind "partial" ──► chance to be on the front
                                                            ├─ below the threshold ► "stopped"
                                                            └─ next block … then all rows
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cache.rows import score_id
from engine.errors import BadInput, bad
from engine.front.noise import Results
from engine.front.racing import SHARES, block, chances, results_on
from engine.recipe import Recipe
from engine.scoring import parts
from engine.scoring.data import read_rows
from engine.scoring.registry import find_scorer
from engine.study import Objective
from studio.decide.results import kind_of, rows_of
from studio.sweeps.stopped import STOPPED, name_of, stopped
from studio.workbench import Workbench


@dataclass(frozen=True)
class Block:
    """What is scored of each objective before the rest.

    Attributes:
        limits: objective -> how many of its first rows; not of one that is scored whole.
    """

    share: float
    limits: Mapping[str, int]


class Race:
    """The points of one sweep. The study is open, its models are scored.

    Args:
        threshold: chance of being on the front below which a point is stopped, 0 to 1.

    Attributes:
        running: point id -> recipe, of those that are not stopped.
        stopped: the journal's rows of those that are.

    Raises:
        BadInput: an objective that people score.
    """

    def __init__(
        self,
        bench: Workbench,
        recipes: Iterable[Recipe],
        objectives: Sequence[str],
        threshold: float,
    ) -> None:
        self._bench, self._threshold = bench, threshold
        self._objectives = [each for each in bench.objectives if each.name in set(objectives)]
        for each in self._objectives:
            if (kind := find_scorer(each.scorer).kind) in ("votes", "combined"):
                by = "by people, after the sweep" if kind == "votes" else "once its members are"
                what = f"{each.name} is scored {by}"
                raise bad("--race", what, "Name the other objectives: --objectives.")
        opened = bench.opened
        assert opened is not None
        self._family, self._numerics = opened.family, opened.numerics
        self._prints = {each.name: opened.objectives[each.name] for each in self._objectives}
        self._sizes = {each.name: _rows(each) for each in self._objectives}
        every = {bench.point_id(each): each for each in recipes}
        lacking = {bench.point_id(each) for each in bench.lacking(every.values(), objectives)}
        before = {row["point"]: row for row in stopped(bench, self._prints)}
        self.stopped = [
            before[point]
            for point in every
            if point in lacking and point in before and self._below(before[point]["probability"])
        ]
        out = {row["point"] for row in self.stopped}
        self.running = {point: each for point, each in every.items() if point not in out}
        self._raced = [point for point in self.running if point in lacking]
        self._judged: Block | None = None

    def _below(self, probability: float) -> bool:
        return probability < self._threshold

    @property
    def blocks(self) -> list[Block]:
        """Those before all rows; none twice."""
        found: list[Block] = []
        for share in SHARES:
            limits = {
                each.name: n
                for each in self._objectives
                if (n := block(share, self._sizes[each.name])) < self._sizes[each.name]
                and _readable(each, n)
            }
            if limits and (not found or limits != found[-1].limits):
                found.append(Block(share, limits))
        return found

    def payload(self, each: Block | None) -> dict[str, Any]:
        """What the job takes that scores a block, or all rows of what is left; no recipes where
        nothing is missing."""
        recipes = [self.running[point] for point in self._raced]
        limits = {} if each is None else dict(each.limits)
        have = self._bench.have(recipes)
        if each is not None:
            have += [row["id"] for row in self._partial(each).values()]
        begun: dict[str, dict[str, Any]] = {}
        if self._judged is not None:
            for (point, name), row in self._partial(self._judged).items():
                kept = ("id", "n", "mean", "values", "texts", "tokens", "seconds")
                begun.setdefault(point, {})[name] = {key: row[key] for key in kept}
        return {
            "recipes": [recipe.as_dict() for recipe in recipes],
            "objectives": [objective.name for objective in self._objectives],
            "have": have,
            "limits": limits,
            "begun": begun,
        }

    def judge(self, each: Block) -> list[dict[str, Any]]:
        """Stop what has no chance on a block that is scored; its rows, saved. What has no score on
        some objective goes on: it is not known how good it is."""
        self._bench.store.refresh()
        self._judged = each
        partial = self._partial(each)
        ids = [*self._raced, *self._rivals(each)]
        columns = [self._column(objective, each, ids, partial) for objective in self._objectives]
        there = np.logical_and.reduce([np.isfinite(column).all(axis=1) for column in columns])
        if there.sum() < 2:
            return []
        results = [
            self._results(objective, each, column[there])
            for objective, column in zip(self._objectives, columns, strict=True)
        ]
        maximize = [objective.direction == "maximize" for objective in self._objectives]
        found = chances([objective.name for objective in self._objectives], maximize, results)
        known = dict(zip(np.array(ids)[there].tolist(), found.tolist(), strict=True))
        out = [point for point in self._raced if self._below(known.get(point, np.nan))]
        rows = [self._stop(point, each, known[point], partial) for point in out]
        if rows:
            self._bench.store.append(rows)
        for point in out:
            del self.running[point]
        self._raced = [point for point in self._raced if point in self.running]
        self.stopped += rows
        return rows

    def _partial(self, each: Block) -> dict[tuple[str, str], dict[str, Any]]:
        """(point, objective) -> its row on a block."""
        prints = parts.fingerprints(self._prints, each.limits)
        wanted = {
            score_id(point, prints[name], "explore", self._numerics): (point, name)
            for point in self._raced
            for name in each.limits
        }
        rows = self._bench.store.records(parts.KIND, self._family)
        return {wanted[row["id"]]: row for row in rows if row["id"] in wanted}

    def _rivals(self, each: Block) -> list[str]:
        """Points measured on every row; none where values of the rows are not a row's own, but
        those of all rows together."""
        pooled = (
            find_scorer(one.scorer).pooled for one in self._objectives if one.name in each.limits
        )
        if any(one is not None for one in pooled):
            return []
        raced = set(self._raced)
        found = self._bench.store.points(self._family, self._prints, "explore", self._numerics)
        return [
            point.id for point in found
            if point.id not in raced and set(point.scores) == set(self._prints)
        ]  # fmt: skip

    def _column(
        self,
        objective: Objective,
        each: Block,
        ids: Sequence[str],
        partial: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> np.ndarray:
        """What points have on a block's rows, float64 [points, rows]; NaN where nothing. Of an
        objective without rows the score, in one column."""
        name, n = objective.name, each.limits.get(objective.name)
        store = self._bench.store
        if not self._sizes[name]:
            scores = store.points(self._family, self._prints, "explore", self._numerics, {*ids})
            means = {point.id: point.scores.get(name, {}).get("mean") for point in scores}
            return np.array([[means.get(point)] for point in ids], dtype=np.float64)
        whole = store.examples(self._prints[name], "explore", self._numerics, list(ids))
        if whole.shape[1] != self._sizes[name]:
            whole = np.full((len(ids), self._sizes[name]), np.nan)
        if n is None:
            return whole
        found = whole[:, parts.places_of(objective, n)]
        for place, point in enumerate(ids):
            row = partial.get((point, name))
            if row is not None and row["mean"] is not None:
                found[place] = row["values"]
        return np.asarray(found, dtype=np.float64)

    def _results(self, objective: Objective, each: Block, column: np.ndarray) -> Results:
        rows = f"{rows_of(objective)} {each.limits.get(objective.name)}"
        counted = None if self._sizes[objective.name] else column[:, 0]
        return results_on(kind_of(objective), column, rows, counted)

    def _stop(
        self,
        point: str,
        each: Block,
        probability: float,
        partial: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> dict[str, Any]:
        scores = {
            name: {key: partial[point, name][key] for key in ("mean", "stderr", "low", "high", "n")}
            | {"of": self._sizes[name]}
            for name in each.limits
            if (point, name) in partial
        }
        return {
            "kind": STOPPED,
            "id": name_of(point, self._prints, self._numerics),
            "point": point,
            "recipe": self.running[point].as_dict(),
            "family": self._family,
            "split": "explore",
            "numerics": self._numerics,
            "fingerprints": self._prints,
            "scores": scores,
            "probability": probability,
            "threshold": self._threshold,
        }


def _rows(objective: Objective) -> int:
    return len(read_rows(objective, "explore"))


def _readable(objective: Objective, n: int) -> bool:
    """Whether a scorer takes so few rows: some need one of each class."""
    try:
        return len(read_rows(replace(objective, limit=n), "explore")) == n
    except BadInput:
        return False
