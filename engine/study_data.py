"""How an objective's data is read if it is not in Paretoscope's own format.

    columns: {prompt: question, target: answer}     our name: the data's; a list of names, or a.b
    rows: {label: safe}                             only rows that hold this (or one of a list)
    answer_is: letter                               what the right choice is named by
    target_pattern: '#### (.+)'                     the part of the target that counts
    separator: ";"                                  between several texts in one cell
    join: "\\n"                                      between several columns of one prompt
    blank: "_"                                      where a sentence is cut for its choices

All of it is optional; `engine.scoring.data_columns` says what it means for a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from engine import apart
from engine.recipe import FrozenDict
from engine.study_file import Reader
from engine.yaml_writing import dumped

FIELDS = ("prompt", "messages", "target", "targets", "choices", "answer", "right", "wrong")
"""What a row can hold, by our names: `right` and `wrong` are answers to choose between."""

ANSWERS = ("index", "1-based", "letter", "text", "label")
"""What the right choice is named by; an index counts from 0."""

DATA_KEYS = ("columns", "rows", "answer_is", "target_pattern", "separator", "join", "blank")

_LISTS = ("prompt", "targets", "choices", "wrong")


@dataclass(frozen=True)
class DataOptions:
    """How rows are read from what a data file holds; everything at its default means our own form,
    or a shape that is recognised.

    Attributes:
        columns: our name -> the column's name, or the names of several.
        rows: column -> values, one of which a row has to hold to be read.
        answer_is: one of `ANSWERS`; None if the data themselves leave one reading.
        target_pattern: its group 1 (or all of its match) is the target.
    """

    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=FrozenDict)
    rows: Mapping[str, tuple[Any, ...]] = field(default_factory=FrozenDict)
    answer_is: str | None = None
    target_pattern: str | None = None
    separator: str | None = None
    join: str = "\n\n"
    blank: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", FrozenDict(self.columns))
        object.__setattr__(self, "rows", FrozenDict(self.rows))

    def as_dict(self) -> dict[str, Any]:
        """What is not at its default, as a study file says it."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value == getattr(PLAIN, each.name):
                continue
            if isinstance(value, Mapping):
                value = {name: _plain(inner) for name, inner in value.items()}
            found[each.name] = value
        return found

    def lines(self) -> str:
        """The same as one line of YAML: `columns: {prompt: question}, answer_is: letter`."""
        return dumped(self.as_dict(), flow=True).strip()[1:-1]


def _plain(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return value[0] if len(value) == 1 else list(value)


PLAIN = DataOptions()


def _columns(reader: Reader, data: Any, where: str) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, str | tuple[str, ...]] = {}
    for name, value in reader.mapping(data, where, FIELDS).items():
        several = isinstance(value, list) and value and all(isinstance(e, str) for e in value)
        if isinstance(value, str) and value:
            found[name] = value
        elif several and name in _LISTS:
            found[name] = tuple(value)
        elif name in FIELDS:
            fix = "Write the column's name, or a list of names for prompt, targets, choices, wrong."
            reader.problem(f"{where}.{name}", f"expected a column's name, got {value!r}", fix)
    if "prompt" in found and "messages" in found:
        reader.problem(where, "both prompt and messages are given", "Keep one of them.")
    if "target" in found and "targets" in found:
        reader.problem(where, "both target and targets are given", "Keep one of them.")
    if "right" in found and {"choices", "answer"} & found.keys():
        fix = "Give either choices and answer, or right and wrong."
        reader.problem(where, "right is given together with choices or answer", fix)
    if ("right" in found) != ("wrong" in found):
        reader.problem(where, "one of right and wrong is missing", "Give both.")
    return found


def _rows(reader: Reader, data: Any, where: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for name, value in reader.mapping(data, where).items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(e is None or isinstance(e, str | int | float) for e in values):
            fix = "Write rows: {column: value}, or a list of values."
            reader.problem(f"{where}.{name}", f"expected a value, got {value!r}", fix)
        else:
            found[name] = tuple(values)
    return found


def _text(reader: Reader, data: Mapping[str, Any], key: str, where: str) -> str | None:
    value = data.get(key)
    if value is None or (isinstance(value, str) and value):
        return value
    reader.problem(f"{where}.{key}", f"expected a string, got {value!r}", "Put it in quotes.")
    return None


def data_place(reader: Reader, data: Mapping[str, Any], key: str, where: str) -> Path | None:
    """Where the data file of a key lies; None if none is named. An address is a problem."""
    value = data.get(key)
    if isinstance(value, str) and re.match(r"\w[\w+.\-]*://", value):
        what = f"{value[:80]!r} is a URL, and nothing is downloaded"
        reader.problem(f"{where}.{key}", what, "Download the data and give the path of the file.")
        return None
    return None if value is None else reader.place(value, f"{where}.{key}")


def data_options(reader: Reader, data: Mapping[str, Any], where: str) -> DataOptions:
    """The options among an objective's keys; problems go to the reader."""
    answer_is = data.get("answer_is")
    if answer_is is not None and answer_is not in ANSWERS:
        reader.unknown(f"{where}.answer_is", "way to name the answer", answer_is, ANSWERS)
        answer_is = None
    pattern = _text(reader, data, "target_pattern", where)
    if pattern is not None:
        found = apart.groups(pattern)
        if isinstance(found, apart.Failed):
            what = f"{pattern!r} is not a regular expression: {found.what}"
            reader.problem(
                f"{where}.target_pattern", what, "In YAML, use single quotes to keep \\."
            )
            pattern = None
    join = data.get("join", PLAIN.join)
    if not isinstance(join, str):
        reader.problem(f"{where}.join", f"expected a string, got {join!r}", "Put it in quotes.")
        join = PLAIN.join
    return DataOptions(
        columns=_columns(reader, data.get("columns") or {}, f"{where}.columns"),
        rows=_rows(reader, data.get("rows") or {}, f"{where}.rows"),
        answer_is=answer_is,
        target_pattern=pattern,
        separator=_text(reader, data, "separator", where),
        join=join,
        blank=_text(reader, data, "blank", where),
    )
