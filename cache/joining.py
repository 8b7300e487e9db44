"""Rows of the index joined to points: a scan of a few columns of numbers, scattered into arrays.

    lines ──► cells (point, fingerprint), the last line stays ──► float64 [points, objectives]
                 │ a cell with two rows, or with an error: the newest is asked for
                 └─ points with a failure: whether a score came after it

The scan proceeds in ranges of points, so that memory beyond the result does not grow with the
store; lines are roughly in the order of their points, so each range is a short scan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cache.index import NEWEST, UNKNOWN, Index

SHIPPED = "demo-"
"""How the sources of rows begin that came with the program (`engine.demo.points`)."""

NUMBERS = ("mean", "stderr", "low", "high", "n")
MEANS = ("mean", "stderr", "n")
RANGE = 1 << 15

Asked = Mapping[str, np.ndarray]
"""Columns of a result; missing values are masked."""

_SOURCES = "JOIN (SELECT key, text AS source FROM texts) AS named ON lines.source = named.key"
_NEWEST = NEWEST.replace("source", "named.source")


@dataclass(frozen=True)
class Joined:
    """Points that have a score of an objective or failed, the earliest first.

    Attributes:
        ids: object [points] of texts.
        numbers: int [points], under which the index has them.
        at: float64 [points], unix seconds of the first row of each.
        seconds: float64 [points], what the newest scores of each took together.
        errors: point id -> why it last failed, or why it has no value of an objective.
        scored: bool [points, objectives], whether there is a score (its mean may be NaN).
        table: float64 [names of numbers, points, objectives]; NaN if there is none.
        shipped: bool [points, objectives], whether a score came with the program (`SHIPPED`).
    """

    ids: np.ndarray
    numbers: np.ndarray
    at: np.ndarray
    seconds: np.ndarray
    errors: Mapping[str, str]
    scored: np.ndarray
    table: np.ndarray
    shipped: np.ndarray


def join_points(
    index: Index,
    family: str,
    objectives: Mapping[str, str],
    split: str,
    numerics: str,
    only: Collection[str] | None = None,
    names: Sequence[str] = NUMBERS,
) -> Joined:
    """The points of a family.

    Args:
        objectives: name -> fingerprint now; scores of an older fingerprint do not count.
        only: ids of points; all where None.
        names: which numbers of a score.
    """
    prints = list(dict.fromkeys(objectives.values()))
    scan = _Scan(index, family, split, numerics, prints, names)
    if only is None:
        last = index.arrays("SELECT coalesce(max(point), -1) AS last FROM points")["last"][0]
        ranges = [
            np.arange(start, min(start + RANGE, int(last) + 1))
            for start in range(0, int(last) + 1, RANGE)
        ]
    else:
        numbers = sorted(index.points_of(only))
        ranges = [np.array(numbers, np.int64)] if numbers else []
    found = [scan.cells(each) for each in ranges] or [scan.cells(np.empty(0, np.int64))]
    points, at, seconds, scored, shipped, table = (
        np.concatenate(each, axis=-2 if place == 5 else 0)
        for place, each in enumerate(zip(*found, strict=True))
    )
    ids = points_text(index, points, "id", only is None)
    order = sorted_by_time(np.arange(len(points)), at, ids)
    places = [prints.index(each) for each in objectives.values()]
    reasons = scan.reasons(tuple(objectives), places)
    known = dict(zip(points.tolist(), ids.tolist(), strict=True)) if reasons else {}
    return Joined(
        ids[order],
        points[order],
        at[order],
        seconds[order],
        {known[point]: why for point, why in reasons.items() if point in known},
        scored[order][:, places],
        table[:, order][:, :, places],
        shipped[order][:, places],
    )


def join_means(
    index: Index, family: str, objectives: Mapping[str, str], split: str, numerics: str
) -> Joined:
    """`join_points` of all points, as of one moment, with `MEANS` alone."""
    with index.snapshot():
        return join_points(index, family, objectives, split, numerics, names=MEANS)


def points_text(index: Index, points: np.ndarray, text: str, every: bool) -> np.ndarray:
    """A text of each point, object [points].

    Args:
        points: int [points], in any order.
        text: SQL over the table of points.
        every: whether to read those of all points rather than to pick these.
    """
    if not len(points):
        return np.empty(0, dtype=object)
    sql, parameters = f"SELECT point, {text} AS text FROM points", list[object]()
    if not every:
        sql += " WHERE point BETWEEN ? AND ? AND point IN (SELECT unnest(?))"
        parameters = [int(points.min()), int(points.max()), points.tolist()]
    found = index.arrays(sql, parameters)
    order = np.argsort(found["point"])
    return found["text"][order[np.searchsorted(found["point"], points, sorter=order)]]


class _Scan:
    """One look at the rows of a family, split and numerics.

    Args:
        prints: fingerprints, each once; the columns of what is found.
        names: the numbers wanted.
    """

    def __init__(
        self,
        index: Index,
        family: str,
        split: str,
        numerics: str,
        prints: Sequence[str],
        names: Sequence[str],
    ) -> None:
        self.index, self.names, self.prints = index, tuple(names), [*map(index.text, prints)]
        self.score, self.failure = index.text("score"), index.text("failure")
        keys = zip(("family", "split", "numerics"), (family, split, numerics), strict=True)
        sent = [str(each) for each in index.numbers.starting(SHIPPED)]
        self.shipped = f"lines.source IN ({', '.join(sent)})" if sent else "false"
        self.where = " AND ".join(f"{name} = {index.text(text)}" for name, text in keys)
        self.which = np.full(max(self.prints, default=0) + 2, UNKNOWN)  # the last one is no text's
        for column, number in enumerate(self.prints):
            if number != UNKNOWN:
                self.which[number] = column
        self.failed: dict[int, str] = {}
        self.without: dict[tuple[int, int], str] = {}

    def cells(self, points: np.ndarray) -> tuple[np.ndarray, ...]:
        """(points, first time, seconds, scored, shipped, numbers) of those of `points`, in
        increasing order, that have a score of an objective or failed."""
        shape = len(points), len(self.prints)
        at, failed = np.full(shape[0], np.inf), np.zeros(shape[0], dtype=bool)
        scored, shipped = np.zeros((2, *shape), dtype=bool)
        table = np.full((len(self.names) + 1, *shape), np.nan)
        if len(points):
            self._scatter(points, at, failed, scored, shipped, table)
        kept = np.flatnonzero(scored.any(axis=1) | failed)
        seconds = np.nan_to_num(table[-1]).sum(axis=1)
        known = points[kept], at[kept], seconds[kept], scored[kept], shipped[kept]
        return *known, table[:-1, kept]

    def _asked(self, select: str, more: str, points: np.ndarray, newest: str = "") -> Asked:
        """Columns of the lines of points; the newest of each combination of columns `newest`."""
        low, high = int(points[0]), int(points[-1])
        where = f"{self.where} AND {more} AND point BETWEEN {low} AND {high}"
        parameters: list[object] = []
        if high - low + 1 > len(points):  # some of them
            where += " AND point IN (SELECT unnest(?))"
            parameters = [points.tolist()]
        sql = f"SELECT {select} FROM lines {_SOURCES if newest else ''} WHERE {where}"
        if newest:
            sql += f" QUALIFY row_number() OVER (PARTITION BY {newest} ORDER BY {_NEWEST}) = 1"
        return self.index.arrays(sql, parameters)

    def _scatter(
        self,
        points: np.ndarray,
        at: np.ndarray,
        failed: np.ndarray,
        scored: np.ndarray,
        shipped: np.ndarray,
        table: np.ndarray,
    ) -> None:
        width = scored.shape[1]
        numbers = (*self.names, "seconds")
        select = f"point, objective_fingerprint AS print, {', '.join(numbers)}"
        kinds = f"kind IN ({self.score}, {self.failure})"
        also = f'kind = {self.failure} AS failure, "at", error IS NOT NULL AS wrong'
        also += f", {self.shipped} AS shipped"
        found = self._asked(f"{select}, {also}", kinds, points)
        rows = np.searchsorted(points, found["point"])
        np.minimum.at(at, rows, _floats(found["at"]))
        column = self._columns(found)
        mine = np.flatnonzero(column != UNKNOWN)
        cell = rows[mine] * width + column[mine]
        last = np.empty(scored.size, np.int64)
        last[cell] = np.arange(len(cell))  # of a cell with several rows one stays
        flat = table.reshape(len(table), -1)
        scored.reshape(-1)[cell] = True
        shipped.reshape(-1)[cell] = np.asarray(found["shipped"])[mine]
        for place, name in enumerate(numbers):
            flat[place, cell] = _floats(found[name])[mine]
        doubtful = (last[cell] != np.arange(len(cell))) | np.asarray(found["wrong"])[mine]
        if doubtful.any():
            again = points[np.unique(rows[mine][doubtful])]
            score = f"kind = {self.score}"
            settled = f"{select}, error, {self.shipped} AS shipped"
            newest = self._asked(settled, score, again, newest="point, objective_fingerprint")
            self._settle(points, newest, flat, shipped.reshape(-1), width)
        failures = np.asarray(found["failure"])
        if failures.any():
            self._failures(points, failed, points[np.unique(rows[failures])])

    def _columns(self, found: Asked) -> np.ndarray:
        """Which column each row belongs to, UNKNOWN where it has another fingerprint or none."""
        return self.which[np.minimum(np.ma.filled(found["print"], UNKNOWN), len(self.which) - 1)]

    def _settle(
        self, points: np.ndarray, newest: Asked, flat: np.ndarray, shipped: np.ndarray, width: int
    ) -> None:
        """Put the newest row of some cells in their place, and keep why one has no value."""
        column = self._columns(newest)
        mine = np.flatnonzero(column != UNKNOWN)
        rows = np.searchsorted(points, newest["point"])[mine]
        shipped[rows * width + column[mine]] = np.asarray(newest["shipped"])[mine]
        for place, name in enumerate((*self.names, "seconds")):
            flat[place, rows * width + column[mine]] = _floats(newest[name])[mine]
        errors = newest["error"][mine].tolist()
        for row, each, error in zip(rows.tolist(), column[mine].tolist(), errors, strict=True):
            if error is not None:
                self.without[int(points[row]), each] = error

    def _failures(self, points: np.ndarray, failed: np.ndarray, fails: np.ndarray) -> None:
        """Which of the points that failed have no score of this split and numerics after that."""
        found = self._asked(
            f"point, kind = {self.failure} AS failure, error,"
            ' coalesce("sequence", -1) AS "sequence", "at"',
            f"kind IN ({self.score}, {self.failure})",
            fails,
            newest="point, kind",
        )
        names = ("failure", "point", "sequence", "at", "error")
        when: dict[int, tuple[int, float]] = {}
        # the scores come first
        for failure, point, number, at, error in sorted(
            zip(*(found[name].tolist() for name in names), strict=True), key=lambda row: row[:2]
        ):
            if not failure:
                when[point] = (number, at)
            elif point not in when or (number, at) >= when[point]:
                failed[np.searchsorted(points, point)] = True
                self.failed[point] = error

    def reasons(self, objectives: Sequence[str], places: Sequence[int]) -> dict[int, str]:
        """Point -> why it failed since its last score, else why it lacks values of objectives."""
        found: dict[int, list[str]] = {}
        for name, place in zip(objectives, places, strict=True):
            for (point, column), why in self.without.items():
                if column == place:
                    found.setdefault(point, []).append(f"{name}: {why}")
        return {point: "; ".join(each) for point, each in found.items()} | self.failed


def sorted_by_time(rows: np.ndarray, at: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rows by their time, then by their id; the times of few are equal."""
    rows = rows[np.argsort(at[rows], kind="stable")]
    same = np.flatnonzero(np.diff(at[rows]) == 0)
    if len(same):
        for run in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1):
            tied = slice(run[0], run[-1] + 2)
            rows[tied] = sorted(rows[tied].tolist(), key=ids.__getitem__)
    return rows


def _floats(column: np.ndarray) -> np.ndarray:
    return np.ma.filled(column.astype(float), np.nan)
