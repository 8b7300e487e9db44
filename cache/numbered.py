"""Short texts and points as small whole numbers, the form in which the index compares and joins.

    texts    kinds, families, objectives, fingerprints, splits, numerics, journals …: few, each once
    points   ids in the order in which they were met, and the recipe of each

Numbers are given by the process that writes the index, and hold for this index alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import count

import duckdb
import numpy as np

from cache.arrow import numbers, pa, pc

UNKNOWN = -1

NUMBERED = (
    "kind", "family", "objective", "objective_fingerprint", "scorer", "split", "numerics",
    "versions", "source",
)  # fmt: skip
"""Columns of texts that many rows share."""

Insert = Callable[[str, "pa.Table"], None]
"""(table of the index, rows) -> inserts them."""


class Numbers:
    """The numbers of one index. Written by one caller at a time, read by any."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._texts: dict[str, int] | None = None
        self._points: dict[str, int] | None = None
        self._bare: set[int] = set()

    def forget(self) -> None:
        """Read them again: what was given out last is not in the index."""
        self._texts = self._points = None

    @property
    def texts(self) -> dict[str, int]:
        if self._texts is None:
            with closing(self.connection.cursor()) as cursor:
                self._texts = dict(cursor.execute("SELECT text, key FROM texts").fetchall())
        return self._texts

    def starting(self, beginning: str) -> list[int]:
        """The numbers of the texts that begin so."""
        return [key for text, key in [*self.texts.items()] if text.startswith(beginning)]

    @property
    def known_points(self) -> dict[str, int] | None:
        """Id -> number of every point, None until rows were written: reading it takes a while."""
        return self._points

    @property
    def points(self) -> dict[str, int]:
        if self._points is None:
            with closing(self.connection.cursor()) as cursor:
                found = cursor.execute("SELECT id, point FROM points").fetchnumpy()
                bare = cursor.execute("SELECT point FROM points WHERE recipe IS NULL").fetchnumpy()
            self._bare = set(bare["point"].tolist())
            self._points = dict(zip(found["id"].tolist(), found["point"].tolist(), strict=True))
        return self._points

    def number(self, rows: pa.Table, insert: Insert) -> pa.Table:
        """The rows with numbers for texts and points; new ones are inserted.

        Args:
            rows: of `cache.tables.columns`.
        """
        columns, news = {}, []
        for name in NUMBERED:
            before = len(self.texts)
            encoded, given = _numbered(rows.column(name), self.texts)
            columns[name] = numbers(given).take(encoded.indices)
            new = np.flatnonzero(given >= before)
            if len(new):
                found = [numbers(given[new]), encoded.dictionary.take(numbers(new))]
                news.append(pa.Table.from_arrays(found, ["key", "text"]))
        if news:
            insert("texts", pa.concat_tables(news))
        columns["point"] = self._points_of(rows, insert)
        for name, column in columns.items():
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        return rows

    def _points_of(self, rows: pa.Table, insert: Insert) -> pa.Array:
        before = len(self.points)
        encoded, given = _numbered(rows.column("point"), self.points)
        column = numbers(given).take(encoded.indices)
        if len(self.points) == before and not self._bare:
            return column
        recipes = rows.column("recipe").combine_chunks()
        places = pc.indices_nonzero(pc.and_(recipes.is_valid(), column.is_valid()))
        there, codes = np.from_dlpack(places), np.from_dlpack(encoded.indices.take(places))
        first = np.full(len(given), UNKNOWN)
        first[codes[::-1]] = there[::-1]  # of equal places the last one written stays
        found = recipes.take(numbers(first, first != UNKNOWN))
        new, old = np.flatnonzero(given >= before), np.flatnonzero(given < before)
        if len(new):
            which = numbers(new)
            columns = [numbers(given[new]), encoded.dictionary.take(which), found.take(which)]
            insert("points", pa.Table.from_arrays(columns, ["point", "id", "recipe"]))
        self._dress(given[old], found.take(numbers(old)))
        self._bare |= set(given[new][first[new] == UNKNOWN].tolist())
        return column

    def _dress(self, points: np.ndarray, recipes: pa.Array) -> None:
        """Give points their recipe that were first met without one."""
        for point, recipe in zip(points.tolist(), recipes, strict=True):
            if point in self._bare and recipe.is_valid:
                self.connection.execute(
                    "UPDATE points SET recipe = ? WHERE point = ?", [recipe.as_py(), point]
                )
                self._bare.discard(point)


def _numbered(
    column: pa.ChunkedArray, known: dict[str, int]
) -> tuple[pa.DictionaryArray, np.ndarray]:
    """A column with each different text once, and the numbers of those texts, int32; texts that are
    not known yet get the next ones."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = encoded.dictionary.to_pylist()
    news = [each for each in texts if each not in known]
    known.update(zip(news, count(len(known))))
    return encoded, np.fromiter(map(known.__getitem__, texts), np.int32, len(texts))
