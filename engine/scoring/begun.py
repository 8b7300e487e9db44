"""A score of which the first rows are there already: only the rest is run.

    values of the first n rows ──────────────► all values ──► score, as of any rows
    rows of the task without them ──► model ──┘

Only for scorers that look at an answer by itself: the answers of a row, its value and the score are
then those that a whole run has. Probabilities differ in their last digits with the rows of a batch,
so what is made of them is run whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from engine.scoring.data import limited
from engine.scoring.observed import Metadata, Observed
from engine.scoring.plan import Task
from engine.scoring.registry import Scorer
from engine.scoring.scores import Score, summarise

T = TypeVar("T")


@dataclass(frozen=True)
class Begun:
    """What is known of a score's first rows (`limit: n`), in file order.

    Attributes:
        values: one a row, finite.
        texts: one a row.
        tokens, seconds: what they took.
    """

    values: tuple[float, ...]
    texts: tuple[str, ...]
    tokens: int | None
    seconds: float


def adds(scorer: Scorer) -> bool:
    """Whether a row's value is that of its answer, and all that the score is made of."""
    return (
        scorer.kind == "text"
        and scorer.mean in ("proportion", "mean")
        and scorer.judge is None
        and scorer.pooled is None
        and not scorer.tampers
    )


@dataclass(frozen=True)
class Rest:
    """A task without the rows that are there.

    Attributes:
        places: of its rows in the whole task.
    """

    begun: Begun
    whole: Task
    task: Task
    places: frozenset[int]

    def joined(self, first: Sequence[T], rest: Sequence[T]) -> list[T]:
        """What the first rows have and what the others have, in file order."""
        there, new = iter(first), iter(rest)
        return [
            next(new) if place in self.places else next(there)
            for place in range(len(self.whole.rows))
        ]


def rest_of(task: Task, begun: Begun) -> Rest:
    """What is left to run."""
    first = {row.index for row in limited(task.rows, len(begun.values))}
    left = [place for place, row in enumerate(task.rows) if row.index not in first]

    def some(values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values[place] for place in left) if values else ()

    own = {module: some(ids) for module, ids in task.own.items()}
    rest = replace(
        task, rows=some(task.rows), prompts=some(task.prompts), pairs=some(task.pairs),
        alone=some(task.alone), own=own,
    )  # fmt: skip
    return Rest(begun, task, rest, frozenset(left))


def with_rest(
    rest: Rest, values: Sequence[float], seen: Observed, seconds: float
) -> tuple[Score, Metadata]:
    """The score of all rows, of the values of those that were left.

    Args:
        seconds: that these took.
    """
    begun, task, made = rest.begun, rest.whole, seen.generated
    every = rest.joined(begun.values, values)
    score = summarise(task.scorer, every, None, task.rows, task.objective.options)
    texts = rest.joined(begun.texts, made.texts) if made else None
    tokens = None if seen.tokens is None else seen.tokens + (begun.tokens or 0)
    return score, Metadata(
        seconds=begun.seconds + seconds,
        tokens=tokens,
        tokens_per_second=made.tokens / made.seconds if made and made.seconds > 0 else None,
        texts=texts,
    )
