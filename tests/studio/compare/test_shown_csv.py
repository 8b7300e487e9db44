"""What is shown, as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from engine.recipe import Names, Recipe, resolve
from engine.scoring.data import Row
from studio.compare.shown_csv import shown_csv
from studio.compare.slices import target_text
from tests.studio.compare.test_slices import NAN, examples

NAMES = Names(("helpful", "terse"))
RECIPES = [
    resolve(Recipe("single", {}, {"model": "helpful"}), NAMES),
    resolve(Recipe("pcb", {"helpful": 1.0}), NAMES),
]


def test_prompt_target_answers_and_scores_of_the_rows_shown() -> None:
    found = examples([1, 0, 1], [0.25, NAN, 1], proportion=False)
    rows = (
        Row(0, 4, "k", prompt='two\nlines, and "quotes"', targets=("yes", "ja")),
        Row(1, 7, "k", prompt="b", choices=("x", "y"), answer=1),
        Row(2, 9, "k", prompt="c"),
    )
    found = replace(found, rows=rows, names=("helpful", "B"), texts=(("p", "q", "r"), None))
    text = shown_csv(found, [0, 1], RECIPES).decode()
    head, first, second = csv.reader(io.StringIO(text, newline=""))
    assert head[:3] == ["line", "prompt", "target"]
    assert head[3:5] == ["A helpful: helpful, answer", "A helpful: helpful, score"]
    assert head[5].startswith("B: pcb(helpful 1") and head[5].endswith("), answer")
    assert first == ["4", 'two\nlines, and "quotes"', "yes\nja", "p", "1.0", "", "0.25"]
    assert second == ["7", "b", "y", "q", "0.0", "", ""]


def test_answers_that_would_run_as_formulas_are_texts() -> None:
    found = examples([1, 0, 1], [1, 1, 1])
    rows = tuple(Row(n, n + 1, "k", prompt="@p", targets=("+t",)) for n in range(3))
    texts = (("=1+1", "-2", "fine"), None)
    text = shown_csv(replace(found, rows=rows, texts=texts), [0, 1], RECIPES).decode()
    _, first, second = csv.reader(io.StringIO(text, newline=""))
    assert first[:5] == ["1", "'@p", "'+t", "'=1+1", "1.0"]
    assert second[3] == "-2"


def test_a_target_is_what_is_right() -> None:
    assert target_text(Row(0, 1, "k", prompt="p", targets=("a", "b"))) == "a\nb"
    assert target_text(Row(0, 1, "k", prompt="p", choices=("a", "b"), answer=0)) == "a"
    assert target_text(Row(0, 1, "k", prompt="p")) == ""
