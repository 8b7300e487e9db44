"""The job "preview": a few examples of an objective that no study holds yet, scored on one model.

Shows what a scorer sees before anything is measured with it. Nothing is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.jobs.models import Models, recipe_of, study_of
from engine.jobs.neighbours import Neighbours
from engine.jobs.preparing import telling
from engine.jobs.served import Emit
from engine.scoring.choices import choice_sums
from engine.scoring.data import Row
from engine.scoring.evaluate import evaluate
from engine.scoring.plan import Task, tasks
from engine.scoring.registry import check_objective
from engine.study import objective_of_document

EXAMPLES = 5


def preview_objective(
    models: Models, payload: Mapping[str, Any], emit: Emit, tick: Tick
) -> Mapping[str, Any]:
    """Score the first examples that the objective's limit would keep, of those to explore.

    Args:
        payload: study: path of its file; objective: a mapping as in a study file, its paths
            relative to that file; recipe: a mapping; examples: how many (5).

    Returns:
        examples: {"line": in the data file, "prompt", "target", "said", "value"} of each; null for
        what there is none of. `said` is the text, or the log p of each choice. mean, stderr, low
        and high: over these examples; error: why they have no mean.

    Raises:
        BadInput: the study, the objective, its data or the recipe cannot be used.
    """
    study = study_of(payload)
    whole = check_objective(objective_of_document(payload.get("objective"), study.path), study.path)
    few = int(payload.get("examples", EXAMPLES))
    objective = dataclasses.replace(whole, limit=min(whole.limit or few, few))
    with models.families.use(study.family, tick) as opened:
        composer = opened.composer
        recipe = recipe_of(payload.get("recipe"), opened, study)
        model = composer.compose(recipe, telling(composer, emit, tick))
        [(_, score, metadata)] = evaluate(
            model, [objective], base=lambda: composer.module("base"), tick=tick,
            others=Neighbours(composer, model, tick),
        )  # fmt: skip
        [task] = tasks(model, [objective], "explore")
        said: Sequence[str | None] = metadata["texts"] or [None] * len(score.values)
        if task.scorer.kind == "choice":
            said = _choices(model, task, tick)
        rows: Sequence[Row | None] = task.rows or [None]
        examples = [
            {
                "line": None if row is None else row.line,
                "prompt": None if row is None else prompt_text(row),
                "target": None if row is None else target_text(row),
                "said": text,
                "value": value,
            }
            for row, text, value in zip(rows, said, score.values, strict=True)
        ]
    summary = {name: getattr(score, name) for name in ("mean", "stderr", "low", "high", "error")}
    return {"examples": examples, **summary}


def prompt_text(row: Row) -> str:
    """The prompt, or the messages, each with its role."""
    if row.messages is None:
        return row.prompt or ""
    return "\n".join(f"{each['role']}: {each['content']}" for each in row.messages)


def target_text(row: Row) -> str | None:
    """The targets, one per line, or the correct choice; None if there is neither."""
    if row.answer is not None:
        return row.choices[row.answer]
    return "\n".join(row.targets) if row.targets else None


def _choices(model: ComposedModel, task: Task, tick: Tick) -> list[str]:
    """Of each example a line for every choice: Σ log p and the choice."""
    found = choice_sums(model, task.pairs, tick=tick)
    return [
        "\n".join(f"{total:.2f}  {choice}" for total, choice in zip(sums, row.choices, strict=True))
        for sums, row in zip(found, task.rows, strict=True)
    ]
