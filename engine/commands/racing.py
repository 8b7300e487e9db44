"""sweep --race: points without a chance are stopped before all of their rows are scored."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from engine.commands.session import Session, cancelling
from engine.recipe import Recipe
from engine.worker.messages import Event
from studio.sweeps.racing import Race
from studio.sweeps.stopped import document

Left = tuple[list[Recipe], dict[str, int], dict[str, Any] | None]


def raced(
    session: Session, recipes: list[Recipe], objectives: Sequence[str], threshold: float | None
) -> Generator[dict[str, Any], None, Left]:
    """The documents of the points that are stopped, those of before first.

    Args:
        threshold: chance of being on the front; None stops nothing.

    Returns:
        the recipes that are left, to be scored on all rows; what the last line says more; and the
        job that scores them, None where points were not raced.
    """
    if threshold is None:
        return recipes, {}, None
    race = Race(session, recipes, objectives, threshold)
    yield from map(document, race.stopped)
    for block in race.blocks:
        payload = race.payload(block)
        if payload["recipes"]:
            session.run("sweep", payload)
            yield from map(document, race.judge(block))
    return list(race.running.values()), {"stopped": len(race.stopped)}, race.payload(None)


def scored(session: Session, payload: Mapping[str, Any]) -> Generator[Event]:
    """The events of the job that scores what is left on all rows. Closing it, or an interrupt,
    cancels it."""
    handle = session.submit("sweep", "sweep", payload, "command").handle
    with cancelling(handle):
        yield from handle.events()
        handle.result()
