"""The index: every row, encoded as numbers, in one DuckDB file; derived and always rebuildable.

    lines      every row, append-only, its texts and point as numbers (`cache.numbered`)
    texts      short texts and their numbers
    points     ids and recipes of points and their numbers
    sources    up to which byte each journal has been read
    segments   segments that were read, and what their footers say
    rows       view: the rows with their texts

A join reads a few narrow columns of numbers; per-example values lie beside them, untouched. Rows
and `sources` change in one transaction, so a killed owner's index is short of rows at worst, and
reads on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import duckdb
import numpy as np

from cache.arrow import pa
from cache.modes import secure
from cache.numbered import NUMBERED, UNKNOWN, Numbers
from cache.rows import NUMBER, WHOLE
from cache.tables import NAMES

log = logging.getLogger(__name__)

SCHEMA = 4
MEMORY = ":memory:"

CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "lock_configuration": "true",
    "threads": "2",  # the rows are few; the other cores are the models'
}

# what DuckDB keeps of a file in memory at most; an index in memory is not bounded
FILE_MEMORY = "400MB"

_KINDS = {"values": "DOUBLE[]"}
_KINDS |= dict.fromkeys((*WHOLE, "position"), "BIGINT") | dict.fromkeys(NUMBER, "DOUBLE")
_KINDS |= dict.fromkeys((*NUMBERED, "point"), "INTEGER")

# by sequence, which no clock turns back; rows of earlier builds have none and are older. Equal ones
# are told apart by where they lie, so that every process picks the same one
NEWEST = '"sequence" DESC NULLS LAST, "at" DESC, source DESC, position DESC'
OLDEST = '"sequence" NULLS FIRST, "at", source, position'

_LINES = ", ".join(f'"{name}" {_KINDS.get(name, "VARCHAR")}' for name in NAMES)
_ROWS = ", ".join(
    f'{name}_text."text" AS "{name}"'
    if name in NUMBERED
    else 'points.id AS "point"'
    if name == "point"
    else f'lines."{name}"'
    for name in NAMES
)
_TEXTS = " ".join(
    f'LEFT JOIN texts AS {name}_text ON lines."{name}" = {name}_text.key' for name in NUMBERED
)

SCHEMA_SQL = (
    f"CREATE TABLE lines ({_LINES})",
    "CREATE TABLE texts (key INTEGER, text VARCHAR)",
    "CREATE TABLE points (point INTEGER, id VARCHAR, recipe VARCHAR)",
    "CREATE TABLE sources (source VARCHAR, read_to BIGINT)",
    "CREATE TABLE segments (name VARCHAR, sources VARCHAR)",
    "CREATE TABLE version (schema INTEGER)",
    f"INSERT INTO version VALUES ({SCHEMA})",
    f"CREATE VIEW rows AS SELECT {_ROWS}, lines.rowid AS place FROM lines"
    f" LEFT JOIN points ON lines.point = points.point {_TEXTS}",
)


class Index:
    """One DuckDB database, on disk or in memory: a single writer, any number of reading threads.

    It does not know where rows come from; `cache.follow` feeds it.

    Raises:
        duckdb.Error: the file is damaged, of another schema or held: remove it and rebuild.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        bounded = {} if path is None else {"memory_limit": FILE_MEMORY}
        self._connection = duckdb.connect(
            str(path) if path else MEMORY, config={**CONFIGURATION, **bounded}
        )
        self._local = threading.local()
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self.numbers = Numbers(self._connection)
        try:
            tables = self._connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone()
            if tables == (0,):
                with self._transaction():
                    for statement in SCHEMA_SQL:
                        self._connection.execute(statement)
            found = self._connection.execute("SELECT schema FROM version").fetchall()
            if found != [(SCHEMA,)]:
                raise duckdb.InvalidInputException(f"index schema {found}, expected {SCHEMA}")
            read = self._connection.execute("SELECT source, max(read_to) FROM sources GROUP BY 1")
            self.known: dict[str, int] = dict(read.fetchall())
            read = self._connection.execute("SELECT name, sources FROM segments")
            self.segments: dict[str, dict[str, int]] = {
                name: json.loads(sources) for name, sources in read.fetchall()
            }
            self._secure()
        except BaseException:
            self._connection.close()
            raise

    def _secure(self) -> None:
        if self.path is not None:
            secure(self.path, self.path.with_name(self.path.name + ".wal"))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def insert(self, tables: Iterable[pa.Table], read_to: Mapping[str, int]) -> None:
        """Add rows, and say up to which byte their journals are read now. One caller at a time."""
        try:
            with self._transaction():
                for rows in tables:
                    if rows.num_rows:
                        self._insert("lines", self.numbers.number(rows, self._insert))
                self._connection.executemany(
                    "INSERT INTO sources VALUES (?, ?)", [list(pair) for pair in read_to.items()]
                )
        except BaseException:
            self.numbers.forget()
            raise
        self.known.update(read_to)
        self._secure()

    def remember(self, segment: str, sources: Mapping[str, int]) -> None:
        """Keep what the footer of a segment says, so that it need not be opened again."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO segments VALUES (?, ?)", [segment, json.dumps(dict(sources))]
            )
        self.segments[segment] = dict(sources)
        self._secure()

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._connection.register("incoming", rows)
        try:
            names = ", ".join(f'"{name}"' for name in rows.column_names)
            self._connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming")
        finally:
            self._connection.unregister("incoming")

    def text(self, text: str) -> int:
        """The number of a short text, UNKNOWN where no row has it."""
        return self.numbers.texts.get(text, UNKNOWN)

    def points_of(self, ids: Collection[str]) -> set[int]:
        """The numbers of those of the points named that any row has."""
        known = self.numbers.known_points
        if known is not None:
            return {known[each] for each in ids if each in known}
        found = self.arrays("SELECT point FROM points WHERE id IN (SELECT unnest(?))", [list(ids)])
        return set(found["point"].tolist())

    def arrays(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, np.ndarray]:
        """Columns of a result, missing values masked; a cursor a reading thread."""
        return self._own_cursor().execute(sql, list(parameters)).fetchnumpy()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What this thread asks within it is answered as of one moment."""
        cursor = self._own_cursor()
        cursor.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(duckdb.Error):
                cursor.execute("ROLLBACK")  # nothing was written

    def _own_cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self.cursor()
        return cursor

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own, for an answer that is read bit by bit."""
        cursor = self._connection.cursor()
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Let go of the file: the cursors of other threads hold it too."""
        for each in (*self._cursors, self._connection):
            with contextlib.suppress(duckdb.Error):
                each.close()
        self._connection = self.numbers.connection = cast(duckdb.DuckDBPyConnection, _Closed())
        self._local = threading.local()


class _Closed:
    """In the place of a connection that was closed: what lives to the end of the process, in a
    cycle that nothing collects, DuckDB's binding reports on standard error as leaked."""

    def cursor(self, *_: object) -> NoReturn:
        raise duckdb.ConnectionException("this index is closed")

    execute = executemany = register = unregister = cursor

    def close(self) -> None:
        """It is."""


def remove_index(path: Path) -> None:
    """Remove an index and its write-ahead log."""
    for each in (path, path.with_name(path.name + ".wal")):
        each.unlink(missing_ok=True)
