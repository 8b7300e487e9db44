"""Progress of an evaluation, in rows done; never more than ten notes a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PAUSE = 0.1
"""Seconds between two notes."""


@dataclass(frozen=True)
class ProgressNote:
    """So many of an objective's rows are done."""

    objective: str
    done: int
    total: int


class Meter:
    """Passes notes on, dropping those that come too soon after the last.

    Args:
        tell: receives the notes; None drops them all.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        tell: Callable[[ProgressNote], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._next = float("-inf")
        self._objective, self._total = "", 0

    def begin(self, objective: str, total: int) -> None:
        """The notes from here on are of this objective and its `total` rows."""
        self._objective, self._total = objective, total
        self.at(0)

    @property
    def due(self) -> bool:
        """Whether a note would be passed on now."""
        return self._tell is not None and self._clock() >= self._next

    def at(self, done: int) -> None:
        """So many rows are done."""
        if self._tell is not None and self.due:
            self._next = self._clock() + PAUSE
            self._tell(ProgressNote(self._objective, done, self._total))


class RowsWritten:
    """Counts the rows that have ended from the tokens that are written; `generate` calls it.

    Every row that goes on adds a token a step, so a row of the running batch that is two tokens
    behind the longest has ended.

    Args:
        batches: indices of the rows of each batch, in the order they run.
    """

    def __init__(self, meter: Meter, batches: Sequence[Sequence[int]]) -> None:
        self._meter = meter
        self._batches = batches
        self._batch = {index: place for place, rows in enumerate(batches) for index in rows}
        self._written: dict[int, int] = {}
        self._running = 0
        self._before = 0

    def __call__(self, index: int, token: int) -> None:
        while self._batch[index] > self._running:
            self._before += len(self._batches[self._running])
            self._running += 1
            self._written.clear()
        self._written[index] = self._written.get(index, 0) + 1
        if self._meter.due:
            longest = self._written[index]
            rows = self._batches[self._running]
            ended = sum(self._written.get(row, 0) < longest - 1 for row in rows)
            self._meter.at(self._before + ended)
