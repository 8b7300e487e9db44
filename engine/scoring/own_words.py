"""Rows in the words of each model of a mixture: what a module reads instead of the prompt.

    the prompt that is scored     Q: 2 + 2?⏎A:|4            what follows, 4, is the same for all
    a module's own                <user>2 + 2?<assistant>⏎|4

Whitespace goes with what follows as far as all the prompts end with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.decoding.inputs import NONE_OWN, Own
from engine.scoring.data import Row
from engine.scoring.encoding import Encoder, Ids, TextCodec, encoder
from engine.study import Objective


def encoders(own: Mapping[int, TextCodec]) -> dict[int, Encoder]:
    """Place of a module -> the encoder of what it reads."""
    return {place: encoder(text) for place, text in own.items()}


def shared_space(
    row: Row, objective: Objective, codec: Encoder, own: Mapping[int, Encoder]
) -> int | None:
    """Characters of whitespace that all prompts of a row end with; None: there is but one."""
    if not own:
        return None
    ends = [each.end(row, objective)[::-1] for each in (codec, *own.values())]
    least = min(ends, key=len)
    return next((n for n, a in enumerate(least) if any(e[n] != a for e in ends)), len(least))


def prompts_of(text: TextCodec, other: TextCodec, rows: Sequence[Row], objective: Objective) -> Own:
    """What a model of one module reads instead of prompts that `text` wrote."""
    if other is text:
        return NONE_OWN
    codec = encoder(other)
    codec.render(rows, objective)
    found: list[Ids] = [codec.prompt(row, objective) for row in rows]
    return {0: found}
