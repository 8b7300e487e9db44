"""rows: what became of each objective's rows under a point, against the models it is made of."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session
from engine.recipe import Recipe
from engine.scoring.data import read_rows
from engine.study import Objective
from studio.compare.outcomes import Outcomes, outcomes, parents_of


def rows(args: SimpleNamespace) -> dict[str, Any]:
    """Rows kept, lost and won by recipes or points that are measured; nothing is run."""
    with Session(args) as session:
        chosen = [each for each in session.objectives if each.name in session.chosen()]
        return {"points": [_document(session, each, chosen) for each in session.recipes()]}


def _document(session: Session, recipe: Recipe, objectives: list[Objective]) -> dict[str, Any]:
    found = outcomes(session, recipe, objectives)
    return {
        "id": session.point_id(recipe) if session.known is not None else None,
        "recipe": recipe.as_dict(),
        "parents": list(parents_of(recipe, session.names)),
        "objectives": {each.name: _told(each, found[each.name]) for each in objectives},
    }


def _told(objective: Objective, found: Outcomes | str) -> dict[str, Any]:
    """The counts, and the lines of the data; or why there are none."""
    if isinstance(found, str):
        return {"n": None, "net": None, "stderr": None, "reason": found}
    data = read_rows(objective, "explore")
    return {
        "n": found.n,
        **found.counts,
        "net": found.net,
        "stderr": None if math.isnan(found.stderr) else found.stderr,
        "reason": None,
        "lines": {
            kind: [data[place].line for place in places.tolist()]
            for kind, places in found.rows.items()
        },
    }
