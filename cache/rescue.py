"""Rows that only the index still holds, because a journal was lost, truncated or damaged.

    index rows whose place no file holds now ──► this process's journal, fsynced ──► rebuilt from

A row that another place holds too (the same kind, id, sequence and time) is not saved twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from cache.rows import FIELDS

CHUNK = 1000


class Lost(NamedTuple):
    """Bytes of a journal that no file holds any more: rows that end after `start`, up to `end`."""

    source: str
    start: int
    end: int


def lost(known: Mapping[str, int], there: Mapping[str, int]) -> list[Lost]:
    """What was read of journals (name -> bytes) and is no longer `there`."""
    return [
        Lost(source, there.get(source, 0), end)
        for source, end in sorted(known.items())
        if end > there.get(source, 0)
    ]


def held(
    connection: duckdb.DuckDBPyConnection, places: Sequence[Lost]
) -> Iterator[list[dict[str, Any]]]:
    """The packed rows (`cache.rows.pack`) of lost places that the index alone holds, by chunks.

    Raises:
        duckdb.Error: the index cannot be read.
    """
    columns = connection.execute("SELECT * FROM rows LIMIT 0").description or []
    there = {name for name, *_ in columns}
    names = [name for name in (*FIELDS, "extra") if name in there]
    same = " AND ".join(
        f'o."{name}" IS NOT DISTINCT FROM r."{name}"'
        for name in ("kind", "id", "at", "sequence")
        if name in there
    )
    cells = ", ".join(f'r."{name}"' for name in names)
    gone = "EXISTS (SELECT 1 FROM lost l WHERE l.source = {0}.source"
    gone += " AND {0}.position > l.low AND {0}.position <= l.high)"
    found = connection.execute(
        "WITH lost AS (SELECT unnest(?) AS source, unnest(?) AS low, unnest(?) AS high)"
        f" SELECT {cells} FROM rows r"
        f" WHERE {gone.format('r')} AND NOT EXISTS"
        f" (SELECT 1 FROM rows o WHERE {same} AND NOT {gone.format('o')})"
        " ORDER BY r.source, r.position",
        [list(each) for each in zip(*places, strict=True)],
    )
    while chunk := found.fetchmany(CHUNK):
        yield [
            {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
            for row in chunk
        ]
