"""predict: what the surfaces of a study's points say of recipes; nothing is measured, no model
loaded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session
from engine.errors import bad
from engine.recipe import Recipe
from studio.points import predicting
from studio.points.view import Measured


def predict(args: SimpleNamespace) -> dict[str, Any]:
    """Value, band, leave-one-out calibration and extrapolation of each recipe's objectives."""
    with Session(args) as session:
        if session.known is None:
            raise bad("STUDY", "nothing of it has been measured yet", "Sweep a method first.")
        measured, chosen = session.measured(), session.chosen()
        return {"points": [_point(session, measured, each, chosen) for each in session.recipes()]}


def _point(
    session: Session, measured: Measured, recipe: Recipe, chosen: list[str]
) -> dict[str, Any]:
    objectives = [each for each in session.objectives if each.name in chosen]
    asked = (measured, objectives, recipe, session.names)
    if not recipe.coefficients:
        raise bad(str(recipe), "it has no coefficients, so there is no surface", "Evaluate it.")
    trust, few = predicting.trust(*asked), predicting.too_few(*asked)
    return {
        "id": session.point_id(recipe),
        "recipe": recipe.as_dict(),
        "measured": session.point_id(recipe) in measured.row_of,
        "predicted": {
            name: {
                "mean": mean, "low": low, "high": high,
                "calibration": trust[name][0], "outside": trust[name][1],
            }
            for name, (mean, low, high) in predicting.predict(*asked).items()
        },
        "few": None if few is None else {"have": few[0], "need": few[1]},
    }  # fmt: skip
