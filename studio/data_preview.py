"""Describes a data file for the form of an objective: its format, its columns, how its first rows
will be read, and the alternatives. Read once per state of the file and the choices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import BadInput, Problem
from engine.scoring.data import Row, look, problems_of
from engine.scoring.data_columns import Use
from engine.scoring.registry import check_objective
from engine.study import objective_of_document
from engine.study_data import ANSWERS, DATA_KEYS
from engine.study_file import place_of

SHOWN = 3
VALUES = 40
"""Values of a column that are offered to choose rows by."""

ANSWER_WORDS = {
    "index": "number from 0",
    "1-based": "number from 1",
    "letter": "letter",
    "text": "text of the choice",
    "label": "label of the choice",
}
assert set(ANSWER_WORDS) == set(ANSWERS)


@dataclass(frozen=True)
class Seen:
    """A data file as it will be read.

    Attributes:
        sentence: format, shape, number of rows, what is read as what.
        names: of the file's columns.
        columns: that can be chosen, places inside objects too.
        values: column -> its values, of columns with few.
        table: the first rows as they will be read.
        mapping: the columns by which they are read, as a study would say it; {} for our own form
            and where it is not certain.
        problems: why it cannot be used as it is.
    """

    use: Use
    sentence: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    table: tuple[Mapping[str, Any], ...]
    mapping: Mapping[str, Any]
    problems: tuple[Problem, ...]


def see(document: Mapping[str, Any], beside: Path) -> Seen | None:
    """What an item of `objectives:` has as its data; None if there is no such file yet.

    Args:
        document: with name, scorer, data, and the data's options.
        beside: the study file, to which a relative path is relative.
    """
    typed = str(document.get("data") or "").strip()
    if not typed:
        return None
    try:
        path = place_of(typed, beside.parent, "Data file")
        found = path.stat()
    except (BadInput, OSError):
        return None
    text = json.dumps(dict(document), sort_keys=True, default=str)
    return _see(text, path, beside, (found.st_mtime_ns, found.st_size, found.st_ino))


@lru_cache(maxsize=32)
def _see(text: str, path: Path, beside: Path, _state: tuple[int, ...]) -> Seen | None:
    try:
        objective = objective_of_document({**json.loads(text), "name": "new"}, beside)
        check_objective(objective)
    except BadInput:
        return None  # the fields of the scorer are not filled in yet
    try:
        seen = look(path, objective)
    except BadInput as error:
        return Seen("prompt", "", (), (), {}, (), {}, error.problems)
    first = next(iter(seen.records), {})
    columns = [
        place
        for name in seen.columns
        for place in (name, *_inside(name, first.get(name)))
    ]  # fmt: skip
    reading = seen.reading
    plain = reading is None or reading.own or reading.derive is not None
    return Seen(
        seen.use,
        seen.sentence(),
        seen.columns,
        tuple(columns),
        {name: values for name in seen.columns if (values := _values(seen.records, name))},
        tuple(_shown(row, "row" if seen.form.startswith("Parquet") else "line")
              for row in seen.rows),
        {} if plain or reading is None else reading.options.as_dict(),
        tuple(problems_of(path, objective)),
    )  # fmt: skip


def _inside(name: str, value: Any) -> list[str]:
    return [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else []


def _values(records: Sequence[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    """The values of a column that has a few, each more than once somewhere."""
    found: dict[str, None] = {}
    for record in records:
        value = record.get(name)
        if not isinstance(value, str | bool | int) or len(str(value)) > 60:
            return ()
        found[str(value).lower() if isinstance(value, bool) else str(value)] = None
        if len(found) > VALUES:
            return ()
    return tuple(found) if 1 < len(found) < len(records) or len(records) <= 3 else ()


def _shown(row: Row, unit: str) -> dict[str, Any]:
    """A row as the form's table shows it."""
    found: dict[str, Any] = {unit: row.line}
    if row.messages is None:
        found["prompt"] = row.prompt or "(none: the whole text is scored)"
    else:
        found["messages"] = "\n".join(f"{m['role']}: {m['content']}" for m in row.messages)
    if row.targets:
        found["target" if len(row.targets) == 1 else "targets"] = " | ".join(row.targets)
    if row.choices:
        found["choices"] = " | ".join(row.choices)
    if row.answer is not None and row.choices:
        found["answer"] = row.choices[row.answer]
    return found


def chosen_columns(chosen: Mapping[str, Any], mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a document that choices amount to, what was recognised filling the rest.

    Args:
        chosen: prompt, targets, choices: lists of columns; messages, answer: one; answer_is; rows:
            column -> values. Empty ones are not chosen.
        mapping: what was recognised, as a study would say it.
    """
    columns: dict[str, Any] = {}
    for name in ("prompt", "messages", "answer", "choices", "targets"):
        value = chosen.get(name)
        if value:
            single = isinstance(value, list) and len(value) == 1
            columns[name] = value[0] if single else value
    if isinstance(columns.get("targets"), str):
        columns["target"] = columns.pop("targets")
    if "messages" in columns:
        columns.pop("prompt", None)
    found: dict[str, Any] = {}
    if columns:
        kept = dict(mapping.get("columns") or {})
        if {"prompt", "messages"} & columns.keys():
            kept = {k: v for k, v in kept.items() if k not in ("prompt", "messages")}
        if {"target", "targets"} & columns.keys():
            kept = {k: v for k, v in kept.items() if k not in ("target", "targets")}
        if {"choices", "answer"} & columns.keys():
            kept = {k: v for k, v in kept.items() if k not in ("right", "wrong")}
        found = {key: mapping[key] for key in DATA_KEYS if key in mapping and key != "rows"}
        found["columns"] = {**kept, **columns}
    if chosen.get("answer_is"):
        found["answer_is"] = chosen["answer_is"]
    if chosen.get("rows"):
        found["rows"] = {k: v[0] if len(v) == 1 else v for k, v in chosen["rows"].items()}
    return found
