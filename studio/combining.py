"""Combinations as scores: a row for each point whose members all have one.

    scores of the members ──► engine.scoring.combining ──► score rows, as any other objective's

So chart, front, table, files and commands know them, and nothing is measured for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.rows import score_id
from engine.scoring.combining import Member, combined, rule_of
from engine.scoring.registry import find_scorer
from engine.scoring.scores import Score, unmeasured
from engine.study import Objective, Split
from studio.decide.results import rows_of

if TYPE_CHECKING:
    from studio.workbench import Opened, Workbench

SPLITS: tuple[Split, ...] = ("explore", "report")


def refresh(bench: Workbench) -> None:
    """Read what other processes wrote, and combine what came."""
    bench.store.refresh()
    save_combinations(bench)


def save_combinations(bench: Workbench) -> int:
    """Save the combinations that points lack and have the scores for; how many those were."""
    wanted = [each for each in bench.objectives if each.members]
    known = bench.known if wanted else None
    if known is None or vars(bench).get("_combined") == (bench.store.version, known):
        return 0
    before = bench.store.version
    rows = [row for each in wanted for split in SPLITS for row in _rows(bench, known, each, split)]
    if rows:
        bench.store.append(rows)
    vars(bench)["_combined"] = before if rows else bench.store.version, known
    return len(rows)


def _rows(
    bench: Workbench, known: Opened, objective: Objective, split: Split
) -> Iterator[dict[str, Any]]:
    prints = {name: known.objectives[name] for name in bench.objective_names}
    found = bench.store.columns(known.family, prints, split, known.numerics)
    places = [found.names.index(each.name) for each in objective.members]
    own = found.names.index(objective.name)
    lacking = np.flatnonzero(found.scored[:, places].all(axis=1) & ~found.scored[:, own])
    points = found.ids[lacking].tolist()
    if not points:
        return
    recipes = {point: bench.store.point(point) for point in points}
    values = [
        bench.store.examples(prints[each.name], split, known.numerics, points)
        for each in objective.members
    ]
    for place, (row, point) in enumerate(zip(lacking.tolist(), points, strict=True)):
        score = _score(objective, found.table[:, row, places], [each[place] for each in values])
        yield {
            "kind": "score", "id": score_id(point, prints[objective.name], split, known.numerics),
            "point": point, "recipe": recipes[point], "family": known.family,
            "objective": objective.name, "objective_fingerprint": prints[objective.name],
            "scorer": objective.scorer, "split": split, "numerics": known.numerics,
            "seconds": 0.0, **score.as_dict(), "values": list(score.values),
            **({} if score.error is None else {"error": score.error}),
        }  # fmt: skip


def _score(objective: Objective, numbers: np.ndarray, values: list[np.ndarray]) -> Score:
    """A point's score, of its members' `cache.joining.NUMBERS`, float64 [5, members]."""
    without = np.flatnonzero(~np.isfinite(numbers[0]))
    if len(without):
        why = f"{objective.members[without[0]].name}, which it combines, has no score"
        return unmeasured(1, why)
    members = []
    for place, each in enumerate(objective.members):
        mean, error, n = (float(numbers[number, place]) for number in (0, 1, 4))
        share = find_scorer(each.scorer).proportion
        members.append(Member(mean, error, values[place][: int(n)], rows_of(each), share))
    rule = rule_of(str(objective.options["combine"]))
    return combined(rule, members, objective.direction == "maximize")
