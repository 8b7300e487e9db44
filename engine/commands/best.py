"""best: the recipe of a logit-space method that makes a likelihood best, computed, then scored as
any other point."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from engine.commands.points import evaluated
from engine.commands.session import Session
from engine.recipe import recipe_from_dict
from studio.points.filling import say_best


def best(args: SimpleNamespace) -> dict[str, Any]:
    """The point, the steps that were taken to it, and nats per token there before rounding."""
    with Session(args) as session:
        session.open()
        found = session.run("best", {"method": args.method, "objective": args.objective})
        recipe = recipe_from_dict(found["recipe"])
        [point] = evaluated(session, [recipe], "explore", session.chosen())["points"]
        say_best(session, {args.objective: point["id"]})
        return {"point": point, "steps": found["steps"], "value": found["value"]}
