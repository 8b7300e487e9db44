"""pyarrow, imported on first use: querying an up-to-date index then saves 50 MB and 0.15 s.

`numbers` and `texts` make arrays of Python values, `np.from_dlpack` converts them back: `pa.array`,
`pa.scalar` and `to_numpy` would import pandas first, which takes longer than to number 100,000
rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

__all__ = ["numbers", "pa", "pa_json", "pc", "pq", "texts"]


class _Later:
    """A module by its name; the first look at an attribute imports it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pa_json
    import pyarrow.parquet as pq
else:
    pa, pc = _Later("pyarrow"), _Later("pyarrow.compute")
    pa_json, pq = _Later("pyarrow.json"), _Later("pyarrow.parquet")


def numbers(values: np.ndarray, there: np.ndarray | None = None) -> pa.Array:
    """Numbers as they lie in memory.

    Args:
        there: bool, where there is one; everywhere by default.
    """
    mask = None if there is None else pa.py_buffer(np.packbits(there, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [mask, data])


def texts(values: Sequence[str]) -> pa.Array:
    """A few texts."""
    encoded = [each.encode() for each in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))
    )
