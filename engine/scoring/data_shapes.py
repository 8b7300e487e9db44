"""What a shape of published data is: columns that tell it, and the mapping that reads it.

A shape is a mapping of columns that a study could spell out itself; what no mapping says, a
function of `engine.scoring.data_derived` turns first. Names are compared whatever their case.
`engine.scoring.data_published` lists the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.study_data import DataOptions

Guard = Callable[[Mapping[str, Any]], bool]
Derive = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Shape:
    """A published form of data.

    Attributes:
        keys: columns that have to be there, as `plain` writes them.
        columns: ours -> theirs, of all uses that the shape serves.
        guard: what the first record has to hold besides.
        derive: turns a record first; the columns are then those of its result.
        settings: answer_is, target_pattern, separator, join, blank.
        note: what to know before it is used.
        refusal: why the shape is known and not read; the fix stands in `note`.
        open: whether a number as the answer may count from 1 as well as from 0.
    """

    name: str
    keys: frozenset[str]
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    guard: Guard | None = None
    derive: Derive | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    refusal: str = ""
    open: bool = False

    def matches(self, names: Mapping[str, str], record: Mapping[str, Any]) -> bool:
        """Whether a file of these columns (`plain` -> as written) has this shape."""
        if not self.keys <= names.keys():
            return False
        lowered = {low: record.get(name) for low, name in names.items()}
        return self.guard is None or self.guard(lowered)

    def serves(self, use: str) -> bool:
        """Whether the shape has what a use needs."""
        if use == "prompt":
            return bool({"prompt", "messages"} & self.columns.keys())
        if use == "choices":
            return bool({"choices", "right"} & self.columns.keys())
        if "messages" in self.columns:
            return True
        if "prompt" not in self.columns and use == "answer":
            return False
        return bool({"target", "targets"} & self.columns.keys())

    def options(self, names: Mapping[str, str], use: str) -> DataOptions:
        """The mapping with the file's own names; a pattern cuts answers, not likelihoods."""

        def own(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
            if self.derive is not None:
                return value
            if isinstance(value, str):
                head, dot, rest = value.partition(".")
                return names.get(head, head) + dot + rest
            there = tuple(str(own(each)) for each in value if each in names)
            return there[0] if len(there) == 1 else there

        wanted = ["prompt", "messages"]
        if use in ("answer", "likelihood"):
            wanted += ["target", "targets"]
        if use == "choices":
            wanted += ["choices", "answer", "right", "wrong"]
        settings = dict(self.settings)
        if use == "likelihood":
            settings.pop("target_pattern", None)
        if use == "prompt":
            settings = {key: value for key, value in settings.items() if key == "join"}
        if use != "choices":
            settings.pop("answer_is", None)
            settings.pop("blank", None)
        columns = {name: own(each) for name, each in self.columns.items() if name in wanted}
        return DataOptions(columns=columns, **settings)


def shape(name: str, keys: str, guard: Guard | None = None, derive: Derive | None = None,
          note: str = "", refusal: str = "", settings: Mapping[str, Any] | None = None,
          open: bool = False, **columns: str | tuple[str, ...]) -> Shape:  # fmt: skip
    """A shape from the columns it needs, in one text, and ours -> theirs."""
    return Shape(name, frozenset(keys.split()), columns, guard, derive, settings or {}, note,
                 refusal, open)  # fmt: skip


def plain(name: str) -> str:
    """A column's name as shapes compare it: `Best Answer` is best_answer."""
    return name.strip().lower().replace(" ", "_")
