"""What texts cost whose models do not all run at every token: counted as they are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from engine.errors import ParetoscopeError
from engine.scoring.observed import Generated, Observed

if TYPE_CHECKING:
    from engine.decoding.loop import Generation
    from engine.scoring.plan import Scored, Task


class Uncounted(ParetoscopeError):
    """A cost that depends on what is asked, and nothing is asked."""


class Apart(Protocol):
    """A mixture with the shares of its modules, see `engine.composed.ComposedModel`."""

    @property
    def shares(self) -> Sequence[float]: ...


def observed_cost(model: Scored, task: Task, generate: Callable[[Task], Generated]) -> Observed:
    """The cost of each row, or of any text where there are none.

    Raises:
        Uncounted: it depends on the text, and the objective has no rows.
    """
    if model.mixture is None or not model.mixture.rests:
        return Observed([float(model.cost)] * max(1, len(task.rows)))
    if not task.rows:
        raise Uncounted(
            "its models run only where they are needed, which depends on what is asked: give the "
            f"objective {task.objective.name} data, prompts over which its cost is counted"
        )
    found = generate(task)
    return Observed(costs(cast("Apart", model), found.generations), found.tokens, generated=found)


def costs(model: Apart, generations: Sequence[Generation]) -> list[float]:
    """Parameters times tokens that they ran for ÷ the base's for each token, a text.

    As for any method, a prompt counts with the token that follows it: its last column alone.
    """
    return [
        math.fsum(share * run for share, run in zip(model.shares, each.runs, strict=True))
        / (len(each.token_ids) + (each.ended == "end"))
        for each in generations
    ]
