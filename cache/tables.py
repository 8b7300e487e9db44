"""Journals as columns: the rows of whole lines, and separately the bytes that are not rows.

Every row keeps where it came from, as `source` (journal name) and `position` (byte after its line).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from cache.arrow import numbers, pa, pa_json, pc, texts
from cache.journal import CHUNK, SUFFIX, journal_schema, read_journal
from cache.lines import HEADER, SCHEMA, Bad, Span, all_sealed, ends_of, spans
from cache.rows import FIELDS, MAPPING, NUMBER, WHOLE

TEXTS = (*MAPPING, "extra")
AT_A_TIME = 122_880
"""Rows of a group of a segment, and of one insertion into the index where there are as many."""


NAMES = (*FIELDS, "extra", "source", "position")
"""Columns of a row: what a line holds (`cache.rows.pack`), and with it where the line came from."""


def _kind_of(name: str) -> pa.DataType:
    if name == "values":
        return pa.list_(pa.float64())
    if name in (*WHOLE, "position"):
        return pa.int64()
    return pa.float64() if name in NUMBER else pa.string()


@cache
def columns() -> pa.Schema:
    """The schema of rows: `NAMES` and their types."""
    return pa.schema([pa.field(name, _kind_of(name)) for name in NAMES])


@cache
def written() -> pa.Schema:
    """`columns` without where a row came from."""
    return pa.schema(list(columns())[:-2])


def to_table(
    data: bytes, source: str, start: int, schema: int | None = SCHEMA
) -> tuple[pa.Table, list[Bad]]:
    """Whole lines of a journal, from byte `start` of it, as columns; and what is damaged."""
    if data.endswith(b"\n") and schema is not None:
        ends = ends_of(data)
        if schema < SCHEMA or all_sealed(data, ends):
            below = data
            if start == 0 and data.startswith(HEADER):
                below, ends = data[ends[0] :], ends[1:]
            rows = _parse(below)
            fits = rows is not None and rows.num_rows == len(ends)
            if fits and (schema == SCHEMA or readable(rows)):
                return _placed(rows, source, start + ends), []
    return _piecewise(data, source, start, spans(data, start, schema))


def _piecewise(
    data: bytes, source: str, start: int, found: Sequence[Span]
) -> tuple[pa.Table, list[Bad]]:
    """The good spans as rows, one by one where they do not fit together."""
    bad = [Bad(each.start, data[each.start - start : each.end - start]) for each in found]
    bad = [each for each, span in zip(bad, found, strict=True) if not span.good]
    good = [each for each in found if each.good]
    texts = [data[each.start - start : each.end - start - 1] + b"\n" for each in good]
    rows = [place for place, text in enumerate(texts) if not text.startswith(HEADER)]
    table = _parse(b"".join(texts[place] for place in rows))
    if table is None or table.num_rows != len(rows) or not readable(table):
        single, kept = [written().empty_table()], []
        for place in rows:
            row = _parse(texts[place])
            if row is not None and row.num_rows == 1 and readable(row):
                single.append(row)
                kept.append(place)
            else:
                bad.append(Bad(good[place].start, texts[place]))
        table, rows = pa.concat_tables(single), kept
    ends = np.array([good[place].end for place in rows], np.int64)
    return _placed(table, source, ends), sorted(bad)


def _placed(rows: pa.Table, source: str, ends: np.ndarray) -> pa.Table:
    origin = texts([source]).take(numbers(np.zeros(len(ends), np.int64)))
    return pa.Table.from_arrays([*rows.columns, origin, numbers(ends)], schema=columns())


def _parse(data: bytes) -> pa.Table | None:
    """Lines as columns, or None if one of them does not fit."""
    if not data:
        return written().empty_table()
    try:
        return pa_json.read_json(
            pa.BufferReader(data),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=written(), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowInvalid:
        return None


def reach(rows: pa.Table) -> dict[str, tuple[int, int]]:
    """Journal name -> the least and the largest position of its rows.

    Rows that lack either are left out. (`Table.group_by` would import pandas, which takes longer.)
    """
    origins = rows.select(["source", "position"]).drop_null().combine_chunks()
    if not origins.num_rows:
        return {}
    encoded = pc.dictionary_encode(origins.column("source")).combine_chunks()
    codes = np.from_dlpack(encoded.indices).astype(np.intp)
    names = encoded.dictionary.to_pylist()
    positions = np.from_dlpack(origins.column("position").combine_chunks())
    first, last = np.full(len(names), np.iinfo(np.int64).max), np.zeros(len(names), np.int64)
    np.minimum.at(first, codes, positions)
    np.maximum.at(last, codes, positions)
    return dict(zip(names, zip(first.tolist(), last.tolist(), strict=True), strict=True))


def readable(rows: pa.Table) -> bool:
    """Whether texts are UTF-8, mappings JSON, and each row has a kind and an id."""
    try:
        rows.validate(full=True)
        for name in TEXTS:
            texts = rows.column(name).unique().drop_null().to_pylist()
            found = json.loads(f"[{','.join(texts)}]")
            if len(found) != len(texts) or not all(isinstance(each, dict) for each in found):
                return False
    except (pa.ArrowInvalid, ValueError, RecursionError):
        return False
    return not any(rows.column(name).null_count for name in ("kind", "id"))


def journal_tables(
    path: Path, start: int, size: int, ahead: int = 0
) -> Iterator[tuple[pa.Table, int, list[Bad]]]:
    """(rows, end, what is damaged) from byte `start` to the last whole line, chunk by chunk.

    What is written after the journal had `size` bytes may be left: its writer can be faster than
    its reader, who would never be done.

    Args:
        ahead: how many chunks are read, each in a thread, while the one before is taken in.

    Raises:
        FileNotFoundError: the journal is gone (compacted).
        BadInput: a newer version wrote it.
    """
    if start >= size:
        return
    schema, source = journal_schema(path), path.name.removesuffix(SUFFIX)

    def chunks() -> Iterator[tuple[bytes, int]]:
        at = start
        while at < size and (data := read_journal(path, at)):
            yield data, at
            at += len(data)

    if not ahead or size - start <= CHUNK:
        for data, at in chunks():
            rows, bad = to_table(data, source, at, schema)
            yield rows, at + len(data), bad
        return
    with ThreadPoolExecutor(ahead, "reading") as pool:
        coming: deque[tuple[Future[tuple[pa.Table, list[Bad]]], int]] = deque()
        for data, at in chunks():
            coming.append((pool.submit(to_table, data, source, at, schema), at + len(data)))
            if len(coming) > ahead:
                read, end = coming.popleft()
                rows, bad = read.result()
                yield rows, end, bad
        for read, end in coming:
            rows, bad = read.result()
            yield rows, end, bad


def damage_of(path: Path, size: int) -> list[Bad]:
    """What is damaged in the first `size` bytes of a journal, its rows left unread where they can.

    Raises:
        FileNotFoundError, BadInput: as `journal_tables`.
    """
    schema, start, found = journal_schema(path), 0, []
    while start < size and (data := read_journal(path, start)):
        sealed = data.endswith(b"\n") and all_sealed(data, ends_of(data))
        if schema != SCHEMA or not sealed:
            found += to_table(data, "", start, schema)[1]
        start += len(data)
    return found


def gathered(
    found: Iterable[tuple[pa.Table, int, list[Bad]]],
) -> Iterator[tuple[list[pa.Table], int, list[Bad]]]:
    """What is read of a journal chunk by chunk, gathered to `AT_A_TIME` rows: DuckDB writes that
    many to its file at once, past the write-ahead log."""
    tables: list[pa.Table] = []
    damaged: list[Bad] = []
    end = None
    for rows, end, bad in found:
        tables.append(rows)
        damaged += bad
        if sum(each.num_rows for each in tables) >= AT_A_TIME:
            yield tables, end, damaged
            tables, damaged = [], []
    if tables and end is not None:
        yield tables, end, damaged
