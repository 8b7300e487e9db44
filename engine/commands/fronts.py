"""front, recommend: what needs points alone, no model and no torch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from engine.commands.session import Session
from engine.errors import bad
from engine.front.preference import Bound
from engine.front.table import (
    Table,
    front_report,
    frozen_ranges,
    read_csv,
    recommend_report,
    table_of,
)
from engine.scoring.intervals import with_intervals


def _table(args: Namespace) -> tuple[Table, Mapping[str, Any] | None, Mapping[str, str]]:
    """The points asked for, and the frozen ranges and scorers where they are a study's."""
    if args.csv is not None:
        if args.study is not None:
            raise bad("front", "both a study and --csv are given", "Give one of them.")
        return read_csv(args.csv, args.directions or ()), None, {}
    if args.study is None:
        raise bad("front", "neither a study nor --csv is given", "Give one of them.")
    with Session(args) as session:
        numerics = session.numerics_there()
        session.tell_earlier(numerics)
        points = session.points(numerics)
        directions = {each.name: str(each.direction) for each in session.objectives}
        table = table_of(points, directions).select(args.objectives)
        singles = [each for each in points if each.recipe["method"] == "single"]
        complete = len(singles) == len(session.study.family.names.models)
        ranges = None
        if complete:
            ranges = frozen_ranges(table_of(singles, directions).select(args.objectives))
        return table, ranges, session.scorers


def front(args: Namespace) -> dict[str, Any]:
    """The non-dominated points."""
    table, ranges, _ = _table(args)
    return front_report(table, args.objectives, args.reference, ranges)


def recommend(args: Namespace) -> dict[str, Any]:
    """The front point that serves a preference best."""
    table, ranges, scorers = _table(args)
    bounds = [Bound(name, "at_least", value) for name, value in args.at_least]
    bounds += [Bound(name, "at_most", value) for name, value in args.at_most]
    document = recommend_report(table, dict(args.weight), bounds, args.objectives, ranges)
    point = document["point"]
    return {
        **document,
        "point": {**point, "scores": with_intervals(point["scores"], scorers)},
    }
