"""The logic of the Export page: points to offer, possible destinations, what will be written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.counted import counted, size_text
from engine.errors import BadInput, Problem
from engine.export.card import CardScore
from engine.export.directory import check_output, free_bytes
from engine.export.plan import Plan, plan_export
from engine.recipe import Recipe
from studio.points.numbers import ONE, number
from studio.points.view import Axis, Measured
from studio.sweeps.stopped import refuse_stopped
from studio.workbench import Workbench

FRONT_SHOWN = 100
"""Members of the front in the list of points; the others are found by their ids."""

SHORTEST = 4
"""Letters of an id that are enough to look for it."""


def choices(
    measured: Measured, over: Sequence[Axis], tray: Iterable[Recipe], asked: str | None
) -> list[str]:
    """Ids to choose from, each once: the one asked for, the front, the unmerged models, the
    tray. The front is cut at `FRONT_SHOWN`."""
    front = np.flatnonzero(measured.front_of(over))[:FRONT_SHOWN]
    rows = [measured.row_of[asked]] if asked in measured.row_of else []
    rows += [*front.tolist(), *np.flatnonzero(measured.singles).tolist()]
    for recipe in tray:
        found = measured.nearest(recipe)
        if found is not None and found.exact:
            rows.append(found.row)
    return [measured.ids[row] for row in dict.fromkeys(rows)]


def look_up(measured: Measured, text: str) -> tuple[str | None, str]:
    """(the point that an id or its beginning names, or None; why there is none)."""
    text = text.strip().lower()
    if text in measured.row_of:
        return text, ""
    if len(text) < SHORTEST:
        return None, f"Enter at least {SHORTEST} characters of the id."
    found = [each for each in measured.ids if each.startswith(text)]
    if len(found) == 1:
        return found[0], ""
    if not found:
        return None, f"This study has no point {text}."
    return None, f"{counted(len(found), 'point')} begin with {text}: enter more of the id."


def score_table(
    measured: Measured, point: str, axes: Sequence[Axis], reported: Iterable[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """One row an objective: its score on the rows explored and on those held back.

    Args:
        reported: as `Workbench.reported` gives them.
    """
    row = measured.row_of[point]
    held = {each["objective"]: each["score"] for each in reported}
    rows = []
    for axis in axes:
        score = held.get(axis.name)
        text = "not measured yet"
        if score is not None:
            keys = ("mean", "stderr", "low", "high")
            text = number(*(np.nan if score[key] is None else score[key] for key in keys))
            text = str(score.get("error") or text) + (ONE if score.get("note") else "")
        rows.append(
            {
                "objective": axis.label,
                "explored": measured.score_text(row, axis.name),
                "held back": text,
            }
        )
    return rows


def foretell(bench: Workbench, recipe: Recipe, adapter: bool) -> Plan:
    """What an export of a resolved recipe will write.

    Raises:
        BadInput: it cannot be exported, or a race stopped it before all of its rows were scored.
    """
    refuse_stopped(bench, recipe, "exported")
    shown = [
        CardScore(each.name, each.scorer, str(each.direction), "report", _PLACEHOLDER)
        for each in bench.objectives
    ]
    return plan_export(bench.family, recipe, adapter=adapter, study=bench.study.name, scores=shown)


_PLACEHOLDER = {"mean": 0.1234, "stderr": 0.0123, "n": 100, "low": 0.1234, "high": 0.1234}


def default_place(workspace: Path, study: str, point: str) -> Path:
    """A directory of its own for each export, in the workspace."""
    first = workspace / "exports" / f"{study}-{point}"
    place, count = first, 1
    while place.exists():
        count += 1
        place = first.with_name(f"{first.name}-{count}")
    return place


def refusal(out: Path, needed: int = 0) -> Problem | None:
    """Why nothing can be written there, seen before the engine starts; None if it can."""
    if not out.is_absolute():
        return Problem(str(out), "not an absolute path", "Start it with / or ~.")
    try:
        check_output(out, needed)
    except BadInput as error:
        return error.problems[0]
    return None


def room(out: Path, plan: Plan) -> str:
    """What an export takes and what is free where it goes, in words."""
    text = f"{size_text(plan.bytes)} in {counted(len(plan.files), 'file')}"
    try:
        return f"{text}; {size_text(free_bytes(out))} free on that disk."
    except OSError:  # refused in words of its own
        return f"{text}."


def listing(files: Iterable[tuple[str, int, bool]]) -> str:
    """(name, bytes, whether about) as lines, the sizes in a column."""
    found = [(name, ("about " if about else "") + size_text(size)) for name, size, about in files]
    width = max((len(name) for name, _ in found), default=0)
    right = max((len(size) for _, size in found), default=0)
    return "\n".join(f"{name:<{width}}  {size:>{right}}" for name, size in found)


def planned(plan: Plan) -> str:
    """The files to come as lines."""
    return listing((each.name, each.bytes, each.about) for each in plan.files)
