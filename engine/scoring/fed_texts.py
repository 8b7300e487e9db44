"""Which ids of a text a model is fed: all but the last, whose probability is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.decoding.inputs import Fused, embedded
from engine.decoding.loop import Generation


def fed(pairs: Iterable[tuple[Sequence[int], Sequence[int]]]) -> Iterator[tuple[int, ...]]:
    """What is fed of each (ids that are read first, ids that are scored)."""
    for before, scored in pairs:
        yield (*before, *scored[:-1])


def spoken(generations: Iterable[Generation], model: Fused) -> list[tuple[int, ...]]:
    """What was generated, with an end, up to the first id that the model cannot be fed.

    Any id does as the last: what is measured there is of what stands before it, and it is not fed.
    """
    known = min(embedded(each) for each in model.modules)
    ended = [(*each.token_ids, 0) if each.ended == "end" else each.token_ids
             for each in generations]  # fmt: skip
    return [_readable(each, known) for each in ended]


def _readable(ids: tuple[int, ...], known: int) -> tuple[int, ...]:
    """The ids up to the first that a model with `known` embeddings cannot be fed: the last position
    whose divergence is defined.
    """
    for index, each in enumerate(ids):
        if each >= known:
            return (*ids[:index], 0)
    return ids
