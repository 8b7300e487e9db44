"""Duplicate rows of a data file: the same question with the same answers.

A hundred copies of one row are one example, and not a hundred that agree: the first is kept. Rows
that ask one question in several forms are placed together, so that it is on one side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.scoring.data_row import Row

Copy = tuple[int, int]
"""Line of a row, line of the row that it repeats."""


def distinct(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Copy, ...]]:
    """The rows, each once and in order, and which others repeat one of them.

    A question in another form, or with other whitespace, is another row: a model reads it
    otherwise.
    """
    rows = _together(rows)
    first: dict[tuple[object, ...], Row] = {}
    copies: list[Copy] = []
    for row in rows:
        found = first.setdefault((row.exact, row.targets, row.choices, row.answer), row)
        if found is not row:
            copies.append((row.line, found.line))
    return tuple(first.values()), tuple(copies)


def _together(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows, those of a question that stands there in several forms placed by the question."""
    keys: dict[str, str] = {}
    several = {row.question for row in rows if keys.setdefault(row.question, row.key) != row.key}
    if not several:
        return rows
    return [
        dataclasses.replace(row, key=row.question) if row.question in several else row
        for row in rows
    ]


def copies_said(copies: Sequence[Copy]) -> str:
    """How many rows repeat others, in a sentence; empty if none does."""
    if not copies:
        return ""
    line, original = copies[0]
    rows, they = ("row repeats another", "it counts") if len(copies) == 1 else (
        "rows repeat others", "each counts")  # fmt: skip
    return f"{len(copies)} {rows} (line {line} repeats line {original}): {they} once."
