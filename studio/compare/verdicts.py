"""What is known about the examples asked, shown beside the answers: the target of each prompt, and
the scorer's verdict on each column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.jobs.executor import Status
from engine.recipe import Recipe
from studio.compare.comparing import Asked
from studio.compare.slices import Examples, target_text

FOLD_LINES, FOLD_LETTERS = 8, 600
"""A prompt that is longer is shown folded."""


def long(prompt: str) -> bool:
    """Whether a prompt is folded at first."""
    return len(prompt) > FOLD_LETTERS or prompt.count("\n") >= FOLD_LINES


def with_verdicts(
    drawn: Mapping[str, Any],
    tray: Sequence[Recipe],
    asked: Asked,
    status: Status,
    examples: Examples | None,
) -> dict[str, Any]:
    """The grid (`comparing.grid`) with "target", "fold" in each row and "verdict" in each cell.

    A prompt that is no example of the objective has neither target nor verdicts. Verdicts wait
    until all is written.

    Args:
        examples: of the objective, under the tray's columns.
    """
    rows = []
    for place, (prompt, row) in enumerate(zip(asked.prompts, drawn["rows"], strict=True)):
        example = examples.row_of.get(json.dumps(prompt)) if examples is not None else None
        target = target_text(examples.rows[example]) if examples and example is not None else ""
        cells = []
        for column, (recipe, cell) in enumerate(zip(tray, row["cells"], strict=True)):
            verdict = ""
            at = asked.column(recipe)
            if examples is not None and example is not None and at is not None and status.over:
                answer = status.texts.get(at * len(asked.prompts) + place)
                if answer is not None:
                    verdict = examples.scored(column, example, answer)
            cells.append({**cell, "verdict": verdict})
        rows.append({**row, "target": target, "fold": long(row["prompt"]), "cells": cells})
    return {**drawn, "rows": rows}
