"""Keeping an index level with the journals: what is new is read, what cannot be trusted is rebuilt.

    journal/*.jsonl   from the byte read last     ┐
    segments/*.parquet   rows not yet read         ┴──►  Index (index.duckdb, or memory)

The index is never believed against the journals: damaged, of another schema, or ahead of them, it
is thrown away and made again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cache.index import Index, remove_index
from cache.journal import SUFFIX, list_journals
from cache.segments import list_segments, read_segment, segment_sources
from cache.tables import Bad, journal_tables
from engine.errors import ParetoscopeError

log = logging.getLogger(__name__)

REMEMBERED = 256
LISTINGS = 16


class Follower:
    """An index that follows the journals and segments of a workspace. Thread safe.

    Args:
        file: where the index lies, for the one process that owns it; None for an index in memory.

    Attributes:
        version: grows whenever rows have been read.
        sequence: the largest of a row that was read.
    """

    def __init__(self, journals: Path, segments: Path, file: Path | None) -> None:
        self.version = self.sequence = 0
        self._closed = False
        self._journals, self._segments, self._file = journals, segments, file
        self._lock = threading.RLock()
        self._read_segments: set[str] = set()
        self._changes: deque[tuple[int, frozenset[str]]] = deque(maxlen=REMEMBERED)
        self._index = self._open()
        self.refresh()

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
            BadInput: a segment is damaged, or a newer version wrote here.
        """
        with self._lock:
            try:
                return self._tail(passing)
            except duckdb.Error as error:
                self._rebuild(error)
                return True

    def arrays(self, sql: str, parameters: list[Any]) -> dict[str, np.ndarray]:
        """`Index.arrays`; an index that turns out to be damaged is rebuilt and asked again."""
        index = self._index
        try:
            return index.arrays(sql, parameters)
        except duckdb.Error as error:
            with self._lock:
                if self._index is index:
                    self._rebuild(error)
            return self._index.arrays(sql, parameters)

    def query(self, sql: str, parameters: list[Any]) -> dict[str, list[Any]]:
        """Columns of a result as lists, missing values as None."""
        return {name: found.tolist() for name, found in self.arrays(sql, parameters).items()}

    def changed_since(self, version: int) -> frozenset[str] | None:
        """Ids of the points with rows read after `version`; None where that is no longer known."""
        with self._lock:
            news = [points for at, points in self._changes if at > version]
            return frozenset().union(*news) if len(news) == self.version - version else None

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
                        self._read_journal(name, size)
            except FileNotFoundError:  # compacted or merged since it was listed
                continue
            break
        return self.version > before

    def _read_segment(self, name: str) -> None:
        known = self._index.known
        ends = segment_sources(self._segments / name)
        news = {source: end for source, end in ends.items() if end > known.get(source, 0)}
        if news:
            self._insert(read_segment(self._segments / name, known), news)
        self._read_segments.add(name)

    def _read_journal(self, name: str, size: int) -> None:
        start = self._index.known.get(name, 0)
        for rows, end, bad in journal_tables(self._journals / f"{name}{SUFFIX}", start, size):
            self._insert(rows, {name: end})
            self._tell(name, bad)

    def _tell(self, name: str, bad: list[Bad]) -> None:
        for each in bad:
            log.warning("%s: what stands at byte %d is not a row", name, each.start)

    def _insert(self, rows: pa.Table, read_to: Mapping[str, int]) -> None:
        self._index.insert(rows, read_to)
        if rows.num_rows:
            self.version += 1
            self.sequence = max(self.sequence, pc.max(rows.column("sequence")).as_py() or 0)
            points = rows.column("point").unique().to_pylist()
            self._changes.append((self.version, frozenset(each for each in points if each)))

    def _open(self) -> Index:
        if self._file is None:
            return Index(None)
        there = self._file.exists()
        try:
            index = Index(self._file)
            largest = index.arrays('SELECT coalesce(max("sequence"), 0) AS found FROM rows')
        except duckdb.Error as error:
            if there:
                log.warning("%s: rebuilding the index (%s)", self._file, error)
            return self._fresh()
        if self._ahead(index):
            log.warning("%s: rebuilding the index, it has rows the journals lack", self._file)
            index.close()
            return self._fresh()
        self.sequence = int(largest["found"][0])
        return index

    def _ahead(self, index: Index) -> bool:
        """Whether more of a journal was read than there is now: restored, lost or removed."""
        there = list_journals(self._journals)
        for name in list_segments(self._segments):
            for source, end in segment_sources(self._segments / name).items():
                there[source] = max(end, there.get(source, 0))
        return any(end > there.get(source, 0) for source, end in index.known.items())

    def _fresh(self) -> Index:
        """An empty index: a new file, or in memory where there is to be none or no room for it."""
        if self._file is not None:
            try:
                remove_index(self._file)
                return Index(self._file)
            except (OSError, duckdb.Error) as error:
                log.warning("%s: going on with the index in memory (%s)", self._file, error)
        return Index(None)

    def _rebuild(self, reason: Exception) -> None:
        if self._closed:
            raise ParetoscopeError("this store is closed") from reason
        log.warning("rebuilding the index (%s)", reason)
        self._index.close()
        self._start_over(self._fresh())
        try:
            self._tail()
        except duckdb.Error as error:
            # the disk took an empty index and not a full one
            log.warning("going on with the index in memory (%s)", error)
            self._index.close()
            with contextlib.suppress(OSError):
                if self._file is not None:
                    remove_index(self._file)
            self._start_over(Index(None))
            self._tail()

    def _start_over(self, index: Index) -> None:
        self._index = index
        self._read_segments.clear()
        self._changes.clear()
        self.version += 1
