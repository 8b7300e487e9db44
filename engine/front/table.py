"""Points as a table, and the two documents made from it: the front and a recommendation.

CSV file (csv_file.py) ─────┐
points of a study ──► Table ┴──► front_report, recommend_report ──► JSON documents
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from engine.counted import counted
from engine.errors import bad, unknown
from engine.front.bounds import Bounds, check_bounds
from engine.front.cone import Trade, ordered
from engine.front.criteria import NONE, Criteria
from engine.front.expression import Expression
from engine.front.noise import Places
from engine.front.pareto import (
    Bools,
    Floats,
    as_maximize,
    front_mask,
    hypervolume,
    ranks,
    reference_point,
)
from engine.front.preference import Range, ranges_of, recommend
from engine.front.sure import Sure
from engine.front.sure_report import of_front, of_pick

SURE = 1.96
"""Standard errors on either side of a mean in its 95 % interval."""


Sureness = Callable[[Places, Sequence[str], bool, Sequence[Trade]], Sure]


class ScoredPoint(Protocol):
    """A point with its scores, as the store gives it."""

    @property
    def id(self) -> str: ...
    @property
    def recipe(self) -> Mapping[str, Any]: ...
    @property
    def scores(self) -> Mapping[str, Mapping[str, Any]]: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def error(self) -> str | None: ...


@dataclass(frozen=True)
class Table:
    """Points over objectives.

    Attributes:
        names: the m objectives.
        maximize: bool [m].
        ids: n ids, all different.
        values: float64 [n, m] means; NaN if a point has none.
        failed: bool [n]: the point's missing scores failed, rather than never being measured.
        document: row -> the point as a JSON document.
        error: float64 [n, m] of `engine.front.noise.errors`; None where no errors are known.
        sure: how sure the front is: (some of the rows, the objectives, whether of all these points
            or of those that may be on the front, accepted trades); None where no errors are known.
    """

    names: tuple[str, ...]
    maximize: Bools
    ids: Sequence[str]
    values: Floats
    failed: Bools
    document: Callable[[int], Mapping[str, Any]]
    error: Floats | None = None
    sure: Sureness | None = None

    def select(self, names: Sequence[str] | None) -> Table:
        """Restrict to the given objectives, in that order; raises `BadInput` for an unknown
        name."""
        if not names:
            return self
        for name in names:
            if name not in self.names:
                raise unknown("objectives", "objective", name, self.names)
        if len(set(names)) < len(names):
            raise bad(
                "objectives",
                f"an objective is listed twice in {', '.join(names)}",
                "List each once.",
            )
        columns = [self.names.index(name) for name in names]
        return Table(
            tuple(names), self.maximize[columns], self.ids, self.values[:, columns], self.failed,
            self.document, None if self.error is None else self.error[:, columns], self.sure,
        )  # fmt: skip

    def sureness(self, rows: Places, every: bool, trades: Sequence[Trade] = ()) -> Sure | None:
        """How sure the front of some rows over these objectives is; None if no errors are known."""
        if self.sure is None or not len(rows):
            return None
        return self.sure(rows, self.names, every, trades)

    def cautious(self, z: float) -> Table:
        """Every mean worse by z of its standard errors; without an error a point has no value.
        Raises `BadInput` where z is negative or no errors are known."""
        if not z >= 0:
            raise bad("--cautious", f"{z:g} is below 0", "Give a number of standard errors.")
        if not z or not len(self.ids):
            return self
        if self.error is None:
            what = "a table of means has no standard errors"
            raise bad("--cautious", what, "Leave it out, or use a study.")
        worse = self.values + np.where(self.maximize, -z, z) * self.error
        return replace(self, values=worse)

    @property
    def complete(self) -> Bools:
        """bool [n]: which points have a value for every objective."""
        return np.asarray(np.isfinite(self.values).all(axis=1), dtype=bool)


def point_document(point: ScoredPoint) -> dict[str, Any]:
    """A point as every command prints it: id, recipe, scores, seconds, error."""
    return {
        "id": point.id,
        "recipe": dict(point.recipe),
        "scores": {name: dict(score) for name, score in point.scores.items()},
        "seconds": point.seconds,
        "error": point.error,
    }


def table_of(points: Iterable[ScoredPoint], directions: Mapping[str, str]) -> Table:
    """A table of a study's points over objectives, name -> "maximize" | "minimize", in order."""
    points = list(points)
    names = tuple(directions)
    means = [[point.scores.get(name, {}).get("mean") for name in names] for point in points]
    values = np.array(means, dtype=np.float64).reshape(len(points), len(names))
    return Table(
        names,
        as_maximize(tuple(directions.values())),
        tuple(point.id for point in points),
        np.where(np.isfinite(values), values, np.nan),
        np.array([point.error is not None for point in points], dtype=bool),
        lambda row: point_document(points[row]),
    )


def front_report(
    table: Table,
    objectives: Sequence[str] | None = None,
    reference: Sequence[float] | None = None,
    ranges: Mapping[str, Range] | None = None,
    criteria: Criteria = NONE,
    bounds: Bounds | None = None,
) -> dict[str, Any]:
    """The document of the command `front`.

    Args:
        bounds: of each, how sure it is that a point meets it is said.
        objectives: those of the front; default all.
        criteria: points that miss a constraint are set aside, accepted trades decide what is
            better, and the front comes in the order of its utility.
        reference: of the hypervolume, one value per objective; default that of `ranges`, else
            `pareto.reference_point` of the front. Without a complete point there is none.

    Raises:
        BadInput: an unknown objective, a reference of another length or not finite.
    """
    whole, table = table, table.select(objectives)
    if reference is not None and len(reference) != len(table.names):
        raise bad(
            "reference",
            f"{counted(len(reference), 'value')} for {counted(len(table.names), 'objective')}",
            f"Give one value for each of {', '.join(table.names)}.",
        )
    if reference is not None and not np.isfinite(reference).all():
        raise bad("reference", "a value is not finite", "Give numbers.")
    bounds = bounds or {}
    check_bounds(table.names, bounds)
    kept = np.flatnonzero(table.complete)
    ones = {name: 1.0 for name in whole.names}
    met = criteria.violation(whole.names, whole.values[kept], ones) == 0.0
    excluded, kept = int((~met).sum()), kept[met]
    values = table.values[kept]
    better = ordered(table.names, values, table.maximize, criteria.trades)
    order = ranks(better, np.zeros(better.shape[1], dtype=bool))
    mask = order == 1
    corner: Floats | None = None
    if reference is not None:
        corner = np.asarray(reference, dtype=np.float64)
    elif ranges is not None:
        corner = np.array([ranges[name].reference for name in table.names])
    elif mask.any():
        corner = reference_point(values[mask], table.maximize)
    volume = np.inf if corner is None else hypervolume(values[mask], table.maximize, corner)
    ids = [table.ids[row] for row in kept.tolist()]
    more: dict[str, Any] = {}
    members = np.flatnonzero(mask)
    if criteria.constraints:
        more |= {"constraints": list(map(str, criteria.constraints)), "excluded": excluded}
    if criteria.trades:
        more["cone"] = list(map(str, criteria.trades))
    if criteria.utility is not None:
        useful = criteria.utility.bounded(whole.names, whole.values[kept[members]])
        best = np.argsort(-useful, kind="stable")
        members = members[best]
        more["utility"] = {
            ids[row]: None if math.isnan(value) else value
            for row, value in zip(members.tolist(), useful[best].tolist(), strict=True)
        }
    return {
        "objectives": list(table.names),
        "front": [ids[row] for row in members.tolist()],
        "ranks": dict(zip(ids, order.tolist(), strict=True)),
        **of_front(table.sureness(kept, bool(bounds), criteria.trades), ids, bounds),
        "hypervolume": volume if math.isfinite(volume) else None,  # of perplexities of 1e200
        "reference": None if corner is None else corner.tolist(),
        "points": len(table.ids),
        "failed": int((table.failed & ~table.complete).sum()),
        "incomplete": int((~table.failed & ~table.complete).sum()),
        **more,
    }


def recommend_report(
    table: Table,
    weights: Mapping[str, float],
    bounds: Bounds | None = None,
    objectives: Sequence[str] | None = None,
    ranges: Mapping[str, Range] | None = None,
    criteria: Criteria = NONE,
    cautious: float = 0.0,
) -> dict[str, Any]:
    """The document of the command `recommend`; with a utility its value at the point, and its
    standard error to first order, the objectives' errors independent.

    Args:
        cautious: standard errors by which every mean is taken to be worse, for bounds too.

    Raises:
        BadInput: no point has a score for every objective, or weights, bounds and criteria that
            cannot be used.
    """
    whole = table.cautious(cautious)
    means, table = table.select(objectives).values, whole.select(objectives)
    kept = np.flatnonzero(table.complete)
    if not len(kept):
        raise bad(
            "recommend",
            f"none of {counted(len(table.ids), 'point')} has a score for each of"
            f" {', '.join(table.names)}",
            "Evaluate some points first, or select fewer objectives.",
        )
    bounds = bounds or {}
    if ranges is None:  # those of the means, however cautious the pick is
        on_front = front_mask(means[kept], table.maximize)
        ranges = ranges_of(table.names, means[kept][on_front], table.maximize)
    found = recommend(
        table.names, table.values[kept], table.maximize, weights, bounds, ranges, criteria,
        (whole.names, whole.values[kept]),
    )  # fmt: skip
    row = int(kept[found.index])
    point = dict(table.document(row))
    more = of_pick(whole, kept, found.index, table.names, weights, ranges, bounds, criteria)
    if criteria.utility is not None:
        error = _utility_error(criteria.utility, whole, row, point["scores"])
        more["utility"] = {"mean": found.utility, "stderr": error}
    return {
        "point": point,
        "unmet": [
            {"name": each.name, "bound": each.bound, "closest": each.closest}
            for each in found.unmet
        ],
        **more,
    }


def _utility_error(
    utility: Expression, table: Table, row: int, scores: Mapping[str, Mapping[str, Any]]
) -> float | None:
    """Standard error of a utility at a row of the table; None where a score has none."""
    slope = utility.slopes(table.names, table.values[row])[1][0]
    parts = []
    for name in utility.names:
        error, low, high = (scores[name].get(key) for key in ("stderr", "low", "high"))
        if error is None:
            return None
        if error == 0 and low is not None and high is not None:  # a proportion of 0 or 1
            error = (high - low) / (2 * SURE)
        parts.append(float(slope[table.names.index(name)]) * float(error))
    found = math.hypot(*parts)
    return found if math.isfinite(found) else None
