"""Which objectives can be combined: what is wrong with those that a combination names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import Problem
from engine.study import Objective

if TYPE_CHECKING:
    from engine.scoring.registry import Scorer


def member_problems(
    members: Sequence[tuple[Objective, Scorer]], direction: str, where: str
) -> list[Problem]:
    """Why checked objectives, with their scorers, are not to be combined in this direction."""
    problems = []
    units = {scorer.unit for _, scorer in members}
    if len(units) > 1:
        what = f"its members are in several units: {', '.join(sorted(units))}"
        problems.append(Problem(f"{where}: of", what, "Combine objectives of one unit."))
    for each, scorer in members:
        if each.direction != direction:
            what = f"{each.name} is to {each.direction}, the combination to {direction}"
            problems.append(Problem(f"{where}: of", what, "Give all of them one direction."))
        unmeant = scorer.mean not in ("proportion", "mean")
        if unmeant or scorer.kind in ("votes", "size", "none"):
            what = f"{each.name} ({scorer.name}) is no mean of its rows"
            problems.append(Problem(f"{where}: of", what, "Leave it out."))
    taken: dict[object, Objective] = {}
    for each, _ in members:  # rows shared in part: the errors would be neither paired nor apart
        other = taken.setdefault((each.data, each.reading), each)
        if _part(each) != _part(other):
            what = f"{other.name} and {each.name} are measured on different parts of the same data"
            fix = "Give both the same limit, report_fraction and report_data."
            problems.append(Problem(f"{where}: of", what, fix))
    return problems


def _part(each: Objective) -> tuple[object, ...]:
    return each.limit, each.report_fraction, each.report_data
