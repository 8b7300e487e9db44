"""sweep --race: points without a chance are stopped before all of their rows are scored."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from engine.commands.session import Session
from engine.recipe import Recipe
from studio.sweeps.racing import Race
from studio.sweeps.stopped import document


def raced(
    session: Session, recipes: list[Recipe], objectives: Sequence[str], threshold: float | None
) -> Generator[dict[str, Any], None, tuple[list[Recipe], dict[str, int]]]:
    """The documents of the points that are stopped, those of before first.

    Args:
        threshold: chance of being on the front; None stops nothing.

    Returns:
        the recipes that are left, to be scored on all rows; and what the last line says more.
    """
    if threshold is None:
        return recipes, {}
    race = Race(session, recipes, objectives, threshold)
    yield from map(document, race.stopped)
    for block in race.blocks:
        payload = race.payload(block)
        if payload["recipes"]:
            session.run("sweep", payload)
            yield from map(document, race.judge(block))
    return list(race.running.values()), {"stopped": len(race.stopped)}
