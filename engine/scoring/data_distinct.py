"""Rows that a data file holds more than once: the same question with the same answers.

A hundred copies of one row are one example, and not a hundred that agree: the first is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.scoring.data_row import Row, collapsed

Copy = tuple[int, int]
"""Line of a row, line of the row that it repeats."""


def distinct(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Copy, ...]]:
    """The rows, each once and in order, and which others repeat one of them.

    Questions and targets are compared as they place a row: white space does not tell them apart.
    """
    first: dict[tuple[object, ...], Row] = {}
    copies: list[Copy] = []
    for row in rows:
        answers = tuple(map(collapsed, row.targets))
        found = first.setdefault((row.key, answers, row.choices, row.answer), row)
        if found is not row:
            copies.append((row.line, found.line))
    return tuple(first.values()), tuple(copies)


def copies_said(copies: Sequence[Copy]) -> str:
    """How many rows repeat others, in a sentence; empty where none does."""
    if not copies:
        return ""
    line, original = copies[0]
    rows, they = ("row repeats another", "it counts") if len(copies) == 1 else (
        "rows repeat others", "each counts")  # fmt: skip
    return f"{len(copies)} {rows} (line {line} repeats line {original}): {they} once."
