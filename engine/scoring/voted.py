"""Votes as an objective: what people or judges said of a mixture's answers, counted elsewhere.

No model runs: a score is saved when votes are cast (studio/votes/objective.py). Until then a point
has none, and says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from engine.errors import ParetoscopeError
from engine.parameter import ModelName, Says
from engine.scoring.registry import scorer

if TYPE_CHECKING:
    from engine.scoring.observed import Observed
    from engine.scoring.plan import Task


class Unvoted(ParetoscopeError):
    """Nobody has voted on a mixture's answers against those of the rival."""


NO_VOTES = "no votes on its answers against those of {rival}: vote on Compare, or ask a judge"


def unvoted(task: Task) -> Observed:
    """Raises `Unvoted`: running a model tells nothing."""
    raise Unvoted(NO_VOTES.format(rival=task.objective.options["rival"]))


@scorer(
    kind="votes",
    direction="maximize",
    mean="proportion",
    needs="nothing",
    summary="how often its answers win over those of a rival in blind votes, ties and both bad "
    "half; questions count, not votes",
    source="blind pairwise votes as in arXiv 2306.05685",
)
def votes(
    rate: float,
    row: None,
    *,
    rival: Annotated[ModelName, Says("Model that every mixture is voted against.")],
    voter: Annotated[
        Literal["person", "judge", "all"],
        Says("Whose votes count.", person="people's", judge="judges'", all="both"),
    ] = "person",
) -> float:
    return rate
