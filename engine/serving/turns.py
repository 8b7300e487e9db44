"""The model thread: a step for each batch in turn, so that all requests grow together.

    admit ─► a place ─► start ─► waiting ─► writing, at most `at_once` ─► done, failed or left
      ╰─ 429 where no place is free     ╰─ those that wait and fit are one batch

A place is taken before a prompt is even encoded, and is free again once the answer is decoded,
whether its client has read it or not. While one batch reads a long prompt, those that write already
go on between its chunks. Nobody joins a batch that has begun; where nothing is written, the first
request waits for others a moment, and for those whose prompts are being encoded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.decoding.loop import Generation
from engine.errors import BadInput, Cancelled, ParetoscopeError, first_line
from engine.serving.asking import Ask
from engine.serving.refused import Refused, failed
from engine.serving.served import Rows
from engine.serving.together import Heard, Together, Work, fitting
from engine.serving.token_bytes import TokenBytes
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)

AT_ONCE = 8
WAITING = 32

READING_SECONDS = 0.03
"""How long a prompt is read until the others get a turn between two of its chunks."""

JOIN_SECONDS = 0.003
"""How long a request waits for others that may come with it, where nothing is written."""

JOIN_MOST_SECONDS = 0.03
"""How long at most, where prompts of others are still being encoded."""


def _ended() -> Refused:
    return Refused(503, "the server ends", kind="server_error", code="server_error")


class Turns:
    """Runs decode loops in turns on a thread of its own.

    Args:
        prepare: makes the model on that thread, given a tick; what it raises, `wait` raises.
        at_once: requests that write together.
        waiting: further ones that may wait.
    """

    def __init__(
        self,
        prepare: Callable[[Tick], ComposedModel],
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
    ) -> None:
        self._prepare = prepare
        self._at_once = at_once
        self._places = at_once + waiting
        self._changed = threading.Condition()
        self._taken: set[Work] = set()
        self._waiting: deque[Work] = deque()
        self._writing: list[Together] = []
        self._model: ComposedModel | None = None
        self._fault: BaseException | None = None
        self._closing = False
        self._nested = False
        self._since = 0.0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    # ---- from other threads ------------------------------------------------------------------

    def wait(self) -> ComposedModel:
        """The model, once it is there."""
        while not self._ready.wait(0.2):  # an interrupt is heard between two waits
            pass
        if self._fault is not None:
            raise self._fault
        assert self._model is not None
        return self._model

    def admit(self, hear: Callable[[Heard], None]) -> Work:
        """A place for a request; raises `Refused` (429) where none is free."""
        with self._changed:
            if self._closing:
                raise _ended()
            if len(self._taken) >= self._places:
                raise Refused(
                    429, f"{len(self._taken)} requests are being answered or wait; try again soon",
                    kind="requests", code="rate_limit_exceeded", headers={"retry-after": "1"},
                )  # fmt: skip
            work = Work(hear)
            self._taken.add(work)
            return work

    def start(self, work: Work, ask: Ask, rows: Rows) -> None:
        """Have a request's rows written, unless it was left."""
        work.put(ask, rows, self.wait(), self._spell)
        with self._changed:
            if not (work.left or self._closing):  # who is there at the end was told of it
                self._waiting.append(work)
                self._changed.notify()

    def leave(self, work: Work) -> None:
        """Nobody waits for this answer any more: its next step is not taken."""
        with self._changed:
            work.left = True
            if work in self._waiting:
                self._waiting.remove(work)
            if not work.shared:
                self._taken.discard(work)
            self._changed.notify()

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return len(self._taken)

    def close(self) -> None:
        """End the thread after the step that it is at."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    # ---- on the model thread -----------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._model = self._prepare(self._while_open)
            self._spell = TokenBytes(self._model.text)
        except BaseException as error:
            self._fault = error
            return
        finally:
            self._ready.set()
        try:
            while self._admit():
                for batch in list(self._writing):
                    if batch in self._writing:  # a turn within another's has not ended it
                        self._turn(batch)
        except Exception:
            log.exception("the model thread ends")
        finally:
            with self._changed:
                self._closing = True
                for work in self._taken:
                    work.hear(_ended())

    def _while_open(self) -> None:
        if self._closing:
            raise Cancelled("the server ends")

    def _admit(self) -> bool:
        """Wait for something to do; false at the end."""
        with self._changed:
            while not (self._closing or self._waiting or self._writing):
                self._changed.wait()
            if not self._writing:
                self._wait_for_more()
            left = self._at_once - sum(len(each.works) for each in self._writing)
            while self._waiting and left > 0:
                works = self._alike(left)
                self._writing.append(self._batch(works))
                left -= len(works)
            return not self._closing

    def _wait_for_more(self) -> None:
        """Let requests come that were sent with the first; the lock is held."""
        end = time.monotonic() + JOIN_MOST_SECONDS
        while self._at_once > len(self._waiting) > 0 and not self._closing:
            before, now = len(self._waiting), time.monotonic()
            self._changed.wait(min(JOIN_SECONDS, max(0.0, end - now)))
            encoding = len(self._taken) > len(self._waiting)
            if time.monotonic() >= end or (len(self._waiting) == before and not encoding):
                return

    def _alike(self, most: int) -> list[Work]:
        """The first that waits, with those that fit its batch, out of the queue; the lock is
        held."""
        assert self._model is not None
        found = [self._waiting.popleft()]
        for work in list(self._waiting):
            if len(found) < most and fitting(self._model, [*found, work]):
                self._waiting.remove(work)
                found.append(work)
        return found

    def _batch(self, works: list[Work]) -> Together:
        assert self._model is not None
        return Together(self._model, works, self._tick)

    def _turn(self, batch: Together) -> None:
        """One step of a batch, its first one with its prompts."""
        failed: Exception | None = None
        try:
            self._check(batch.works)
            if not self._nested:
                self._since = time.monotonic()
            batch.step()
        except Exception as error:
            failed = error
        for work in list(batch.works):
            if work.left:
                self._end(batch, work)
            elif (found := batch.done(work)) is not None:
                self._end(batch, work, self._finished(work, found))
            elif failed is None:
                self._rest(batch, work)
        if failed is None and batch.works:
            return
        batch.close()
        others: list[Together] = []
        if failed is not None and not isinstance(failed, Cancelled):
            if len(batch.works) > 1:  # each by itself, beyond what it was told
                log.info("a batch of %d requests failed: %s", len(batch.works), failed)
                others = [self._batch([each]) for each in batch.works]
            else:
                for work in list(batch.works):
                    self._end(batch, work, _told(failed))
        with self._changed:
            self._writing.remove(batch)
            self._writing += others

    def _end(self, batch: Together, work: Work, heard: Heard | None = None) -> None:
        """Take a request out of its batch, and its place with it."""
        batch.works.remove(work)
        work.left = True
        with self._changed:
            self._taken.discard(work)
        if heard is not None:
            work.hear(heard)

    def _rest(self, batch: Together, work: Work) -> None:
        try:
            work.writing.rest()
        except Exception as error:
            self._end(batch, work, _told(error))

    def _finished(self, work: Work, generations: list[Generation]) -> Heard:
        try:
            return work.writing.finish(generations)
        except Exception as error:
            return _told(error)

    def _check(self, works: list[Work]) -> None:
        self._while_open()
        if all(each.left for each in works):
            raise Cancelled("the clients have gone")

    def _tick(self, batch: Together) -> None:
        """Called before each pass of a model for these requests."""
        self._check(batch.works)
        now = time.monotonic()
        if batch.begun or self._nested or now - self._since < READING_SECONDS:
            return
        self._nested = True
        try:
            for other in [each for each in self._writing if each.begun]:
                self._turn(other)
        finally:
            self._nested = False
            self._since = time.monotonic()


def _told(error: Exception) -> Refused:
    """What a client is told of an error; the log has all of it."""
    if isinstance(error, BadInput):
        first: Any = error.problems[0]
        return Refused(400, f"{first.what}. {first.fix}".strip())
    if is_out_of_memory(error):
        return failed("out of memory: send fewer or shorter prompts, or a smaller n")
    if isinstance(error, ParetoscopeError):
        return failed(first_line(error))
    log.error("a request failed", exc_info=error)
    return failed(f"{type(error).__name__}; the server's log says more")
