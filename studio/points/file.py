"""Points as a file: CSV or Parquet, a row a point, the front marked.

The columns are those of the table (table.py), and the whole recipe as JSON.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from cache.arrow import numbers, pa, pq, texts
from engine.errors import bad
from engine.replacing import successor
from studio import csv_text
from studio.points import table
from studio.points.remarks import Remark
from studio.points.view import Axis, Measured


def of_parquet(found: pa.Table) -> bytes:
    """A Parquet file of a table."""
    file = io.BytesIO()
    pq.write_table(found, file)
    return file.getvalue()


FORMATS: Mapping[str, Callable[[pa.Table], bytes]] = {
    ".csv": csv_text.of_table,
    ".parquet": of_parquet,
}
"""The ending of a file -> how a table is written to it."""


def format_of(path: Path) -> Callable[[pa.Table], bytes]:
    """How a table is written to this file, by its ending; raises `BadInput`."""
    if path.suffix.lower() not in FORMATS:
        what = f"the ending {path.suffix!r} is of no format that can be written"
        raise bad(str(path), what, f"End it with {' or '.join(FORMATS)}.")
    return FORMATS[path.suffix.lower()]


def of_measured(
    measured: Measured,
    axes: Sequence[Axis],
    front: np.ndarray,
    rows: np.ndarray,
    remarks: Mapping[str, Remark],
    sure: np.ndarray | None = None,
) -> pa.Table:
    """The table of some rows (`table.columns`) with their recipes.

    Args:
        front: bool [points].
        rows: int [k].
        sure: float64 [points], probability of each to be on the front, where that is known.
    """
    found = table.columns(measured, axes, front, rows, remarks, sure=sure)
    name = "recipe"
    while name in found.column_names:
        name = f"point {name}"
    recipes = texts([measured.recipes[row].key for row in rows.tolist()])
    return found.append_column(name, recipes)


def of_values(
    ids: Sequence[str], names: Sequence[str], values: np.ndarray, front: Collection[str]
) -> pa.Table:
    """The table of points that are nothing but numbers.

    Args:
        values: float64 [ids, names], NaN where there is none.
        front: ids.
    """
    on = set(front)
    columns = [texts(ids), pa.array([each in on for each in ids], pa.bool_())]
    columns += [numbers(each, np.isfinite(each)) for each in np.ascontiguousarray(values.T)]
    return pa.Table.from_arrays(columns, ["id", "front", *names])


def write(found: pa.Table, path: Path) -> None:
    """Write a file in its place, whole or not at all.

    Raises:
        BadInput: its ending, or a directory that is not there.
    """
    made = format_of(path)(found)
    if not path.parent.is_dir():
        raise bad(str(path), "its directory does not exist", "Create it first.")
    try:
        with successor(path) as (beside, descriptor), os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
            os.replace(beside, path)
    except OSError as error:  # which names the file beside it
        fix = "Name a file where you may write."
        raise bad(str(path), f"it cannot be written ({error.strerror or error})", fix) from None
