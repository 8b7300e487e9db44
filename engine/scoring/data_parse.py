"""A data file's content under what a study says of it: its rows, and every problem.

What is read once is remembered: a study's objectives share files, and `check`, fingerprints and an
evaluation read them again.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from engine.scoring.data_answers import Asked, resolve_answers
from engine.scoring.data_columns import Use
from engine.scoring.data_distinct import Copy, distinct
from engine.scoring.data_formats import table_of
from engine.scoring.data_own import build
from engine.scoring.data_reading import Reading
from engine.scoring.data_recognise import recognise
from engine.scoring.data_row import Row
from engine.scoring.data_table import Table, Unread, short
from engine.study_data import DataOptions


@dataclass(frozen=True)
class Parsed:
    """One file's content under one reading.

    Attributes:
        reading: None if it is not certain.
        rows: those that can be read, each once.
        every: the same with the rows that repeat another.
        copies: (line, line of the row that it repeats).
        problems: (line, or None for the whole file; what; fix).
    """

    table: Table
    reading: Reading | None
    rows: tuple[Row, ...]
    problems: tuple[tuple[int | None, str, str], ...]
    every: tuple[Row, ...] = ()
    copies: tuple[Copy, ...] = ()


def _canonical(value: Any) -> str:
    """A value as `rows:` compares it: true is True is "true", 1 is 1.0 is "1", null is nothing."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    return text.lower() if text.lower() in ("true", "false") else text


def _filtered(table: Table, rows: Mapping[str, tuple[Any, ...]]) -> Table:
    """The records that hold one of the values of every column named."""
    for name, values in rows.items():
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, n=3, cutoff=0.5)
            hint = f"Did you mean {', '.join(near)}?" if near else ""
            what = (
                f"rows: names the column {name!r}, but the columns are {', '.join(table.columns)}"
            )
            raise Unread(what, hint)
        wanted = {_canonical(each) for each in values}
        kept = tuple(
            (line, record)
            for line, record in table.records
            if not isinstance(record, dict) or _canonical(record.get(name)) in wanted
        )
        if not any(isinstance(record, dict) for _, record in kept):
            seen = dict.fromkeys(_canonical(each.get(name)) for each in table.objects())
            what = f"no row has {name} {' or '.join(sorted(wanted))}"
            raise Unread(what, f"Its values are {', '.join(map(short, list(seen)[:8]))}.")
        table = Table(table.form, kept, table.untyped, table.rows)
    return table


def _rows(
    table: Table, reading: Reading, empty_target: bool
) -> tuple[tuple[Row, ...], tuple[tuple[int | None, str, str], ...]]:
    rows: list[Row] = []
    asked: list[tuple[int, Asked]] = []
    problems: list[tuple[int | None, str, str]] = []
    for line, record in table.records:
        try:
            if isinstance(record, Unread):
                raise record
            if not isinstance(record, dict):
                fix = "Each row must be one JSON object."
                raise Unread(f"expected an object, got {short(record)}", fix)
            fields = reading.fields(record)
            if fields.whole and fields.targets and not str(fields.targets[0]).strip():
                continue  # WikiText's blank lines, of which nothing can be measured
            row, question = build(
                fields, record, (len(rows), line, table.rows), reading.use, empty_target
            )
        except Unread as error:
            problems.append((line, error.what, error.fix))
            continue
        if question is not None:
            asked.append((len(rows), question))
        rows.append(row)
    if asked:
        problems += _answered(rows, asked, reading)
        problems.sort(key=lambda each: each[0] or 0)
    return tuple(rows), tuple(problems)


def _answered(
    rows: list[Row], asked: Sequence[tuple[int, Asked]], reading: Reading
) -> list[tuple[int | None, str, str]]:
    """Put the index of its right choice into each row; what is wrong with the others."""
    questions = [
        dataclasses.replace(each, untyped=reading.untyped, open=reading.open) for _, each in asked
    ]
    problems: list[tuple[int | None, str, str]] = []
    for (place, _), found in zip(
        asked, resolve_answers(questions, reading.options.answer_is), strict=True
    ):
        row = rows[place]
        if isinstance(found, Unread):
            problems.append((row.line, found.what, found.fix))
        else:
            rows[place] = dataclasses.replace(row, answer=found)
    return problems


class Content:
    """A file's bytes, compared by their hash, so that caches need not keep the bytes."""

    def __init__(self, content: bytes) -> None:
        self.bytes: bytes | None = content
        self.hash = hashlib.sha256(content).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


@lru_cache(maxsize=32)
def _table(content: Content, name: str) -> Table | Unread:
    assert content.bytes is not None  # it is let go of below, when all is read
    try:
        return table_of(content.bytes, name)
    except Unread as error:
        return error


def parse(
    content: Content, name: str, options: DataOptions, use: Use, empty_target: bool, scorer: str
) -> Parsed:
    """A file's content, read; the same content is parsed once."""
    spelt = repr(options.as_dict())  # options with 1 and with true are equal, and mean two things
    return _parse(content, name, spelt, options, use, empty_target, scorer)


@lru_cache(maxsize=32)
def _parse(
    content: Content,
    name: str,
    spelt: str,
    options: DataOptions,
    use: Use,
    empty_target: bool,
    scorer: str,
) -> Parsed:
    table = _table(content, name)
    content.bytes = None
    if isinstance(table, Unread):
        return Parsed(Table("unknown", ()), None, (), ((table.line, table.what, table.fix),))
    try:
        table = _filtered(table, options.rows)
        reading = recognise(table, options, use, scorer)
        if reading is not None:
            reading.prepare(table.objects())
    except Unread as error:
        return Parsed(table, None, (), ((error.line, error.what, error.fix),))
    rows, problems = _rows(table, reading, empty_target)
    once, copies = distinct(rows)
    return Parsed(table, reading, once, problems, rows, copies)
