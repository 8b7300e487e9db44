"""From points to what a page shows: columns, the front, the nearest point. Pure; no widget.

Point … ──► Measured ─┬─ front_of(axes)        which rows are on the front
                      └─ nearest(recipe)       the exact point, else the closest in coefficients
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import Any, Protocol

import numpy as np

from engine.errors import shown
from engine.front.pareto import front_mask
from engine.recipe import Recipe, recipe_from_dict
from engine.scoring.registry import find_scorer
from engine.study import Objective
from studio.points.numbers import ONE, REASON, number, reason_of
from studio.points.places import Nearest, has_own_sliders, position_of, shape_of
from studio.points.recipes import recipe_text

COLUMNS = ("mean", "stderr", "low", "high", "n")


class PointLike(Protocol):
    """What is read of a point of the store."""

    id: str
    recipe: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    seconds: float | None
    error: str | None


@dataclass(frozen=True)
class Axis:
    """An objective as an axis of a chart.

    Attributes:
        unit: in words; empty if none is known.
        log: whether it is best read on a logarithmic axis.
    """

    name: str
    maximize: bool
    unit: str = ""
    log: bool = False

    @property
    def arrow(self) -> str:
        return "↑" if self.maximize else "↓"

    @property
    def label(self) -> str:
        """For a list to choose from: the name and where better lies."""
        return f"{self.name} {self.arrow}"

    @property
    def title(self) -> str:
        """For the chart: direction and unit in words."""
        words = "maximise" if self.maximize else "minimise"
        return f"{self.name} {self.arrow} {words}" + (f" ({self.unit})" if self.unit else "")


def axes_of(objectives: Iterable[Objective]) -> tuple[Axis, ...]:
    """The axes of checked objectives (direction filled in), in the study's order."""
    found = []
    for each in objectives:
        scorer = find_scorer(each.scorer)
        maximize = each.direction == "maximize"
        found.append(Axis(each.name, maximize, scorer.unit, scorer.log_axis))
    return tuple(found)


@dataclass(frozen=True)
class Measured:
    """Points as columns.

    Attributes:
        names: objectives, the columns of `mean`.
        mean: float64 [points, objectives]; NaN if a point has no such score.
        stderr: float64 [points, objectives]; NaN if there is none.
        n: int64 [points, objectives]; examples behind each mean, 0 where not measured.
        failures: point id -> reason, of points that have no scores.
        low, high: float64 [points, objectives]; the 95 % interval, NaN if there is none.
        exact: objectives that are counted, not estimated from examples.
        reasons: point id -> "objective: why; …", of what was measured and has no value.
        shipped: bool [points, objectives]; scores that came with the demo, not measured here.
        called: point id -> what a user calls it, where it has a name.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    mean: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    stderr: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    n: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    failures: Mapping[str, str] = field(default_factory=dict)
    low: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    high: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    exact: frozenset[str] = frozenset()
    reasons: Mapping[str, str] = field(default_factory=dict)
    shipped: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    called: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, none in (("low", np.nan), ("high", np.nan), ("shipped", False)):  # not given
            if getattr(self, name).shape != self.mean.shape:
                object.__setattr__(self, name, np.full(self.mean.shape, none))

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, mask: np.ndarray) -> Measured:
        """The points of a mask (bool [points]), in the same order; the failures are kept."""
        chosen = mask.tolist()
        columns = (self.mean, self.stderr, self.n, self.low, self.high, self.shipped)
        mean, stderr, n, low, high, shipped = (column[mask] for column in columns)
        ids, recipes = tuple(compress(self.ids, chosen)), tuple(compress(self.recipes, chosen))
        found = Measured(
            self.names, ids, recipes, mean, stderr, n, self.failures, low, high, self.exact,
            self.reasons, shipped, self.called,
        )  # fmt: skip
        vars(found)["singles"] = self.singles[mask]
        return found

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {point: row for row, point in enumerate(self.ids)}

    @cached_property
    def singles(self) -> np.ndarray:
        """bool [points]: base, target and experts, unmerged."""
        return np.array([each.unmerged is not None for each in self.recipes], dtype=bool)

    def text(self, row: int) -> str:
        """A point's recipe in words, its name before it where it has one."""
        name, text = self.called.get(self.ids[row]), recipe_text(self.recipes[row])
        return f"{name} · {text}" if name else text

    @cached_property
    def shapes(self) -> dict[tuple[Any, ...], np.ndarray]:
        """Method and parameters -> rows."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        for row, each in enumerate(self.recipes):
            rows.setdefault(shape_of(each), []).append(row)
        return {shape: np.array(found) for shape, found in rows.items()}

    @cached_property
    def _places(self) -> dict[tuple[Any, ...], np.ndarray]:
        """(method and parameters or None for all, names) -> positions, filled by `nearest`."""
        return {}

    def _positions(self, shape: tuple[Any, ...] | None, names: tuple[str, ...]) -> np.ndarray:
        """float64 [rows of that shape, names]; of every row where the shape is None."""
        key = (shape, names)
        if key not in self._places:
            rows = range(len(self)) if shape is None else self.shapes[shape]
            self._places[key] = np.array([position_of(self.recipes[row], names) for row in rows])
        return self._places[key]

    def column(self, name: str) -> int:
        return self.names.index(name)

    def score_text(self, row: int, name: str) -> str:
        """A point's score on an objective in words."""
        return self.score_texts(np.array([row]), name)[0]

    def score_texts(self, rows: np.ndarray, name: str) -> list[str]:
        """`score_text` of many rows."""
        column = self.column(name)
        columns = (self.mean, self.stderr, self.low, self.high)
        numbers = zip(*(each[rows, column].tolist() for each in columns), strict=True)
        texts = [number(*each) for each in numbers]
        if name not in self.exact:
            single = (self.n[rows, column] == 1) & np.isnan(self.low[rows, column])
            for place in np.flatnonzero(single).tolist():
                texts[place] += ONE
        none = np.isnan(self.mean[rows, column]) if self.reasons else np.zeros(len(rows), bool)
        for place in np.flatnonzero(none).tolist():
            row = int(rows[place])
            reason = self.without(row, name) or self.reasons.get(self.ids[row])
            texts[place] = f"no score: {shown(reason, most=REASON)}" if reason else texts[place]
        return texts

    def without(self, row: int, name: str) -> str | None:
        """Why a point was measured on an objective and has no value of it; None if neither."""
        if np.isfinite(self.mean[row, self.column(name)]):
            return None
        return reason_of(self.reasons.get(self.ids[row], ""), self.names, name)

    def complete(self, row: int) -> bool:
        """Whether every objective is measured; a reason stays one, whoever tries again."""
        missing = np.flatnonzero(~np.isfinite(self.mean[row])).tolist()
        return all(self.without(row, self.names[each]) is not None for each in missing)

    def like(self, recipe: Recipe) -> np.ndarray:
        """int [k]: the rows of points of the recipe's method and parameters, in order."""
        return self.shapes.get(shape_of(recipe), np.empty(0, dtype=np.int64))

    def places_like(self, recipe: Recipe) -> np.ndarray:
        """float64 [k, coefficients]: where the points of `like` stand, in their order."""
        shape, names = shape_of(recipe), tuple(recipe.coefficients)
        return self._positions(shape, names) if shape in self.shapes else np.empty((0, len(names)))

    def nearest(self, recipe: Recipe, *, whole: bool = False) -> Nearest | None:
        """The measured point closest in coefficients: of the same method and parameters where that
        has points, else of all. None if nothing is measured that can be compared: coefficients of
        a method's own are no other's; whole: on every objective."""
        if not len(self):
            return None
        shape = shape_of(recipe)
        names = tuple(recipe.coefficients)
        same = shape in self.shapes
        if not same and has_own_sliders(recipe):
            return None
        if not names:
            return Nearest(int(self.shapes[shape][0]), 0.0, True) if same else None
        positions = self._positions(shape if same else None, names)
        distance = np.sqrt(((positions - np.array(position_of(recipe, names))) ** 2).sum(axis=1))
        if whole:
            rows = self.shapes[shape] if same else slice(None)
            distance[~np.isfinite(self.mean[rows]).all(axis=1)] = np.inf
        best = int(distance.argmin())
        if not np.isfinite(distance[best]):
            return None
        row = int(self.shapes[shape][best]) if same else best
        return Nearest(row, float(distance[best]), same and bool(distance[best] < 1e-9))

    def front_of(self, axes: Sequence[Axis]) -> np.ndarray:
        """bool [points]: on the front over these axes; duplicates kept, incomplete set aside.

        Found once for a set of axes; not to be written to.
        """
        fronts: dict[tuple[Axis, ...], np.ndarray] = vars(self).setdefault("_fronts", {})
        key = tuple(sorted(axes, key=lambda axis: axis.name))
        if key not in fronts:
            values = self.mean[:, [self.column(axis.name) for axis in axes]]
            mask = np.zeros(len(self), dtype=bool)
            complete = np.isfinite(values).all(axis=1)
            if complete.any():
                mask[complete] = front_mask(values[complete], [axis.maximize for axis in axes])
            mask.flags.writeable = False
            fronts[key] = mask
        return fronts[key]


def measure(
    points: Iterable[PointLike], names: Sequence[str], known: dict[str, Recipe] | None = None
) -> Measured:
    """Columns of the points that have a score; the others are counted as failures.

    Args:
        known: point id -> recipe, filled as points are read, so that each is parsed once.
    """
    known = {} if known is None else known
    ids, recipes, numbers, failures, reasons = [], [], [], {}, {}
    for point in points:
        scores = [point.scores.get(name) or {} for name in names]
        if not any(score.get("mean") is not None for score in scores):
            if point.error:
                failures[point.id] = point.error
            continue
        ids.append(point.id)
        if point.error:
            reasons[point.id] = point.error
        if point.id not in known:
            known[point.id] = recipe_from_dict(point.recipe)
        recipes.append(known[point.id])
        numbers.append([[score.get(each) for each in COLUMNS] for score in scores])
    table = np.array(numbers, dtype=float).reshape(len(ids), len(names), len(COLUMNS))  # None: NaN
    mean, stderr, low, high, n = (np.ascontiguousarray(each) for each in np.moveaxis(table, 2, 0))
    count = np.nan_to_num(n).astype(np.int64)
    return Measured(
        tuple(names), tuple(ids), tuple(recipes), mean, stderr, count, failures, low, high,
        reasons=reasons,
    )  # fmt: skip
