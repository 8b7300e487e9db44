"""front, recommend: commands that need only points, no model and no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.commands.front_files import external_documents, points_table
from engine.commands.gaps import front_gaps
from engine.commands.session import Session
from engine.errors import bad
from engine.front.bounds import bounds_of
from engine.front.cone import Trade
from engine.front.criteria import NONE, Criteria, criteria
from engine.front.csv_file import read_csv
from engine.front.noise import Places, errors
from engine.front.pareto import as_maximize
from engine.front.preference import Range, frozen_ranges
from engine.front.sure import Sure, sureness
from engine.front.table import (
    Table,
    front_report,
    point_document,
    recommend_report,
    table_of,
)
from engine.scoring.intervals import with_intervals
from studio.decide.results import kind_of, loader
from studio.points.file import format_of, write


@contextlib.contextmanager
def _opened(
    args: SimpleNamespace,
) -> Iterator[tuple[Table, Mapping[str, Range] | None, Criteria, Session | None]]:
    """The points asked for, the frozen ranges where they are a study's, what is asked of a
    point beside weights and bounds: by the study and by the options; and the study's session."""
    if args.csv is not None:
        if args.study is not None:
            raise bad("front", "both a study and --csv were given", "Give exactly one.")
        table = read_csv(args.csv, args.directions or (), args.objectives)
        yield table, None, _criteria(args, table.names), None
        return
    if args.study is None:
        raise bad("front", "neither a study nor --csv was given", "Give exactly one.")
    if args.directions:
        what = "the objectives of a study have directions of their own"
        raise bad("--directions", what, "Leave it out: it belongs to --csv.")
    with Session(args) as session:
        session.tell_earlier()
        table, ranges = _measured(session)
        asked = _criteria(args, table.names)
        yield table, ranges, (session.study.criteria or NONE).joined(asked), session


def _criteria(args: SimpleNamespace, names: Sequence[str]) -> Criteria:
    """What --constraint, --cone and --utility say."""
    return criteria(names, args.constraint, args.cone, args.utility)


def _measured(session: Session) -> tuple[Table, dict[str, Range] | None]:
    """A study's points as columns, and its frozen ranges once all its models are scored."""
    directions = {each.name: str(each.direction) for each in session.objectives}
    known = session.known
    if known is None:
        return table_of([], directions), None
    found = session.store.means(known.family, known.objectives, "explore", known.numerics)

    def document(row: int) -> dict[str, Any]:
        (point,) = session.points([ids[row]])
        found = point_document(point)
        return {**found, "scores": with_intervals(found["scores"], session.scorers)}

    ids = found.ids.tolist()
    failed = np.zeros(len(ids), dtype=bool)
    if found.errors:
        failed = np.fromiter(map(found.errors.__contains__, ids), bool, len(ids))
    maximize = as_maximize(tuple(directions.values()))
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


def front(args: SimpleNamespace) -> dict[str, Any]:
    """The non-dominated points."""
    if args.out is not None:
        args.out = args.out.expanduser().absolute()
        format_of(args.out)
    bounds = bounds_of(args.at_least, args.at_most)
    with _opened(args) as (table, ranges, asked, session):
        document = front_report(table, args.objectives, args.reference, ranges, asked, bounds)
        front_gaps(session, args.gap, document)
        if session is not None:
            document["external"] = external_documents(session, table, document)
        if args.out is not None:
            write(points_table(session, table, document), args.out)
            document["out"] = str(args.out)
        return document


def _weights(given: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The weights by objective; raises `BadInput` for one that is given twice."""
    found: dict[str, float] = {}
    for name, weight in given:
        if name in found:
            what = f"{name} has two weights, {found[name]:g} and {weight:g}"
            raise bad("--weight", what, "Give each objective one.")
        found[name] = weight
    return found


def recommend(args: SimpleNamespace) -> dict[str, Any]:
    """The front point that serves a preference best."""
    weights = _weights(args.weight)
    if weights and args.utility is not None:
        raise bad("recommend", "both --weight and --utility were given", "Give one of them.")
    bounds = bounds_of(args.at_least, args.at_most)
    if not args.optimise and (args.method or args.steps):
        name = "--method" if args.method else "--steps"
        raise bad(name, "it says how to optimise", "Add --optimise, or leave it out.")
    with _opened(args) as (table, ranges, asked, session):
        if weights:
            asked = asked.without_utility()
        elif asked.utility is None:
            raise bad("recommend", "neither --weight nor --utility was given", "Give one.")
        if not args.optimise:
            return recommend_report(
                table, weights, bounds, args.objectives, ranges, asked, args.cautious
            )
        if session is None:
            raise bad("--optimise", "a CSV file has no models to try", "Give a study.")
        from engine.commands.improving import improved

        return improved(args, session, lambda: _measured(session), weights, bounds, asked)
