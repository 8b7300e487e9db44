"""Points that a race stopped before all of their rows were scored.

They are rows of the journal and no points: in no table, on no front, and no pick. What names one by
its id is told what to do. Measured in full it is a point as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cache.rows import score_id
from engine.errors import bad
from engine.recipe import Recipe
from studio.workbench import Workbench

STOPPED = "stopped"
"""Of the journal's rows."""


def name_of(point: str, prints: Mapping[str, str], numerics: str) -> str:
    """Id of the row that says that a point was stopped.

    Args:
        prints: objectives it was raced over, name -> fingerprint.
    """
    return score_id(point, " ".join(sorted(prints.values())), STOPPED, numerics)


def stopped(bench: Workbench, prints: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Points that a race stopped and that are not measured in full since, as the journal has them.

    Args:
        prints: objectives that they were raced over, name -> fingerprint; of any of the study's
            where None.
    """
    known = bench.known
    if known is None:
        return []
    rows = [
        row for row in bench.store.records(STOPPED, known.family)
        if row["numerics"] == known.numerics
        and (
            row["fingerprints"] == dict(prints)
            if prints is not None
            else row["fingerprints"].items() <= known.objectives.items()
        )
    ]  # fmt: skip
    ids = {row["point"] for row in rows}
    if not ids:
        return []
    points = bench.store.points(known.family, known.objectives, "explore", known.numerics, ids)
    scored = {point.id: set(point.scores) for point in points}
    return [row for row in rows if not set(row["fingerprints"]) <= scored.get(row["point"], set())]


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stopped point as the commands print it."""
    return {
        "id": row["point"],
        **{name: row[name] for name in ("recipe", "scores", "probability", "threshold")},
        "n": {name: each["n"] for name, each in row["scores"].items()},
    }


def refuse_stopped(bench: Workbench, recipe: Recipe, what: str) -> None:
    """Raise `BadInput` for a recipe that a race stopped.

    Args:
        what: that is refused, as "exported".
    """
    if bench.known is None:
        return
    point = bench.point_id(recipe)
    for row in stopped(bench):
        if row["point"] == point:
            raise bad(
                point,
                f"only some of its rows were scored ({rows_text(row)}), so it is not {what}",
                "Score it to the end first: evaluate STUDY --point ID.",
            )


def rows_text(row: Mapping[str, Any]) -> str:
    """What a stopped point was scored on, in words."""
    said = (f"{name} {each['n']} of {each['of']}" for name, each in row["scores"].items())
    return ", ".join(said) + " rows, stopped"
