"""recommend --optimise: from the recommended point to a better one that nobody measured yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from engine.commands.session import Session
from engine.errors import bad
from engine.front.bounds import Bounds
from engine.front.criteria import Criteria
from engine.front.preference import Range
from engine.front.table import Table, recommend_report
from engine.recipe import find_method
from studio.decide.front import front_over
from studio.decide.improving import STEPS, payload, sentences
from studio.points.view import axes_of

Again = Callable[[], tuple[Table, Mapping[str, Range] | None]]
"""The points as they are now, and their frozen ranges."""


def improved(
    args: SimpleNamespace,
    session: Session,
    again: Again,
    weights: Mapping[str, float],
    bounds: Bounds,
    asked: Criteria,
) -> dict[str, Any]:
    """The recommendation once a run has begun at the best point with coefficients; "optimised" says
    where that began and ended.

    Raises:
        BadInput: no method has that name, or none of its points coefficients to move.
    """
    if args.method is not None:
        find_method(args.method)
    session.open()
    table, ranges = again()
    measured = session.measured()
    rows = [
        row
        for row, point in enumerate(table.ids)
        if (recipe := measured.recipes[measured.row_of[point]]).coefficients
        and args.method in (None, recipe.method)
    ]
    if not rows:
        method = args.method or "a method with sliders"
        raise bad("--optimise", f"no point of {method} is measured", "Sweep it first.")
    some = replace(
        table, ids=[table.ids[row] for row in rows], values=table.values[rows],
        failed=table.failed[rows], document=lambda row: table.document(rows[row]), sure=None,
        error=None if table.error is None else table.error[rows],
    )  # fmt: skip
    how = weights, bounds, args.objectives, ranges, asked, args.cautious
    start = recommend_report(some, *how)["point"]
    axes = [axis for axis in axes_of(session.objectives) if axis.name in session.chosen()]
    known = ranges or front_over(measured, axes).ranges
    given = payload(
        session, measured, session.recipe_of(start["id"]), axes, known,
        weights=dict(weights) or None, bounds=bounds, criteria=asked, steps=args.steps or STEPS,
    )  # fmt: skip
    found = session.run("improve", given)
    table, ranges = again()
    document = recommend_report(table, *how[:3], ranges, *how[4:])
    places = [row for row, point in enumerate(table.ids) if point == found["point"]]
    reached = dict(table.document(places[0])) if places else None
    kept = {key: value for key, value in found.items() if key not in ("recipe", "errors")}
    return {**document, "optimised": {"from": start, "reached": reached, **kept}}


def said(found: Mapping[str, Any], point: Callable[[Mapping[str, Any]], str]) -> list[str]:
    """Lines: where a run began and ended, and what holds there.

    Args:
        point: a point in a line.
    """
    reached = found["reached"]
    ended = point(reached) if reached is not None else "a point that could not be scored"
    return [f"from {point(found['from'])}", f"to {ended}", *sentences(found)]
