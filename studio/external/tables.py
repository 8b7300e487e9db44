"""External points from a table: a row a model, a column an objective.

    name (or model, or id)   OBJECTIVE   OBJECTIVE stderr   OBJECTIVE n   …

The standard error and the number of examples may also follow an underscore (`facts_stderr`). This
is how the app writes its own tables. Other columns are passed over.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cache.arrow import pa, pq
from engine.counted import counted
from engine.errors import bad, first_line
from engine.plain_file import read_plain
from studio.external.found import Model, Value, count, digest, error, number

MOST_BYTES = 1_000_000_000
MOST_MODELS = 1000
"""An external point is a mark with a name; more of them is a sweep, which `front --csv` reads."""
NAMES = ("name", "model", "id")
"""Columns that hold a model's name; the first one that has a text counts."""
ERRORS, COUNTS = ("stderr", "std_err", "se"), ("n",)

Row = tuple[str, Mapping[str, Any]]
"""Where it stands, for messages; column -> cell."""


def read_csv_models(path: Path) -> list[Model]:
    """The rows of a CSV file; raises `BadInput` with file and line."""
    content = read_plain(path, MOST_BYTES, fix="Give a CSV file.")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(f"{path}:{reader.line_num}", cells) for cells in reader if cells]
    except csv.Error as failure:
        raise bad(str(path), f"not CSV ({failure})", "Give a CSV file.") from None
    except UnicodeDecodeError as failure:
        what = f"not UTF-8 text (byte {failure.start})"
        raise bad(str(path), what, "Save it as UTF-8.") from None
    if not lines:
        raise bad(str(path), "the file is empty", "The first line names the columns.")
    (where, header), *rest = lines
    names = [each.strip() for each in header]
    _check_names(names, where)
    rows = []
    for where, cells in rest:
        if len(cells) != len(names):
            what = f"{counted(len(cells), 'cell')}, but the header has {len(names)}"
            raise bad(where, what, "Leave a cell empty where a score is missing.")
        rows.append((where, dict(zip(names, map(_cell, cells), strict=True))))
    return _models(path, names, rows, digest(content), "CSV")


def read_parquet_models(path: Path) -> list[Model]:
    """The rows of a Parquet file; raises `BadInput`."""
    content = read_plain(path, MOST_BYTES, fix="Give a Parquet file.")
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > MOST_MODELS:
            raise _too_many(path, file.metadata.num_rows)
        table = file.read()
    except (pa.ArrowException, OSError) as failure:
        what = f"not Parquet ({first_line(failure)})"
        raise bad(str(path), what, "Give a Parquet file.") from None
    names = list(table.column_names)
    _check_names(names, str(path))
    rows = [(f"{path}: row {place}", row) for place, row in enumerate(table.to_pylist(), 1)]
    return _models(path, names, rows, digest(content), "Parquet")


def _check_names(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise bad(where, f"two columns are named {name!r}", "Rename one.")


def _cell(text: str) -> Any:
    """A cell's number, else its text; None where it is empty."""
    text = text.strip()
    try:
        return (float(text) if "_" not in text else text) if text else None
    except ValueError:
        return text


def _too_many(path: Path, rows: int) -> Exception:
    what = f"it has {rows:,} rows; {MOST_MODELS:,} external points is the limit"
    return bad(str(path), what, "Keep the models that matter; `front --csv` reads whole sweeps.")


def _models(
    path: Path, names: Sequence[str], rows: Sequence[Row], sha256: str, form: str
) -> list[Model]:
    if len(rows) > MOST_MODELS:
        raise _too_many(path, len(rows))
    if not rows:
        raise bad(str(path), "it has no rows", "Give a row for each model.")
    beside = {
        f"{name}{gap}{end}" for name in names for gap in " _" for end in (*ERRORS, *COUNTS)
    } & {*names}
    own = [name for name in names if name not in beside and name not in NAMES]
    found: dict[str, Model] = {}
    for place, (where, row) in enumerate(rows, 1):
        name = _name(row) or (f"{path.stem} {place}" if len(rows) > 1 else path.stem)
        if name in found:
            raise bad(where, f"two rows are of {name!r}", "Give each model a name of its own.")
        values = {
            each: partial(_value, row, each, f"{where}: {each}")
            for each in own
            if row[each] is not None
        }
        found[name] = Model(name, values, path.absolute(), sha256, form)
    return list(found.values())


def _name(row: Mapping[str, Any]) -> str:
    given = (row.get(each) for each in NAMES)
    for each in given:
        if each is not None and str(each).strip():
            whole = isinstance(each, float) and each.is_integer()
            return str(int(each) if whole else each).strip()
    return ""


def _value(row: Mapping[str, Any], name: str, where: str) -> Value:
    """A cell with what stands beside it."""

    def beside(ends: Sequence[str]) -> Any:
        keys = (f"{name}{gap}{end}" for end in ends for gap in " _")
        return next((row[key] for key in keys if row.get(key) is not None), None)

    mean = number(row[name], where, "the score")
    return Value(where, mean, error(beside(ERRORS), where), count(beside(COUNTS), where))
