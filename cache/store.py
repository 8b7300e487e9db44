"""The store of one workspace: journals are the truth, the index answers questions.

    append ──► journal (fsync = acknowledged) ──► refresh ──► index ──► points, scores
    other processes' journals, segments ─────────────┘

The first process to open a workspace owns `index.duckdb`, held by an `flock` that dies with it;
every other one replays segments and journals into memory. Both see the same rows in the same order.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cache.columns import Columns, join
from cache.compaction import compact
from cache.damage import Damage, Damaged
from cache.earlier import earlier
from cache.follow import Follower
from cache.index import NEWEST, OLDEST
from cache.journal import Journal, make_directory, storage_error, try_lock
from cache.keeping import Keeper
from cache.point import Point
from cache.rows import FIELDS, unpack
from engine.errors import ParetoscopeError

log = logging.getLogger(__name__)

REMEMBERED = 8
FEW = 1000


class Store:
    """Points and scores of a workspace; open with `Store.open`. Thread safe.

    Attributes:
        workspace: its directory.
        owner: whether this store holds `index.duckdb`, or has it in memory.
    """

    def __init__(self, workspace: Path, lock: int | None) -> None:
        self.workspace = workspace
        self.owner = lock is not None
        self._lock_file = lock
        self._lock = threading.Lock()
        self._behind = False
        self._joins: OrderedDict[Any, tuple[int, Columns]] = OrderedDict()
        self._recipes: dict[str, Mapping[str, Any]] = {}
        journals, segments = workspace / "journal", workspace / "segments"
        self._journal = Journal(journals)
        self._damaged = Damaged(workspace)
        journal = self._journal if self.owner else None
        keeper = Keeper(journals, segments, self._damaged, journal)
        file = workspace / "index.duckdb" if self.owner else None
        self._follower = Follower(file, keeper)
        if self.owner:
            try:
                compact(journals, segments, set_aside=keeper.set_aside, mend=keeper.mended)
            except ParetoscopeError as error:  # the journals are still there
                log.warning("journals not compacted: %s", error)
            self._follower.refresh()

    @classmethod
    def open(cls, workspace: str | Path) -> Store:
        """Open a workspace, creating its directory (0700) where there is none.

        Raises:
            BadInput: the workspace cannot be written, or a newer version wrote it.
        """
        workspace = Path(workspace).expanduser().absolute()
        make_directory(workspace)
        try:
            place = workspace / "index.lock"
            lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, workspace) from error
        try:
            if try_lock(lock):
                with contextlib.suppress(OSError):  # the pid is for messages only
                    os.truncate(lock, 0)
                    os.pwrite(lock, str(os.getpid()).encode(), 0)
                return cls(workspace, lock)
            owner = os.pread(lock, 32, 0).decode(errors="replace") or "?"
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        log.info("%s: process %s owns the index, this one has it in memory", workspace, owner)
        return cls(workspace, None)

    def close(self) -> None:
        """Close index and journal, and let another process own the index."""
        if self.owner:
            self._level()
        with self._lock:
            self._journal.close()
            self._follower.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What is damaged in this workspace and set aside, the earliest found first."""
        return self._damaged.all()

    @property
    def version(self) -> int:
        """Grows whenever new rows are there, by `append` or `refresh`."""
        self._level()
        return self._follower.version

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Save rows; once this returns they are on disk and survive anything.

        The index takes them before the next question, together with others that came until then.

        Raises:
            ValueError: a row is not one (`cache.rows.clean`); nothing was written.
            NotSaved: the disk is full or failed.
            BadInput: the workspace cannot be written.
        """
        own = self._journal.path
        try:
            self._follower.refresh(own.name if own is not None else None)
        except Exception as error:
            log.warning("%s: not read before writing (%s)", self.workspace, error)
        try:
            self._journal.append(rows, self._follower.sequence)
        finally:  # a failed append may have saved some
            self._behind = True

    def refresh(self) -> bool:
        """Read what any process wrote since; two directory listings where nothing was.

        Returns:
            Whether there were new rows.
        """
        return self._follower.refresh()

    def _level(self) -> None:
        """Let the index take what this process wrote, before a question."""
        if self._behind:
            self._behind = False
            try:
                self.refresh()
            except Exception:
                # the rows are saved, and what was read before can still be asked for
                log.exception("%s: saved, but the index did not take it", self.workspace)

    def _arrays(self, sql: str, parameters: list[Any]) -> dict[str, np.ndarray]:
        self._level()
        return self._follower.arrays(sql, parameters)

    def _query(self, sql: str, parameters: list[Any]) -> dict[str, list[Any]]:
        self._level()
        return self._follower.query(sql, parameters)

    def has(self, point: str, objective_fingerprint: str, split: str, numerics: str) -> bool:
        """Whether this score is there: adding an objective evaluates only what is not."""
        found = self._query(
            "SELECT 1 AS one FROM rows WHERE kind = 'score' AND point = ?"
            " AND objective_fingerprint = ? AND split = ? AND numerics = ? LIMIT 1",
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
        """The numerics that a family has scores of, the most recent first."""
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
        where: dict[str, Any] = {"family = ?": family, "split = ?": split}
        if numerics is not None:
            where["numerics = ?"] = numerics
        if point is not None:
            where["point = ?"] = point
        if objectives is not None:
            where["list_contains(?, objective_fingerprint)"] = list(objectives.values())
        return self._rows("current", where, values)

    def records(self, kind: str, family: str | None = None) -> list[dict[str, Any]]:
        """Rows of any kind, the newest of each id, oldest first."""
        where = {"kind = ?": kind}
        if family is not None:
            where["family = ?"] = family
        newest = (
            "(SELECT * FROM rows QUALIFY row_number()"
            f" OVER (PARTITION BY kind, id ORDER BY {NEWEST}) = 1)"
        )
        return self._rows(newest, where, True)

    def _rows(self, table: str, where: Mapping[str, Any], values: bool) -> list[dict[str, Any]]:
        names = [*(name for name in FIELDS if values or name != "values"), "extra"]
        columns = ", ".join(f'"{name}"' for name in names)
        found = self._query(
            f"SELECT {columns} FROM {table} WHERE {' AND '.join(where)} ORDER BY {OLDEST}",
            list(where.values()),
        )
        rows = []
        for cells in zip(*found.values(), strict=True):
            row = unpack(dict(zip(names, cells, strict=True)))
            if row.get("values") is not None:
                row["values"] = row["values"].tolist()
            rows.append(row)
        return rows

    def columns(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> Columns:
        """The points of a family that have a score of an objective or failed, the earliest first.

        Remembered between calls: only points with new rows are joined anew.

        Args:
            objectives: name -> fingerprint now; scores of an older fingerprint do not count.
        """
        key = (family, tuple(objectives.items()), split, numerics)
        version = self.version
        with self._lock:
            before, found = self._joins.get(key, (-1, None))
        if found is None or before != version:
            changed = self._follower.changed_since(before) if found is not None else None
            ask = (self._arrays, family, objectives, split, numerics)
            if found is None or changed is None or len(changed) > FEW:
                found = join(*ask)
            elif changed:
                found = found.updated(join(*ask, changed), changed)
        with self._lock:
            self._joins[key] = (version, found)
            self._joins.move_to_end(key)
            while len(self._joins) > REMEMBERED:
                self._joins.popitem(last=False)
        return found

    def earlier(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> dict[str, tuple[str, ...]]:
        """Objective -> points with a score as of an earlier definition alone (`cache.earlier`)."""
        return earlier(self._query, family, objectives, split, numerics)

    def points(
        self,
        family: str,
        objectives: Mapping[str, str],
        split: str,
        numerics: str,
        only: Collection[str] | None = None,
    ) -> list[Point]:
        """`columns`, point by point.

        Args:
            only: ids; these points alone are looked at, and nothing is remembered of them.
        """
        if only is not None:
            ask = self._arrays, family, objectives, split, numerics
            return join(*ask, only).points({})
        return self.columns(family, objectives, split, numerics).points(self._recipes)
