"""Per-example results of points on an objective, without a Python object a number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cache.index import NEWEST, Index

_SOURCES = "JOIN (SELECT key, text AS source FROM texts) AS named ON lines.source = named.key"
_NEWEST = NEWEST.replace("source", "named.source")


def examples(
    index: Index, objective_fingerprint: str, split: str, numerics: str, points: Sequence[str]
) -> np.ndarray:
    """The newest values of points, float64 [points, rows]: NaN where there is none.

    Args:
        points: ids, in whose order they come back.
    """
    texts = ["score", objective_fingerprint, split, numerics]
    found = index.arrays(
        'SELECT points.id AS id, lines."values" AS results'
        f" FROM lines JOIN points ON lines.point = points.point {_SOURCES}"
        " WHERE kind = ? AND objective_fingerprint = ? AND split = ? AND numerics = ?"
        " AND points.id IN (SELECT unnest(?))"
        f" QUALIFY row_number() OVER (PARTITION BY points.id ORDER BY {_NEWEST}) = 1",
        [*map(index.text, texts), list(points)],
    )
    results = {
        point: values
        for point, values in zip(found["id"].tolist(), found["results"], strict=True)
        if values is not None and values is not np.ma.masked
    }
    width = max(map(len, results.values()), default=0)
    table = np.full((len(points), width), np.nan)
    for row, point in enumerate(points):
        values = results.get(point)
        if values is not None:
            table[row, : len(values)] = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    return table
