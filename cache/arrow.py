"""pyarrow, imported when something of it is first used: 50 MB and 0.15 s that a process does
without which only asks an index that is level.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["pa", "pa_json", "pc", "pq"]


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
