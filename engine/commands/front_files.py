"""What the command `front` gives beside the front: external points, and the points as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cache.arrow import numbers, pa
from engine.commands.session import Session
from engine.front.table import Table
from studio.external.points import dominating
from studio.points.file import of_measured, of_values
from studio.points.table import in_order
from studio.points.view import axes_of
from studio.references import beside


def external_documents(
    session: Session, table: Table, document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The study's references and external points: not on the front, but each says how many of it
    dominate it."""
    names = document["objectives"]
    front = table.select(names).values[np.isin(table.ids, document["front"])]
    found = beside(session)
    by_name = {each.name: str(each.direction) for each in session.objectives}
    beaten = dominating(found, front, names, [by_name[name] for name in names])
    return [
        {**each.document(), "dominated_by": count}
        for each, count in zip(found, beaten, strict=True)
    ]


def points_table(session: Session | None, table: Table, document: Mapping[str, Any]) -> pa.Table:
    """The points as a table for a file, those of the front first."""
    names, front = document["objectives"], document["front"]
    if session is None:
        return of_values(table.ids, names, table.select(names).values, front)
    measured = session.measured()
    on = np.isin(measured.ids, front)
    axes = [axis for axis in axes_of(session.objectives) if axis.name in names]
    rows = in_order(on, np.ones(len(measured), dtype=bool), None)
    found = of_measured(measured, axes, on, rows, session.remarks.all())
    likely = document.get("probability") or {}
    shares = [likely.get(measured.ids[row]) for row in rows.tolist()]
    known = np.array([np.nan if each is None else each for each in shares], dtype=np.float64)
    return found.append_column("front probability", numbers(known, np.isfinite(known)))
