"""A study's points for `front` and `recommend`, as columns, with how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.commands.session import Session
from engine.front.cone import Trade
from engine.front.noise import Places, errors
from engine.front.pareto import as_maximize
from engine.front.preference import Range, frozen_ranges
from engine.front.sure import Sure, sureness
from engine.front.table import Table, point_document, table_of
from engine.scoring.intervals import with_intervals
from studio.decide.results import kind_of, loader


def measured_table(session: Session) -> tuple[Table, dict[str, Range] | None]:
    """A study's points as columns, and its frozen ranges once all its models are scored."""
    directions = {each.name: str(each.direction) for each in session.objectives}
    known = session.known
    if known is None:
        return table_of([], directions), None
    found = session.store.means(known.family, known.objectives, "explore", known.numerics)

    def document(row: int) -> dict[str, Any]:
        (point,) = session.points([ids[row]])
        found = point_document(point) | ({} if failed[row] else {"error": None})
        return {**found, "scores": with_intervals(found["scores"], session.scorers)}

    ids = found.ids.tolist()
    failed = np.zeros(len(ids), dtype=bool)
    if found.errors:
        failed = np.fromiter(map(found.errors.__contains__, ids), bool, len(ids))
    maximize = as_maximize(tuple(directions.values()))
    # votes come later, by people: a point is no failure for want of them
    counted = [each.scorer != "votes" for each in session.objectives]
    failed &= ~np.isfinite(found.table[0][:, counted]).all(axis=1)
    mean, stderr, n = found.table
    error = errors([kind_of(each) for each in session.objectives], mean, stderr, n)
    names, prints, numerics = tuple(directions), known.objectives, known.numerics

    def sure(rows: Places, over: Sequence[str], every: bool, trades: Sequence[Trade]) -> Sure:
        columns = [names.index(name) for name in over]
        own = [session.objectives[column] for column in columns]
        part = np.ix_(rows, np.array(columns))
        points = [ids[row] for row in rows.tolist()]
        load = loader(session.store, own, prints, numerics, points, mean[part], error[part])
        return sureness(over, maximize[columns], mean[part], error[part], load, every, trades)

    table = Table(names, maximize, ids, mean, failed, document, error, sure)
    models = session.singles
    singles = session.points([session.point_id(each) for each in models])
    alone = table_of(singles, directions).select(session.args.objectives)
    return table, frozen_ranges(alone.names, alone.values, alone.maximize, len(models))
