"""--gap of evaluate and front: how much of the gap between two models points close."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from engine.commands.session import Session
from engine.errors import bad
from engine.recipe import Recipe
from studio.compare.gaps import ends_of, gaps

Ends = tuple[str, str]


def gap_ends(session: Session, names: Sequence[str] | None) -> Ends | None:
    """The two models of --gap; None where it is not given."""
    return None if names is None else ends_of(session, names)


def gap_document(
    session: Session,
    recipe: Recipe,
    ends: Ends | None,
    objectives: Collection[str],
    split: str = "explore",
) -> dict[str, Any] | None:
    """{"from", "to", "objectives": {name: {"value", "stderr", "n", "reason"}}} of one recipe."""
    if ends is None:
        return None
    chosen = [each for each in session.objectives if each.name in objectives]
    found = gaps(session, recipe, chosen, ends, split)
    documents = {name: each.document() for name, each in found.items()}
    return {"from": ends[0], "to": ends[1], "objectives": documents}


def front_gaps(
    session: Session | None, names: Sequence[str] | None, document: dict[str, Any]
) -> None:
    """Add "gap" to the document of a front: id of each of its points -> `gap_document`."""
    if names is None:
        return
    if session is None:
        what = "the points of a file have no rows to compare"
        raise bad("--gap", what, "Give a study instead of --csv.")
    ends = ends_of(session, names)
    document["gap"] = {
        point: gap_document(session, session.recipe_of(point), ends, document["objectives"])
        for point in document["front"]
    }
