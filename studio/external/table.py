"""External points as rows of the table of points: below the others, with their own word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cache.arrow import numbers, pa, texts
from studio.external.points import External
from studio.points import table
from studio.points.view import Axis


def with_external(found: pa.Table, externals: Sequence[External], axes: Sequence[Axis]) -> pa.Table:
    """The table with a row for each of them; what they have not is empty there.

    Args:
        found: of `table.columns`.
    """
    if not externals:
        return found
    scores = {
        table.header(axis.name, of) if of != "mean" else axis.name: [
            each.scores[axis.name].document()[of] if axis.name in each.scores else None
            for each in externals
        ]
        for axis in axes
        for of in ("mean", *table.OF_SCORE)
    }
    own = {
        "id": [each.id for each in externals],
        "name": [each.name for each in externals],
        "method": [each.origin for each in externals],
        table.MEASURED: [each.origin for each in externals],
    }
    columns = []
    for name, column in zip(found.column_names, found.columns, strict=True):
        # a header gives way to an objective of its name (`table.columns`)
        said = scores.get(name) or own.get(re.sub("^(point )+", "", name))
        kind = column.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
            column = column.cast(kind)
        columns.append(pa.chunked_array([*column.chunks, _below(said, kind, len(externals))]))
    return pa.Table.from_arrays(columns, found.column_names)


def _below(said: Sequence[Any] | None, kind: pa.DataType, count: int) -> pa.Array:
    """The cells of the external points in one column."""
    if pa.types.is_string(kind):
        return texts([str(each) for each in said] if said else [""] * count)
    if pa.types.is_boolean(kind):  # star and front
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(bytes((count + 7) // 8))])
    whole = pa.types.is_integer(kind)
    cells = said or [None] * count
    there = np.array([each is not None for each in cells])
    filled = [0 if each is None else each for each in cells]
    return numbers(np.array(filled, dtype=np.int64 if whole else np.float64), there)
