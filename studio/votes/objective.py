"""Votes as scores: for an objective with the scorer `votes`, a row whenever its votes change.

    votes ──► win rate against the rival, point by point ──► score rows, as any other objective's

So chart, front, table, files and commands know them without knowing of votes. The models that take
part need no measurement for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.recipe import Recipe, resolve, unmerged
from engine.scoring.voted import NO_VOTES
from engine.study import Objective
from studio.votes.ballots import PERSON, Vote, given, votes_of
from studio.votes.counting import rate
from studio.workbench import Workbench


def cast(bench: Workbench, votes: Sequence[Vote]) -> None:
    """Keep votes, then the scores that they change."""
    assert bench.known is not None
    votes_of(bench).cast(bench.known.family, votes)
    save_scores(bench)


def withdraw(bench: Workbench, vote: Vote) -> None:
    """Take a vote back, and what it changed."""
    assert bench.known is not None
    votes_of(bench).withdraw(bench.known.family, vote)
    save_scores(bench)


def save_scores(bench: Workbench) -> int:
    """Save the scores that are not what the votes say; how many those were."""
    rows: list[dict[str, Any]] = []
    for objective in bench.objectives:
        if objective.scorer == "votes" and bench.known is not None:
            rows += _changed(bench, objective)
    if rows:
        bench.store.append(rows)
    return len(rows)


def _changed(bench: Workbench, objective: Objective) -> Iterator[dict[str, Any]]:
    known = bench.known
    assert known is not None
    saved = {
        row["point"]: row
        for row in bench.store.scores(
            known.family, objectives={objective.name: known.objectives[objective.name]},
            numerics=known.numerics, values=False,
        )
    }  # fmt: skip
    rival = bench.point_id(resolve(unmerged(str(objective.options["rival"])), bench.names))
    now = dict(_scores(given(bench), objective, rival))
    for point, (recipe, score) in now.items():
        before = saved.get(point)
        if before is None or any(before.get(name) != each for name, each in score.items()):
            yield _row(bench, objective, point, recipe.as_dict(), score)
    for point, before in saved.items():
        if point not in now and before.get("mean") is not None:  # its votes were taken back
            none = {"mean": None, "stderr": None, "n": None}
            why = {"error": NO_VOTES.format(rival=objective.options["rival"])}
            yield _row(bench, objective, point, before["recipe"], none) | why


def _scores(
    votes: Sequence[Vote], objective: Objective, rival: str
) -> Iterator[tuple[str, tuple[Recipe, dict[str, Any]]]]:
    """Point -> its recipe, and its score against the rival, which has none of its own: ½ against
    itself is no measurement."""
    voter = objective.options["voter"]
    mine = [each for each in votes if voter in ("all", PERSON if each.by == PERSON else "judge")]
    recipes = {point: each for vote in mine for point, each in vote.recipes.items()}
    for point, recipe in recipes.items():
        each = rate(mine, point, rival) if point != rival else None
        if each is not None:
            stderr = None if math.isnan(each.stderr) else each.stderr
            yield point, (recipe, {"mean": each.rate, "stderr": stderr, "n": each.questions})


def _row(
    bench: Workbench, objective: Objective, point: str, recipe: Mapping[str, Any],
    score: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    known = bench.known
    assert known is not None
    return {
        "kind": "score", "point": point, "recipe": dict(recipe), "family": known.family,
        "objective": objective.name, "objective_fingerprint": known.objectives[objective.name],
        "scorer": objective.scorer, "split": "explore", "numerics": known.numerics, "seconds": 0.0,
        **score,
    }  # fmt: skip
