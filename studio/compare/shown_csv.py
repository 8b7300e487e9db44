"""The examples that are shown, as CSV: prompt, target, and each column's answer and score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.recipe import Recipe
from studio.compare.slices import Examples, target_text
from studio.csv_text import of_rows
from studio.points.recipes import recipe_text


def shown_csv(
    examples: Examples,
    shown: Sequence[int],
    recipes: Sequence[Recipe],
    references: Sequence[str] = (),
) -> bytes:
    """One line per example; a missing score is an empty cell.

    Args:
        recipes: of the columns, which the header names in full.
        references: names of the columns behind them.
    """
    said = [*map(recipe_text, recipes), *("reference" for _ in references)]
    names = [f"{examples.heading(n)}: {each}" for n, each in enumerate(said)]
    heads = [part for name in names for part in (f"{name}, answer", f"{name}, score")]
    rows = []
    for row in shown:
        cells: list[object] = []
        for column in range(len(said)):
            texts, value = examples.texts[column], float(examples.values[column, row])
            cells += [texts[row] if texts is not None else "", value if np.isfinite(value) else ""]
        example = examples.rows[row]
        rows.append([example.line, examples.prompt(row), target_text(example), *cells])
    return of_rows(["line", "prompt", "target", *heads], rows)
