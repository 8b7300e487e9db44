"""Tables with named columns: CSV and TSV through Python's csv, Parquet through pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from engine.counted import size_text
from engine.scoring.data_table import Unread

MAX_ROWS = 5_000_000
"""Most rows of a Parquet file: a few bytes of it can stand for any number."""

_BATCH = 1024
_LETTERS = frozenset("ABCDE")


def cells_of(text: str, delimiter: str, form: str) -> list[tuple[int, Any]]:
    """(line, column -> cell) of a table whose first line names the columns.

    Quoted cells may hold delimiters, doubled quotes and line breaks. A TSV whose quotes do not
    close is read with quotes as they are. Headerless MMLU files (question, four choices, a letter)
    get the names question, A … D, answer.

    Raises:
        Unread: quotes that do not close, or names that stand twice.
    """
    try:
        rows = list(_rows(text, delimiter, csv.QUOTE_MINIMAL, form))
    except Unread:
        if delimiter != "\t":
            raise
        rows = list(_rows(text, delimiter, csv.QUOTE_NONE, form))
    if not rows:
        return []
    _, names = rows[0]
    if len(names) == 6 and all(len(each) == 6 and each[5] in _LETTERS for _, each in rows):
        names = ["question", "A", "B", "C", "D", "answer"]
    else:
        rows = rows[1:]
    names = [each.strip() for each in names]
    twice = next((each for each in names if each and names.count(each) > 1), None)
    if twice is not None:
        raise Unread(f"it is {form}, but two columns are called {twice!r}", "Rename one.", 1)
    return [(line, _named(names, cells)) for line, cells in rows]


def _named(names: list[str], cells: list[str]) -> Any:
    if len(cells) != len(names):
        what = f"has {len(cells)} cells, but the first line names {len(names)} columns"
        return Unread(what, "Quote cells that contain the delimiter or a line break.")
    return dict(zip(names, cells, strict=True))


def _rows(text: str, delimiter: str, quoting: Any, form: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row that is not blank."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
    )
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            what = f"it is {form}, but a row cannot be read: {error}"
            raise Unread(what, 'Double the quotes inside a quoted cell: "".', line) from None
        if cells is None:
            return
        if any(each.strip() for each in cells):
            yield line, cells


def parquet_of(content: bytes, most: int) -> list[tuple[int, Any]]:
    """(row from 1, column -> value) of a Parquet file.

    Args:
        most: bytes that the rows may take in memory.

    Raises:
        Unread: it is damaged, encrypted or too large.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows: list[tuple[int, Any]] = []
    size = 0
    try:
        with parquet.ParquetFile(pa.BufferReader(content)) as file:
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise Unread(
                    "it is Parquet, but two of its columns have the same name", "Rename one."
                )
            if file.metadata.num_rows > MAX_ROWS:
                what = f"it is Parquet with {file.metadata.num_rows} rows; {MAX_ROWS} is the limit"
                raise Unread(what, "Keep only the rows to be measured.")
            for batch in file.iter_batches(batch_size=_BATCH):
                size += batch.nbytes
                if size > most:
                    what = f"it is Parquet with more than {size_text(most)}"
                    raise Unread(what, "Keep only the rows and columns to be measured.")
                rows += enumerate(batch.to_pylist(), start=len(rows) + 1)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise Unread(
            f"it is Parquet, but cannot be read: {said[0][:200]}",
            "Check that the file is complete.",
        ) from None
    return rows
