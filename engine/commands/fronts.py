"""front, recommend: commands that need only points, no model and no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from engine.errors import bad
from engine.front.bounds import bounds_of
from engine.front.criteria import NONE, Criteria, criteria
from engine.front.csv_file import read_csv
from engine.front.preference import Range
from engine.front.table import (
    Table,
    front_report,
    recommend_report,
)

if TYPE_CHECKING:
    from engine.commands.session import Session


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
    from engine.commands.front_study import measured_table  # a file's points need no database
    from engine.commands.session import Session

    with Session(args) as session:
        session.tell_earlier()
        table, ranges = measured_table(session)
        asked = _criteria(args, table.names)
        yield table, ranges, (session.study.criteria or NONE).joined(asked), session


def _criteria(args: SimpleNamespace, names: Sequence[str]) -> Criteria:
    """What --constraint, --cone and --utility say."""
    return criteria(names, args.constraint, args.cone, args.utility)


def front(args: SimpleNamespace) -> dict[str, Any]:
    """The non-dominated points."""
    if args.out is not None:
        from studio.points.file import format_of

        args.out = args.out.expanduser().absolute()
        format_of(args.out)
    bounds = bounds_of(args.at_least, args.at_most)
    with _opened(args) as (table, ranges, asked, session):
        document = front_report(table, args.objectives, args.reference, ranges, asked, bounds)
        if session is None and args.out is None and args.gap is None:
            return document
        from engine.commands.front_files import external_documents, points_table
        from engine.commands.gaps import front_gaps
        from studio.sweeps.stopped import document as stopped_document
        from studio.sweeps.stopped import stopped

        front_gaps(session, args.gap, document)
        if session is not None:
            document["external"] = external_documents(session, table, document)
            document["partial"] = [*map(stopped_document, stopped(session))]
        if args.out is not None:
            from studio.points.file import write

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
        from engine.commands.front_study import measured_table
        from engine.commands.improving import improved

        return improved(args, session, lambda: measured_table(session), weights, bounds, asked)
