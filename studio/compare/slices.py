"""Examples of an objective, scored under several recipes: where they agree and where they do not.
Pure; no widget.

    store: values of each score row ─┐
    blobs: texts, where kept         ├─► Examples ─┬─ differing, sentences
    data:  rows of the explore split ┘             └─ table    filters.py, wins.py, shown_csv.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from cache.blobs import Blobs
from engine.recipe import Recipe
from engine.scoring.data import Row, read_rows
from engine.scoring.registry import find_scorer
from engine.study import Objective
from studio.compare.comparing import LETTERS, prompt_of, prompt_text, short
from studio.compare.outcomes import Outcomes, outcomes
from studio.points.titles import name_of
from studio.workbench import Workbench

SAME = 0.0005
"""Values closer than this look the same in the table."""


@dataclass(frozen=True)
class Examples:
    """The explore split of an objective under the columns.

    Attributes:
        names: of the columns, as sentences use them.
        values: float64 [columns, rows]; NaN if a column is not measured, or a value is not
            finite.
        measured: whether each column has a score.
        texts: each column's answers, None if none are kept.
        maximize: whether a larger value is better.
        proportion: whether an example is right or wrong: above ½, or not.
        outcomes: column of a mixture -> what became of the rows of the models it is made of.
    """

    rows: tuple[Row, ...]
    names: tuple[str, ...]
    values: np.ndarray
    measured: tuple[bool, ...]
    texts: tuple[tuple[str, ...] | None, ...]
    maximize: bool
    proportion: bool
    outcomes: Mapping[int, Outcomes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> list[int]:
        """The measured ones."""
        return [column for column, there in enumerate(self.measured) if there]

    @cached_property
    def differing(self) -> np.ndarray:
        """bool [rows]: whether two measured columns differ."""
        if len(self.columns) < 2:
            return np.zeros(len(self), dtype=bool)
        kept = self.values[self.columns]
        missing = np.isnan(kept)
        low = np.where(missing, np.inf, kept).min(axis=0)
        high = np.where(missing, -np.inf, kept).max(axis=0)
        return (high - low > SAME) | (missing.any(axis=0) & ~missing.all(axis=0))

    @cached_property
    def right(self) -> np.ndarray:
        """float64 [columns, rows]: 1 where a column is right, 0 where it is wrong, NaN where it has
        no value. Of a proportion only."""
        found = (self.values > 0.5) == self.maximize
        return np.where(np.isnan(self.values), np.nan, found)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Prompt, as a job takes it, in JSON -> the first example that asks it."""
        found: dict[str, int] = {}
        for place, row in enumerate(self.rows):
            found.setdefault(json.dumps(prompt_of(row)), place)
        return found

    def prompt(self, row: int) -> str:
        """What an example asks, as it is shown."""
        return prompt_text(prompt_of(self.rows[row]))

    def scored(self, column: int, row: int, answer: str) -> str:
        """What the scorer made of a column's answer to an example: "right", or "scored right" where
        the answer that was scored is not this one, or was not kept; empty without a score.
        """
        if not self.measured[column]:
            return ""
        word, texts = self.word(float(self.values[column, row])), self.texts[column]
        return word if texts is not None and texts[row] == answer else f"scored {word}"

    def better(self, one: int, other: int) -> np.ndarray:
        """bool [rows]: where one column does better than another; right where the other is wrong,
        for a proportion."""
        sign = 1.0 if self.maximize else -1.0
        return sign * (self.values[one] - self.values[other]) > SAME

    def sentences(self) -> str:
        """On how many examples columns differ: "42 of 300 differ."; who wins is in wins.py."""
        if len(self.columns) < 2:
            return ""
        return f"{int(self.differing.sum())} of {len(self)} differ."

    def word(self, value: float) -> str:
        """A value in the table."""
        if np.isnan(value):
            return "no value"
        if self.proportion:
            return "right" if (value > 0.5) == self.maximize else "wrong"
        return f"{value:.3f}"

    def table(self, shown: Sequence[int]) -> dict[str, list[Any]]:
        """Columns of the table over the rows shown: line, prompt, target, values, kept texts."""
        found: dict[str, list[Any]] = {
            "line": [self.rows[row].line for row in shown],
            "prompt": [self.prompt(row) for row in shown],
            "target": [target_text(self.rows[row]) for row in shown],
        }
        if not any(found["target"]):
            del found["target"]
        for column in self.columns:
            letter = self.heading(column)
            values = self.values[column]
            found[letter] = [
                self.word(float(values[row])) if self.proportion else _number(values[row])
                for row in shown
            ]
        for column in self.columns:
            texts = self.texts[column]
            if texts is not None:
                found[f"{self.heading(column)} answer"] = [texts[row] for row in shown]
        return found

    def heading(self, column: int) -> str:
        name = self.names[column]
        return name if name == LETTERS[column] else f"{LETTERS[column]} {name}"


def target_text(row: Row) -> str:
    """The correct answers, one per line; for choices the correct one. Empty if there is none."""
    if row.choices and row.answer is not None:
        return row.choices[row.answer]
    return "\n".join(row.targets)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def load(
    bench: Workbench, objective: Objective, recipes: Sequence[Recipe], blobs: Blobs
) -> Examples:
    """Examples of an objective under recipes.

    A row of values belongs to the data as it was measured; values of another length than the file
    has now are left out, and count as not measured.

    Raises:
        BadInput: the data file cannot be read any more.
    """
    rows = read_rows(objective, "explore")
    scorer = find_scorer(objective.scorer)
    values = np.full((len(recipes), len(rows)), np.nan)
    measured, texts = [], []
    for column, recipe in enumerate(recipes):
        row = _score_row(bench, objective, recipe)
        there = row is not None and len(row.get("values") or ()) == len(rows)
        measured.append(there)
        texts.append(_texts(row, blobs, len(rows)) if there and row else None)
        if there and row:
            values[column] = [np.nan if each is None else each for each in row["values"]]
    return Examples(
        rows,
        tuple(short(n, each, name_of(bench, each)) for n, each in enumerate(recipes)),
        values,
        tuple(measured),
        tuple(texts),
        objective.direction == "maximize",
        scorer.right_or_wrong,
        {
            column: became
            for column, recipe in enumerate(recipes)
            if measured[column]
            and isinstance(became := outcomes(bench, recipe, [objective])[objective.name], Outcomes)
        },
    )


def with_references(
    found: Examples, columns: Mapping[str, tuple[np.ndarray, tuple[str, ...] | None]]
) -> Examples:
    """The examples with a column for each reference behind the others.

    Args:
        columns: name -> values and kept answers; those of other rows are left out.
    """
    more = {name: each for name, each in columns.items() if len(each[0]) == len(found)}
    if not more:
        return found
    return replace(
        found,
        names=(*found.names, *more),
        values=np.vstack([found.values, *(values for values, _ in more.values())]),
        measured=(*found.measured, *(True for _ in more)),
        texts=(*found.texts, *(texts for _, texts in more.values())),
    )


def _score_row(bench: Workbench, objective: Objective, recipe: Recipe) -> dict[str, Any] | None:
    known = bench.known
    if known is None:
        return None
    found = bench.store.scores(
        known.family,
        objectives={objective.name: known.objectives[objective.name]},
        numerics=known.numerics,
        point=bench.point_id(recipe),
    )
    return found[-1] if found else None


def _texts(row: dict[str, Any], blobs: Blobs, count: int) -> tuple[str, ...] | None:
    """The answers that a score was made of; None if they were not kept."""
    text = blobs.get_text(row["texts"]) if row.get("texts") else None
    found = json.loads(text) if text else None
    return tuple(map(str, found)) if isinstance(found, list) and len(found) == count else None
