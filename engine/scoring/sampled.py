"""Several answers to each prompt, or how long one is: what scorers of the kind "samples" see.

prompt ─┬─ seed ────► answer          the noise of a sample depends on its seed, the prompt and
        ├─ seed + 1 ► answer          the position alone, so two recipes are compared with the
        └─ seed + 2 ► answer          same random numbers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.scoring.observed import Generated, Observed
from engine.scoring.stops import answer_in

if TYPE_CHECKING:
    from engine.scoring.encoding import TextCodec
    from engine.scoring.plan import Task


@dataclass(frozen=True)
class Samples:
    """The answers to one prompt.

    Attributes:
        texts: one a sample; empty where it holds no answer.
        tokens: how many tokens each is by itself, in the family's tokenizer, without an end token.
    """

    texts: tuple[str, ...]
    tokens: tuple[int, ...]


def observed_samples(
    text: TextCodec, task: Task, generate: Callable[[Task], Generated]
) -> Observed:
    """As many answers to each prompt as the scorer's option `samples` says, one without it."""
    objective = task.objective
    count = int(objective.options.get("samples", 1))
    drawn = [
        generate(replace(task, objective=replace(objective, seed=objective.seed + place)))
        for place in range(count)
    ]
    answers = [
        [answer_in(each, objective.answer_after) or "" for each in found.texts] for found in drawn
    ]
    seen = [
        Samples(row, tuple(len(text.continuation(each)) if each else 0 for each in row))
        for row in zip(*answers, strict=True)
    ]
    return Observed(seen, sum(each.tokens for each in drawn), generated=_together(drawn))


def _together(drawn: Sequence[Generated]) -> Generated:
    """All samples as what was generated: the texts of a prompt below each other, numbered."""
    if len(drawn) == 1:
        return drawn[0]
    texts = [
        "\n\n".join(f"[{place}] {each}" for place, each in enumerate(row, 1))
        for row in zip(*(found.texts for found in drawn), strict=True)
    ]
    return Generated(
        [each for found in drawn for each in found.generations],
        texts,
        sum(found.tokens for found in drawn),
        sum(found.seconds for found in drawn),
    )
