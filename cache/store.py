"""The store of one workspace: journals are the truth, the index answers questions.

    append ──► journal (fsync = acknowledged) ──► refresh ──► index ──► points, scores
    other processes' journals, segments ─────────────┘

The first process to open a workspace owns `index.duckdb`, held by an `flock` that dies with it; every other one
replays segments and journals into memory. Both see the same rows in the same order.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from cache.index import NEWEST, Index, remove_index
from cache.journal import (
    SUFFIX,
    Journal,
    list_journals,
    make_directory,
    storage_error,
    try_lock,
)
from cache.rows import FIELDS, MAPPING
from cache.segments import compact, journal_tables, list_segments, read_segment, segment_sources

log = logging.getLogger(__name__)

REMEMBERED = 8


@dataclass(frozen=True)
class Point:
    """A recipe on a family with its scores.

    Attributes:
        recipe: method, coefficients, parameters; shared between calls, so not to be changed.
        scores: objective name -> {"mean", "stderr", "n", "low", "high"}, numbers or None.
        seconds: what its scores took together.
        error: why it last failed, None once a score came after the failure.
        at: unix seconds of the first row of this point.
    """

    id: str
    recipe: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    seconds: float | None
    error: str | None
    at: float


class Store:
    """Points and scores of a workspace; open with `Store.open`. Thread safe.

    Attributes:
        version: grows whenever new rows have been read.
        owner: whether this store holds `index.duckdb`, or has it in memory.
    """

    def __init__(self, workspace: Path, lock: int | None) -> None:
        self.workspace = workspace
        self.version = 0
        self._lock = threading.RLock()
        self._lock_file = lock
        self._journals = workspace / "journal"
        self._segments = workspace / "segments"
        self._journal = Journal(self._journals)
        self._read_segments: set[str] = set()
        self._points: OrderedDict[Any, tuple[int, list[Point]]] = OrderedDict()
        self._recipes: dict[str, dict[str, Any]] = {}
        if lock is not None:
            compact(self._journals, self._segments)
        self._index = self._open_index()

    @classmethod
    def open(cls, workspace: str | Path) -> Store:
        """Open a workspace, creating its directory (0700) where there is none.

        Raises:
            BadInput: the workspace cannot be written, or a newer version wrote it.
        """
        workspace = Path(workspace).expanduser().absolute()
        make_directory(workspace)
        place = workspace / "index.lock"
        try:
            lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, workspace) from error
        try:
            if try_lock(lock):
                with contextlib.suppress(OSError):  # the pid is for messages only
                    os.truncate(lock, 0)
                    os.pwrite(lock, str(os.getpid()).encode(), 0)
                return cls(workspace, lock)
            log.info(
                "%s: process %s owns the index", workspace, os.pread(lock, 32, 0).decode() or "?"
            )
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return cls(workspace, None)

    @property
    def owner(self) -> bool:
        return self._lock_file is not None

    def close(self) -> None:
        """Close index and journal and let another process own the index."""
        with self._lock:
            self._journal.close()
            self._index.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # writing

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Save rows; once this returns they are on disk and survive anything.

        Raises:
            ValueError: a row is not one; nothing was written.
            NotSaved: the disk is full or failed.
            BadInput: the workspace cannot be written.
        """
        self._journal.append(rows)
        try:
            self.refresh()
        except Exception:
            # the rows are saved; failing here would make the caller believe they are not
            log.exception(
                "%s: saved, but the index could not be brought up to date", self.workspace
            )

    # reading what others wrote

    def refresh(self) -> bool:
        """Read what has been written since, by any process; costs a directory listing where nothing has.

        Returns:
            Whether there were new rows.
        """
        with self._lock:
            try:
                return self._tail()
            except duckdb.Error as error:
                return self._rebuild(error)

    def _tail(self) -> bool:
        before = self.version
        for _ in range(16):
            # journals first: one that is compacted between the two listings is then in a segment listed after it
            sizes, segments = list_journals(self._journals), list_segments(self._segments)
            with contextlib.suppress(FileNotFoundError):
                for name in segments:
                    if name not in self._read_segments:
                        self._read_segment(name)
                for name, size in sizes.items():
                    if size > self._index.known.get(name, 0):
                        self._read_journal(name)
                break
        return self.version > before

    def _read_segment(self, name: str) -> None:
        path = self._segments / name
        ends = segment_sources(path)
        known = self._index.known
        if any(end > known.get(source, 0) for source, end in ends.items()):
            rows = read_segment(path, known)
            news = {source: end for source, end in ends.items() if end > known.get(source, 0)}
            self._insert(rows, news)
        self._read_segments.add(name)

    def _read_journal(self, name: str) -> None:
        start = self._index.known.get(name, 0)
        for rows, end, _ in journal_tables(self._journals / f"{name}{SUFFIX}", start):
            self._insert(rows, {name: end})

    def _insert(self, rows: Any, read_to: Mapping[str, int]) -> None:
        self._index.insert(rows, read_to)
        if rows.num_rows:
            self.version += 1

    # the index file

    def _open_index(self) -> Index:
        """The index, brought up to date; one that is damaged, old or ahead of the journals is rebuilt."""
        self._index = Index(None)
        if self.owner:
            path = self.workspace / "index.duckdb"
            try:
                self._index = Index(path)
                if self._ahead():
                    raise duckdb.DataError("it holds rows that no journal or segment has")
            except duckdb.Error as error:
                if path.exists():
                    log.warning("%s: rebuilding the index (%s)", path, error)
                self._fresh_index()
        try:
            self._tail()
        except duckdb.Error as error:
            self._rebuild(error)
        return self._index

    def _ahead(self) -> bool:
        """Whether the index has read more of a journal than there is of it now (restored, lost or removed)."""
        there = list_journals(self._journals)
        for name in list_segments(self._segments):
            for source, end in segment_sources(self._segments / name).items():
                there[source] = max(end, there.get(source, 0))
        return any(end > there.get(source, 0) for source, end in self._index.known.items())

    def _fresh_index(self) -> None:
        """An empty index in a new file; in memory where this process does not own one or the disk takes none."""
        self._index.close()
        self._read_segments.clear()
        if self.owner:
            path = self.workspace / "index.duckdb"
            try:
                remove_index(path)
                self._index = Index(path)
                return
            except (OSError, duckdb.Error) as error:
                log.warning("%s: going on with the index in memory (%s)", path, error)
        self._index = Index(None)

    def _rebuild(self, reason: Exception) -> bool:
        log.warning("%s: rebuilding the index (%s)", self.workspace, reason)
        self._fresh_index()
        self.version += 1
        try:
            self._tail()
        except duckdb.Error as error:
            # the disk took an empty index and not a full one
            log.warning("%s: going on with the index in memory (%s)", self.workspace, error)
            self._index.close()
            self._index = Index(None)
            self._read_segments.clear()
            self._tail()
        return True

    def _query(self, sql: str, parameters: list[Any]) -> dict[str, list[Any]]:
        index = self._index
        try:
            return index.query(sql, parameters)
        except duckdb.Error as error:
            with self._lock:
                if self._index is index:
                    self._rebuild(error)
            return self._index.query(sql, parameters)

    # questions

    def has(self, point: str, objective_fingerprint: str, split: str, numerics: str) -> bool:
        """Whether this score is there: adding an objective evaluates only what is not."""
        found = self._query(
            "SELECT 1 AS one FROM rows WHERE kind = 'score' AND point = ? AND objective_fingerprint = ?"
            " AND split = ? AND numerics = ? LIMIT 1",
            [point, objective_fingerprint, split, numerics],
        )
        return bool(found["one"])

    def point(self, point_id: str) -> dict[str, Any] | None:
        """The recipe of a point by its id, None where there is none."""
        found = self._query(
            "SELECT recipe FROM rows WHERE point = ? AND recipe IS NOT NULL LIMIT 1", [point_id]
        )
        return json.loads(found["recipe"][0]) if found["recipe"] else None

    def numerics(self, family: str, split: str = "explore") -> list[str]:
        """The numerics a family has scores of, the most recent first."""
        found = self._query(
            "SELECT numerics FROM rows WHERE kind = 'score' AND family = ? AND split = ?"
            ' GROUP BY numerics ORDER BY max("at") DESC, numerics',
            [family, split],
        )
        return found["numerics"]

    def scores(
        self,
        family: str,
        *,
        objectives: Mapping[str, str] | None = None,
        split: str = "explore",
        numerics: str | None = None,
        point: str | None = None,
        values: bool = True,
    ) -> list[dict[str, Any]]:
        """Current score rows as they were appended, oldest first.

        Args:
            objectives: name -> fingerprint; rows of other fingerprints are left out.
            values: whether to read the per-example results too.
        """
        where, parameters = ["family = ?", "split = ?"], [family, split]
        for name, value in (("numerics", numerics), ("point", point)):
            if value is not None:
                where.append(f"{name} = ?")
                parameters.append(value)
        if objectives is not None:
            where.append("list_contains(?, objective_fingerprint)")
            parameters.append(list(objectives.values()))  # type: ignore[arg-type]
        return self._rows("current", where, parameters, values)

    def records(self, kind: str, family: str | None = None) -> list[dict[str, Any]]:
        """Rows of any kind, the newest of each id, oldest first."""
        where, parameters = ["kind = ?"], [kind]
        if family is not None:
            where.append("family = ?")
            parameters.append(family)
        newest = f"(SELECT * FROM rows QUALIFY row_number() OVER (PARTITION BY kind, id ORDER BY {NEWEST}) = 1)"
        return self._rows(newest, where, parameters, True)

    def _rows(
        self, table: str, where: list[str], parameters: list[Any], values: bool
    ) -> list[dict[str, Any]]:
        names = [*(name for name in FIELDS if values or name != "values"), "extra"]
        columns = ", ".join(f'"{name}"' for name in names)
        found = self._query(
            f"SELECT {columns} FROM {table} WHERE {' AND '.join(where)}"
            ' ORDER BY "at", source, position',
            parameters,
        )
        rows = []
        for cells in zip(*(found[name] for name in names), strict=True):
            row = dict(zip(names, cells, strict=True))
            extra = row.pop("extra")
            for name in MAPPING:
                row[name] = None if row[name] is None else json.loads(row[name])
            if row.get("values") is not None:
                row["values"] = row["values"].tolist()
            rows.append({**row, **(json.loads(extra) if extra else {})})
        return rows

    def points(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> list[Point]:
        """Every point of a family that has a score of one of the objectives, or failed; the first measured first.

        Args:
            objectives: name -> fingerprint now; a score of an older fingerprint is no score of the point.
        """
        key = (family, tuple(objectives.items()), split, numerics)
        with self._lock:
            version = self.version
            if key in self._points and self._points[key][0] == version:
                self._points.move_to_end(key)
                return list(self._points[key][1])
        found = self._join(family, objectives, split, numerics)
        with self._lock:
            self._points[key] = (version, found)
            while len(self._points) > REMEMBERED:
                self._points.popitem(last=False)
        return list(found)

    def _join(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> list[Point]:
        names: dict[str, list[str]] = {}
        for name, fingerprint in objectives.items():
            names.setdefault(fingerprint, []).append(name)
        measured = self._query(
            "SELECT point, objective_fingerprint, mean, stderr, n, low, high, seconds FROM current"
            " WHERE family = ? AND split = ? AND numerics = ? AND list_contains(?, objective_fingerprint)",
            [family, split, numerics, list(names)],
        )
        scores: dict[str, dict[str, dict[str, Any]]] = {}
        seconds: dict[str, float] = {}
        for point, fingerprint, mean, stderr, n, low, high, took in zip(
            *measured.values(), strict=True
        ):
            score = {"mean": mean, "stderr": stderr, "n": n, "low": low, "high": high}
            of_point = scores.setdefault(point, {})
            for name in names[fingerprint]:
                of_point[name] = score
            if took is not None:
                seconds[point] = seconds.get(point, 0.0) + took
        known = self._query(
            """SELECT point, any_value(recipe) AS recipe, min("at") AS first,
                max("at") FILTER (kind = 'score') AS scored, max("at") FILTER (kind = 'failure') AS failed,
                arg_max(error, "at") FILTER (kind = 'failure') AS error
            FROM rows WHERE family = ? AND split = ? AND numerics = ? AND kind IN ('score', 'failure')
            GROUP BY point ORDER BY first, point""",
            [family, split, numerics],
        )
        points = []
        for point, recipe, first, scored, failed, error in zip(*known.values(), strict=True):
            if failed is None or (scored is not None and scored > failed):
                error = None
            if point not in scores and error is None:
                continue
            if point not in self._recipes:
                self._recipes[point] = json.loads(recipe) if recipe else {}
            found = scores.get(point, {})
            ordered = {name: found[name] for name in objectives if name in found}
            points.append(
                Point(point, self._recipes[point], ordered, seconds.get(point), error, first)
            )
        return points


def default_workspace() -> Path:
    """`$PARETOSCOPE_HOME`, else `~/.paretoscope`."""
    return Path(os.environ.get("PARETOSCOPE_HOME") or "~/.paretoscope").expanduser()
