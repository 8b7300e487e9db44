"""Points from a CSV or Parquet file: one row per point, one column per objective."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from cache.arrow import pa, pq
from engine.counted import counted
from engine.errors import bad, first_line
from engine.front.pareto import Floats, as_maximize
from engine.front.table import Table
from engine.plain_file import read_plain

Plain = tuple[list[str], Floats]

MOST_BYTES = 1_000_000_000

LARGEST = 1e150
"""Magnitude of a score, at most: ranges and sums of two objectives stay far from overflow."""


def _number(cell: str) -> float:
    """A cell's value; NaN for an empty, non-numeric or non-finite one."""
    try:
        value = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _header(
    cells: list[str], directions: Sequence[str], asked: Sequence[str] | None, where: str
) -> tuple[dict[str, int], int | None]:
    """Objective -> its column, and the column of the ids.

    Args:
        asked: the objectives wanted; where there is one direction for each of these, the other
            columns are no objectives.
    """
    names = [cell.strip() for cell in cells]
    for name in names:
        if not name:
            raise bad(where, "a column has no name", "Name every objective in the first line.")
        if names.count(name) > 1:
            raise bad(where, f"two columns are named {name!r}", "Rename one.")
    id_column = names.index("id") if "id" in names else None
    objectives = [name for name in names if name != "id"]
    if not objectives:
        raise bad(where, "there is no objective column", "Add at least one besides id.")
    wanted = [name for name in objectives if name in (asked or ())]
    if len(directions) == len(wanted) == len(set(asked or ())):
        objectives = wanted
    if len(directions) != len(objectives):
        raise bad(
            where,
            f"{counted(len(objectives), 'objective')} ({', '.join(objectives)}),"
            f" but {counted(len(directions), 'direction')}",
            "Give one of max, min for each objective, in the order of the columns; use "
            "--objectives to select columns; the others are ignored.",
        )
    return {name: names.index(name) for name in objectives}, id_column


def _text(path: Path) -> str:
    """The table as CSV; raises `BadInput` or `UnicodeDecodeError`."""
    content = read_plain(path, MOST_BYTES, fix="Give a CSV or a Parquet file.")
    if path.suffix.lower() != ".parquet":
        return content.decode("utf-8-sig")
    out = io.BytesIO()
    try:
        found = pq.read_table(pa.BufferReader(content))
        plain = [
            each.cast(each.type.value_type) if pa.types.is_dictionary(each.type) else each
            for each in found.columns
        ]
        table = pa.Table.from_arrays(plain, found.column_names)
        import_module("pyarrow.csv").write_csv(table, out)
    except (pa.ArrowException, OSError) as error:
        raise bad(
            str(path), f"not a Parquet table ({first_line(error)})", "Write it again."
        ) from None
    return out.getvalue().decode()


def _plain(text: str, width: int, columns: Sequence[int], id_column: int | None) -> Plain | None:
    """Ids and values, float64 [points, columns], of the lines below the header, read at once; None
    where any of them is not as plain as most files are, and each has to be looked at by itself."""
    lines = [line for line in text.split("\n") if line]
    if not lines or {line.count(",") for line in lines} != {width - 1}:
        return None
    ids = list(map(str, range(len(lines))))
    if id_column is not None:
        ids = [line.split(",", id_column + 1)[id_column].strip() for line in lines]
    if len(set(ids)) < len(ids) or "" in ids:
        return None
    try:
        values = np.loadtxt(lines, delimiter=",", usecols=columns, comments=None, ndmin=2)
    except ValueError:
        return None
    values[~np.isfinite(values)] = np.nan
    if len(values) != len(ids) or (np.abs(values) > LARGEST).any():
        return None
    return ids, values


def read_csv(
    path: str | Path, directions: Sequence[str], objectives: Sequence[str] | None = None
) -> Table:
    """Read a CSV or .parquet file: a point a row, a header of objective names, an optional `id`.

    Without ids the row number from 0 is the id. An empty or non-numeric cell is a failed score.
    Blank lines are passed over.

    Args:
        directions: max or min for each objective, in the order of the columns.
        objectives: the columns that are one; with as many directions the others are passed over,
            so that the file may say more of a point than its scores.

    Raises:
        BadInput: with file and line: no such file, not a table, ids that repeat, a score beyond
            `LARGEST`, directions that do not fit.
    """
    path = Path(path)
    maximize = as_maximize(directions, "--directions")
    ids: list[str] = []
    rows: list[list[float]] = []
    seen: dict[str, int] = {}
    known: Plain | None = None
    try:
        text = _text(path)
        with io.StringIO(text, newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next((cells for cells in reader if cells), None)
            if header is None:
                raise bad(str(path), "the file is empty", "The first line names the objectives.")
            where = f"{path}:{reader.line_num}"
            names, id_column = _header(header, directions, objectives, where)
            unix = text.replace("\r\n", "\n")
            if reader.line_num == 1 and '"' not in unix and "\r" not in unix:
                body = unix.partition("\n")[2]
                known = _plain(body, len(header), list(names.values()), id_column)
            for cells in reader if known is None else ():
                if not cells:
                    continue
                where = f"{path}:{reader.line_num}"
                if len(cells) != len(header):
                    raise bad(
                        where,
                        f"{counted(len(cells), 'cell')}, but the header has {len(header)}",
                        "Leave a cell empty where a score is missing.",
                    )
                each = str(len(ids)) if id_column is None else cells[id_column].strip()
                if not each:
                    raise bad(where, "this point has no id", "Give it one, or drop the column.")
                if each in seen:
                    raise bad(where, f"id {each!r} is also in line {seen[each]}", "Rename one.")
                seen[each] = reader.line_num
                ids.append(each)
                rows.append([_number(cells[place]) for place in names.values()])
                for name, value in zip(names, rows[-1], strict=True):
                    if abs(value) > LARGEST:
                        what = f"{name} is {value:g}, too large to be compared"
                        raise bad(where, what, "Correct it, or leave the cell empty.")
    except csv.Error as error:
        raise bad(f"{path}:{reader.line_num}", f"not CSV ({error})") from error
    except UnicodeDecodeError as error:
        raise bad(str(path), f"not UTF-8 text (byte {error.start})", "Save it as UTF-8.") from error
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    if known is not None:
        ids, values = known
    blank = {"stderr": None, "n": None, "low": None, "high": None}

    def document(row: int) -> dict[str, Any]:
        scores = {
            name: {"mean": value, **blank}
            for name, value in zip(names, values[row].tolist(), strict=True)
            if not math.isnan(value)
        }
        return {"id": ids[row], "recipe": None, "scores": scores, "seconds": None, "error": None}

    return Table(
        tuple(names), maximize, tuple(ids), values, np.ones(len(ids), dtype=bool), document
    )
