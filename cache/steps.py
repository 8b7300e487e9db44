"""A segment read step by step: memory stays small, and a kill loses the work of one step only.

Between two steps the index says up to which byte of each journal it has all rows, so it is never
ahead of what it holds, and reads on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cache.arrow import pa, pq
from cache.segments import load_segment, rows_in
from cache.tables import AT_A_TIME, reach


def steps(
    path: Path, known: Mapping[str, int]
) -> Iterator[tuple[Iterable[pa.Table], dict[str, int]]]:
    """(rows to insert at once, up to which byte each journal is read with them) of a segment.

    Args:
        known: journal name -> byte read up to; what is inserted is known before the next step.

    Raises:
        FileNotFoundError, Unreadable, BadInput: as `load_segment`.
    """
    tables: Iterable[pa.Table]
    tables, ends = load_segment(path, known)
    if in_order(path):
        for rows in tables:
            if rows.num_rows:
                yield [rows], {name: last for name, (_, last) in reach(rows).items()}
        tables = ()
    if rest := {name: end for name, end in ends.items() if end > known.get(name, 0)}:
        yield tables, rest


def in_order(path: Path) -> bool:
    """Whether there are several groups of rows, each after the previous ones in every journal."""
    if pq.read_metadata(path).num_rows <= AT_A_TIME:
        return False
    reached: dict[str, int] = {}
    for rows in rows_in(path, ("source", "position")):
        if any(column.null_count for column in rows.columns):
            return False
        for source, (first, last) in reach(rows).items():
            if first <= reached.get(source, 0):
                return False
            reached[source] = last
    return True
