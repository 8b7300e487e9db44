"""The index: every row there is in one DuckDB table, derived and always rebuildable.

    rows       append-only, without a primary key
    current    view: the newest score of each (point, objective fingerprint, split, numerics)
    sources    up to which byte each journal has been read

Rows and `sources` change in one transaction, so a killed owner's index is short of rows at worst,
and reads on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from cache.tables import COLUMNS

log = logging.getLogger(__name__)

SCHEMA = 2
MEMORY = ":memory:"

CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "lock_configuration": "true",
    "threads": "2",  # the rows are few; the other cores are the models'
}

TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.list_(pa.float64()): "DOUBLE[]",
}

# by sequence, which no clock turns back; rows of earlier builds have none and are older. Equal ones
# are told apart by where they lie, so that every process picks the same one
NEWEST = '"sequence" DESC NULLS LAST, "at" DESC, source DESC, position DESC'
OLDEST = '"sequence" NULLS FIRST, "at", source, position'

FIELDS_SQL = ", ".join(f'"{field.name}" {TYPES[field.type]}' for field in COLUMNS)

SCHEMA_SQL = (
    f"CREATE TABLE rows ({FIELDS_SQL})",
    "CREATE TABLE sources (source VARCHAR, read_to BIGINT)",
    "CREATE TABLE version (schema INTEGER)",
    f"INSERT INTO version VALUES ({SCHEMA})",
    f"""CREATE VIEW current AS SELECT * FROM rows WHERE kind = 'score' QUALIFY row_number() OVER (
        PARTITION BY family, point, objective_fingerprint, split, numerics
        ORDER BY {NEWEST}) = 1""",
)


class Index:
    """One DuckDB database, on disk or in memory: a single writer, any number of reading threads.

    It does not know where rows come from; `cache.follow` feeds it.

    Raises:
        duckdb.Error: the file is damaged, of another schema or held: remove it and rebuild.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._connection = duckdb.connect(str(path) if path else MEMORY, config=CONFIGURATION)
        self._local = threading.local()
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
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
        except BaseException:
            self._connection.close()
            raise

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

    def insert(self, rows: pa.Table, read_to: Mapping[str, int]) -> None:
        """Add rows, and say up to which byte their journals are read now. One caller at a time."""
        with self._transaction():
            if rows.num_rows:
                self._connection.register("incoming", rows)
                try:
                    names = ", ".join(f'"{name}"' for name in COLUMNS.names)
                    self._connection.execute(
                        f"INSERT INTO rows ({names}) SELECT {names} FROM incoming"
                    )
                finally:
                    self._connection.unregister("incoming")
            self._connection.executemany(
                "INSERT INTO sources VALUES (?, ?)", [list(pair) for pair in read_to.items()]
            )
        self.known.update(read_to)

    def arrays(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, np.ndarray]:
        """Columns of a result, missing values masked; a cursor a reading thread."""
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
            self._cursors.add(cursor)
        return cursor.execute(sql, list(parameters)).fetchnumpy()

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


def remove_index(path: Path) -> None:
    """Remove an index and its write-ahead log."""
    for each in (path, path.with_name(path.name + ".wal")):
        each.unlink(missing_ok=True)
