"""Keeping an index up to date with the journals: reads new rows, rebuilds an untrustworthy index.

    journal/*.jsonl   from the byte read last     ┐
    segments/*.parquet   rows not yet read         ┴──►  Index (index.duckdb, or memory)

The journals always win over the index: if it is damaged, has another schema, or is ahead of them,
it is rebuilt; rows that only it holds are saved first (`cache.keeping`).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from cache.arrow import pa, pc, texts
from cache.index import CONFIGURATION, Index, remove_index
from cache.journal import SUFFIX, list_journals
from cache.keeping import Keeper
from cache.rescue import lost
from cache.segments import Unreadable, checksum_of, list_segments
from cache.steps import steps
from cache.tables import gathered, journal_tables
from engine.errors import ParetoscopeError

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBERED = 256
FEW = 1000
LISTINGS = 16
AT_ONCE = 2 << 20
AHEAD = 2


class Follower:
    """An index that follows the journals and segments of a workspace. Thread safe.

    Args:
        file: where the index lies, for the one process that owns it; None for an index in memory.
        keeper: keeps what turns out to be damaged.

    It is level once it has been refreshed.

    Attributes:
        version: grows whenever rows have been read.
        sequence: the largest of a row that was read.
        unchecked: files too large to be looked at before anyone is answered.
        arrived: ids of the scores that were read since it was level first.
    """

    def __init__(self, file: Path | None, keeper: Keeper) -> None:
        self.version = self.sequence = 0
        self.unchecked: list[tuple[Path, int]] = []
        self._closed = False
        self._keeper, self._file = keeper, file
        self._journals, self._segments = keeper.journals, keeper.segments
        self._lock = threading.RLock()
        self._read_segments: set[str] = set()
        self._changes: deque[tuple[int, frozenset[str] | None]] = deque(maxlen=REMEMBERED)
        self.arrived: set[str] = set()
        self._opened = False
        self._index = self._open()
        keeper.index = self._cursor
        keeper.remembered = lambda: self._index.segments
        if file is not None:
            self._check()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._index.close()

    def refresh(self, passing: str | None = None) -> bool:
        """Read what was written since, by any process; two directory listings where nothing was.

        Args:
            passing: file name of a journal to leave for another time.

        Returns:
            Whether there were new rows.

        Raises:
            BadInput: a newer version wrote here, or a file cannot be read.
        """
        with self._lock:
            try:
                return self._tail(passing)
            except duckdb.Error as error:
                self._rebuild(error)
                return True
            finally:
                self._opened = True

    def ask(self, question: Callable[[Index], T]) -> T:
        """The answer to a query; an index found damaged is rebuilt and queried again."""
        index = self._index
        try:
            return question(index)
        except duckdb.Error as error:
            with self._lock:
                if self._index is index:
                    self._rebuild(error)
            return question(self._index)

    def query(self, sql: str, parameters: Sequence[Any]) -> dict[str, list[Any]]:
        """Columns of a result as lists, missing values as None."""
        found = self.ask(lambda index: index.arrays(sql, parameters))
        return {name: column.tolist() for name, column in found.items()}

    def changed_since(self, version: int) -> frozenset[str] | None:
        """Ids of the points with rows read after `version`; None if that is no longer known."""
        with self._lock:
            news = [points for at, points in self._changes if at > version]
            known = [points for points in news if points is not None]
            return frozenset().union(*known) if len(known) == self.version - version else None

    def _tail(self, passing: str | None = None) -> bool:
        before = self.version
        for _ in range(LISTINGS):
            # journals first: one compacted between the two is in a segment that is listed then
            sizes, segments = list_journals(self._journals), list_segments(self._segments)
            try:
                for name in segments:
                    if name not in self._read_segments:
                        self._read_segment(name)
                for name, size in sizes.items():
                    if size > self._index.known.get(name, 0) and name + SUFFIX != passing:
                        with self._keeper.reading(self._journals / f"{name}{SUFFIX}"):
                            self._read_journal(name, size)
            except FileNotFoundError:  # compacted or merged since it was listed
                continue
            break
        return self.version > before

    def _read_segment(self, name: str) -> None:
        known, ends = self._index.known, self._keeper.sources(name)
        if any(end > known.get(source, 0) for source, end in ends.items()):
            try:
                self._take_segment(name)
            except Unreadable:
                if not self._keeper.mended(name):
                    return
                self._take_segment(name)
        if ends and name not in self._index.segments and checksum_of(name) is not None:
            self._index.remember(name, ends)
        self._read_segments.add(name)

    def _take_segment(self, name: str) -> None:
        for tables, ends in steps(self._segments / name, self._index.known):
            self._insert(tables, ends)

    def _read_journal(self, name: str, size: int) -> None:
        start = self._index.known.get(name, 0)
        path = self._journals / f"{name}{SUFFIX}"
        for tables, end, bad in gathered(journal_tables(path, start, size, ahead=AHEAD)):
            self._insert(tables, {name: end})
            if bad:
                self._keeper.set_aside(path, bad)

    def _insert(self, tables: Iterable[pa.Table], read_to: Mapping[str, int]) -> None:
        points, arrived = set[str](), set[str]()
        largest, count, few = self.sequence, 0, True

        def seen() -> Iterator[pa.Table]:
            nonlocal largest, count, few
            for rows in tables:
                if rows.num_rows:
                    count += rows.num_rows
                    largest = max(largest, pc.max(rows.column("sequence")).as_py() or 0)
                    if few:
                        met = rows.column("point").unique().drop_null()
                        few = len(met) + len(points) <= FEW
                        points.update(met.to_pylist() if few else ())
                    if self._opened:
                        scores = rows.filter(pc.equal(rows.column("kind"), texts(["score"])[0]))
                        arrived.update(scores.column("id").to_pylist())
                    yield rows

        self._index.insert(seen(), read_to)
        if count:
            self.version += 1
            self.sequence = largest
            self.arrived |= arrived
            self._changes.append((self.version, frozenset(points) if few else None))

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        return self._index.cursor()

    def check(self, files: Iterable[tuple[Path, int]]) -> None:
        """Look whether journals and segments that were read earlier are still what was written."""
        for each in files:
            if not self._closed:
                self._keeper.check([each])

    def _check(self) -> None:
        """Of an index that was there: small files are looked at; all of them, and what they lack is
        saved from it, where it knows more than they hold."""
        self._keeper.check_ends(self._index.known)
        files, ahead = self._keeper.files(), bool(lost(self._index.known, self._keeper.there()))
        segments = list_segments(self._segments)
        self.unchecked = [] if ahead else [each for each in files if each[1] > AT_ONCE]
        self._keeper.check(files if ahead else [each for each in files if each[1] <= AT_ONCE])
        if not ahead and list_segments(self._segments) == segments:
            return
        if lost(self._index.known, self._keeper.there()):
            self.refresh()  # what was saved before, by a process that was killed then
            if self._keeper.save_lost(self._index.known):
                self._rebuild("it has rows that are missing from the journals")

    def _open(self) -> Index:
        if self._file is None:
            return Index(None)
        there = self._file.exists() and self._file.stat().st_size > 0
        index = None
        try:
            index = Index(self._file)
            largest = index.arrays('SELECT coalesce(max("sequence"), 0) AS found FROM lines')
            self.sequence = int(largest["found"][0])
            return index
        except duckdb.Error as error:
            level = logging.WARNING if there else logging.INFO
            log.log(level, "%s: rebuilding the index (%s)", self._file, error)
            if index is not None:
                index.close()
            if there:
                self._retire(self._file, error)
        return self._fresh()

    def _retire(self, file: Path, reason: object) -> None:
        """Save what an index that cannot be used alone holds, and tell what was damaged; one that
        cannot be read is moved."""
        try:
            with duckdb.connect(str(file), read_only=True, config=CONFIGURATION) as connection:
                found = connection.execute("SELECT source, max(read_to) FROM sources GROUP BY 1")
                known = dict(found.fetchall())
                self._keeper.index = connection.cursor
                self._keeper.check(self._keeper.files())
                if self._keeper.save_lost(known):
                    self._keeper.index_is_damaged(file, reason)
                    return
        except duckdb.Error as error:
            log.warning("%s cannot be read (%s)", file, error)
        finally:
            self._keeper.index = self._cursor
        for each in (file, file.with_name(file.name + ".wal")):
            if each.exists():
                self._keeper.damaged.move(
                    each, held="the index, which is built from the journals", outcome="rebuilt"
                )

    def _fresh(self) -> Index:
        """An empty index: a new file, or in memory where there is to be none or no room for it."""
        if self._file is not None:
            try:
                remove_index(self._file)
                return Index(self._file)
            except (OSError, duckdb.Error) as error:
                log.warning("%s: continuing with an index in memory (%s)", self._file, error)
        return Index(None)

    def _rebuild(self, reason: object) -> None:
        if self._closed:
            raise ParetoscopeError(f"this store is closed ({reason})")
        log.warning("rebuilding the index (%s)", reason)
        ahead = isinstance(reason, Exception) and self._ahead()
        self._index.close()
        if ahead and self._file is not None and self._file.exists():
            self._retire(self._file, reason)
        elif self._file is not None:
            self._keeper.index_is_damaged(self._file, reason)
        self._start_over(self._fresh())
        try:
            self._tail()
        except duckdb.Error as error:
            # the disk took an empty index and not a full one
            log.warning("continuing with an index in memory (%s)", error)
            self._index.close()
            with contextlib.suppress(OSError):
                if self._file is not None:
                    remove_index(self._file)
            self._start_over(Index(None))
            self._tail()

    def _ahead(self) -> bool:
        return self._file is not None and bool(lost(self._index.known, self._keeper.there()))

    def _start_over(self, index: Index) -> None:
        self._index = index
        self._read_segments.clear()
        self._changes.clear()
        self.version += 1
