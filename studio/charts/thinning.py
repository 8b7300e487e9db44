"""Which points to draw where there are more than a screen can show or a browser can move."""

from __future__ import annotations

import numpy as np

DRAWN = 8000
"""Points drawn at most: as many marks as fit beside each other, about 1 MB for the browser."""


def thinned(values: np.ndarray, wanted: int = DRAWN, keep: np.ndarray | None = None) -> np.ndarray:
    """Rows to draw so that the picture keeps its outline and its densities.

    The plane is cut into at most `wanted` / 2 cells. Every cell that has points keeps one, so that
    none that stands alone is lost; what is left is shared out by how many a cell has. Within a cell
    a row's own scrambled number decides, so the same rows are drawn again and an added point
    changes few of them.

    Args:
        values: float [n, d], finite.
        wanted: how many rows at most, those of `keep` beyond it.
        keep: bool [n], rows drawn in any case.

    Returns:
        int [k], ascending; all rows where there are no more than wanted.
    """
    count, dimensions = values.shape
    if count <= wanted:
        return np.arange(count)
    bins = max(1, int((wanted / 2) ** (1 / max(dimensions, 1))))
    low, high = values.min(axis=0), values.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    places = np.minimum(((values - low) / span * bins).astype(np.int64), bins - 1)
    cell = places @ (bins ** np.arange(dimensions))
    # Knuth's multiplicative hash of the row's number
    turn = (np.arange(count, dtype=np.uint64) * 2654435761) & 0xFFFFFFFF
    order = np.lexsort((turn, cell))
    _, start, size = np.unique(cell[order], return_index=True, return_counts=True)
    share = (wanted - len(size)) / max(count - len(size), 1)
    upto = np.floor(np.cumsum(size - 1) * share).astype(np.int64)
    quota = 1 + np.diff(upto, prepend=0)
    rank = np.arange(count) - np.repeat(start, size)
    drawn = np.zeros(count, dtype=bool)
    drawn[order[rank < np.repeat(quota, size)]] = True
    return np.flatnonzero(drawn if keep is None else drawn | keep)
