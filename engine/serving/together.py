"""Requests that are written in one batch: a row of the decode loop belongs to one of them.

    request a   row 0 ─── row 1 ─       a row has the seed, the stops and the limit of its request
    request b   row 2 ───────           told as soon as its own rows have ended
    request c   row 3 ──╳               its client has gone: the row leaves at the next step

A text does not depend on its neighbours (`engine.decoding.loop`). Where a batch fails that several
requests share, each goes on by itself, so that a fault fails its own request alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.composed import ComposedModel
from engine.decoding.inputs import Own, columns_of
from engine.decoding.loop import Asked, Generation, fits_one_batch, steps
from engine.scoring.stops import StopWatch
from engine.serving.asking import Ask
from engine.serving.refused import Refused
from engine.serving.served import Rows
from engine.serving.token_bytes import TokenBytes
from engine.serving.writing import Done, Piece, Writing

if TYPE_CHECKING:
    from torch import Tensor

Heard = Piece | Done | Refused
"""What a client is told: pieces of a stream, then one of the others."""

PADDED = 2
"""How many times their own columns the prompts of a batch may take, padded to the longest."""


class Work:
    """One request's place.

    Args:
        hear: takes what the client is told, on the model thread.

    Attributes:
        left: nobody waits for the answer any more, or it has ended.
        shared: it is or was part of a batch.
    """

    def __init__(self, hear: Callable[[Heard], None]) -> None:
        self.hear = hear
        self.left = False
        self.shared = False

    def put(self, ask: Ask, rows: Rows, model: ComposedModel, spell: TokenBytes) -> None:
        """What is asked, as rows."""
        decode = model.text.decode
        self.ask, self.rows = ask, rows
        self.writing = Writing(ask, len(rows.ids), model.text, spell, self.hear)
        self.stopped = StopWatch(ask.stops, decode) if ask.stops else None


def fitting(model: ComposedModel, works: Sequence[Work]) -> bool:
    """Whether these requests can be one batch: sampled alike but for their seeds, and neither too
    many nor too unlike in length for it."""
    first = works[0].ask.sampling
    if any(replace(each.ask.sampling, seed=first.seed) != first for each in works):
        return False
    ids, limits, own = _rows_of(works)
    longest = columns_of(model, ids, own)[0]
    return max(longest) * len(longest) <= PADDED * sum(longest) and fits_one_batch(
        model, ids, limits, own
    )


def _rows_of(works: Sequence[Work]) -> tuple[list[Sequence[int]], list[int], Own]:
    """Ids and limit of every row, and what modules read instead."""
    ids = [each for work in works for each in work.rows.ids]
    limits = [work.rows.limit for work in works for _ in work.rows.ids]
    own = {
        place: [each for work in works for each in work.rows.own[place]]
        for place in works[0].rows.own
    }
    return ids, limits, own


class Together:
    """One batch.

    Args:
        works: at least one; of several `fitting` ones.
        tick: called with this batch before each forward pass.

    Attributes:
        works: those that are not done.
        begun: whether the prompts are read.
    """

    def __init__(
        self, model: ComposedModel, works: Sequence[Work], tick: Callable[[Together], None]
    ) -> None:
        self.works = list(works)
        self.begun = False
        self._rows = [(work, row) for work in works for row in range(len(work.rows.ids))]
        self._told = [work.writing.count(row) for work, row in self._rows]
        self._counts = [0] * len(self._rows)
        self._ended: dict[Work, dict[int, Generation]] = {each: {} for each in works}
        ids, limits, own = _rows_of(works)
        asked = [
            Asked(work.ask.sampling.seed, row, most)
            for (work, row), most in zip(self._rows, limits, strict=True)
        ]
        watched = any(each.writing.on_logits is not None for each in works)
        self._loop = steps(
            model,
            ids,
            own=own,
            max_new_tokens=max(limits),
            end_ids=model.text.end_ids,
            sampling=works[0].ask.sampling,
            stopped=self._stopped,
            tick=lambda: tick(self),
            on_tokens=self._take,
            on_logits=self._look if watched else None,
            on_ended=self._end,
            asked=asked,
        )
        for each in works:
            each.shared = True

    def step(self) -> None:
        """One step of all rows, the first one with the prompts."""
        next(self._loop, None)
        self.begun = True

    def done(self, work: Work) -> list[Generation] | None:
        """What followed the prompts of a request, once all its rows have ended."""
        found = self._ended[work]
        rows = range(len(work.rows.ids))
        return [found[row] for row in rows] if len(found) == len(rows) else None

    def close(self) -> None:
        """Take no further step."""
        self._loop.close()

    # ---- from the decode loop ----------------------------------------------------------------

    def _stopped(self, index: int, ids: list[int]) -> bool:
        work, row = self._rows[index]
        return work.left or (work.stopped is not None and work.stopped(row, ids))

    def _take(self, index: int, token: int) -> None:
        """A new token; of a text that is written a second time only what is new."""
        self._counts[index] += 1
        work, row = self._rows[index]
        if self._counts[index] > self._told[index] and not work.left:
            work.writing.on_tokens(row, token)

    def _look(self, indices: Sequence[int], logits: Tensor) -> None:
        for work in self.works:
            look = work.writing.on_logits
            places = [n for n, index in enumerate(indices) if self._rows[index][0] is work]
            if look is not None and places:
                look([self._rows[indices[n]][1] for n in places], logits[places])

    def _end(self, index: int, generation: Generation) -> None:
        work, row = self._rows[index]
        self._ended[work][row] = generation
