"""A data file's records with their place in the file, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


class Unread(Exception):
    """What is wrong with a file, a record or a field, and what to do.

    Attributes:
        line: of the file, where that is not told by the record that is read.
    """

    def __init__(self, what: str, fix: str = "", line: int | None = None) -> None:
        super().__init__(what)
        self.what, self.fix, self.line = what, fix, line


@dataclass(frozen=True)
class Table:
    """What a data file holds.

    Attributes:
        form: the format's name.
        records: (line or row from 1, a JSON value, or the `Unread` of what is none).
        untyped: cells are texts, whatever they say.
        rows: records are counted by rows, not by lines.
    """

    form: str
    records: tuple[tuple[int, Any], ...]
    untyped: bool = False
    rows: bool = False

    def place(self, path: Path, number: int) -> str:
        """Where a record stands, for an error."""
        return f"{path}: row {number}" if self.rows else f"{path}:{number}"

    def objects(self) -> list[dict[str, Any]]:
        """The records that are objects."""
        return self._objects

    @cached_property
    def _objects(self) -> list[dict[str, Any]]:
        return [record for _, record in self.records if isinstance(record, dict)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of all records, in the order of the file."""
        found: dict[str, None] = {}
        for keys in dict.fromkeys(map(tuple, self.objects())):
            found.update(dict.fromkeys(keys))
        return tuple(found)


def short(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
