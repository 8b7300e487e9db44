"""How the records of one file are read, once that is decided."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.scoring.data_columns import Columns, Fields, Use, spelt
from engine.scoring.data_own import own_fields
from engine.scoring.data_shapes import Derive
from engine.scoring.data_table import Unread
from engine.study_data import PLAIN, DataOptions


@dataclass(frozen=True)
class Reading:
    """How the records of one file are read.

    Attributes:
        name: of the shape; empty for our own form and for a mapping that the study gives.
        options: the whole mapping, as a study could spell it out; PLAIN for our own form.
        derive: turns a record before the mapping reads it.
        note: what to know of the shape.
        open: a number as the answer may count from 1 as well as from 0.
    """

    use: Use
    name: str = ""
    options: DataOptions = PLAIN
    untyped: bool = False
    derive: Derive | None = None
    note: str = ""
    open: bool = False

    @property
    def own(self) -> bool:
        """Whether records are in Paretoscope's own format."""
        return not self.options.columns

    def fields(self, record: Mapping[str, Any]) -> Fields:
        """The fields of one record; raises `Unread`."""
        if self.own:
            return own_fields(record, self.use, self.untyped)
        turned = record if self.derive is None else self.derive(spelt(record, self.untyped))
        if "text" in turned and self.derive is not None and self.use == "likelihood":
            return Fields("", targets=(turned["text"],), whole=True)
        return self._columns.read(turned, self.use)

    def prepare(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Have ready what costs less for all records at once; raises `Unread` as `fields`."""
        if self.own or self.options.target_pattern is None:
            return
        if self.use in ("answer", "likelihood"):
            self._columns.prepare(map(self._turned, records))

    def _turned(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.derive is None:
            return record
        try:
            return self.derive(spelt(record, self.untyped))
        except Unread:  # told of its row
            return {}

    @cached_property
    def _columns(self) -> Columns:
        return Columns(self.options, self.untyped)

    def words(self) -> str:
        """What is read as what: `prompt = ctx, choices = endings, answer = label`."""
        if self.own:
            return "prompt = prompt" if self.use == "prompt" else "in our own form"
        parts = []
        for ours, theirs in self.options.columns.items():
            names = theirs if isinstance(theirs, str) else " + ".join(theirs)
            parts.append(f"{ours} = {names}")
        settings = dataclasses.replace(self.options, columns={}, rows={}).as_dict()
        parts += [f"{key} {value!r}" for key, value in settings.items() if key != "join"]
        return ", ".join(parts)
