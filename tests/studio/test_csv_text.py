"""CSV files that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cache.arrow import numbers, texts
from studio.csv_text import guarded, of_rows, of_table

RISKY = (
    "=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x00=", " =1",
    "\u00a0=1", "\u3000@x", "\uff1d1", "\ufeff=1", "-", "=", "--1", "+1 -2", "-5\n",
    "\x1b[31m", '="a"\nb', "-1e5x", "+.",
)  # fmt: skip
SAFE = (
    "", "a=1", "helpful", "-5", "+3", "-1.5", "-.5", "+1e-5", "-1.", "'=1", "1-2", "a\n=1", "é",
    " a",
)  # fmt: skip


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize(("text", "risky"), [(e, True) for e in RISKY] + [(e, False) for e in SAFE])
def test_a_text_that_would_run_begins_with_an_apostrophe(text: str, risky: bool) -> None:
    assert guarded(text) == ("'" + text if risky else text)


@pytest.mark.parametrize("kind", ["plain", "few"])
def test_columns_are_guarded_as_texts_are(kind: str) -> None:
    said = (*RISKY, *SAFE)
    column: Any = texts(said)
    if kind == "few":
        column = pa.DictionaryArray.from_arrays(
            numbers(np.arange(len(said), dtype=np.int32)), column
        )
    table = pa.Table.from_arrays([column, numbers(np.full(len(said), -0.1))], ["=name", "loss"])
    head, *rows = read(of_table(table))
    assert head == ["'=name", "loss"]
    assert [row[0] for row in rows] == [guarded(each) for each in said]
    assert {row[1] for row in rows} == {"-0.1"}


def test_rows_keep_numbers_as_numbers() -> None:
    head, first = read(of_rows(["@a", "b", "c"], [["=x", -1.5, "two\nlines"]]))
    assert head == ["'@a", "b", "c"] and first == ["'=x", "-1.5", "two\nlines"]


def test_what_is_not_there_is_an_empty_cell() -> None:
    table = pa.table({"a": pa.array(["=x", None]), "b": pa.array([None, -1.0])})
    assert read(of_table(table))[1:] == [["'=x", ""], ["", "-1"]]
