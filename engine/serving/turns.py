"""The model thread: a step for each request in turn, so that all of them grow together.

    admit ─► a place ─► start ─► waiting ─► writing, at most `at_once` ─► done, failed or left
      ╰─ 429 where no place is free

A place is taken before a prompt is even encoded, and is free again once the answer is decoded,
whether its client has read it or not. While one request reads a long prompt, those that write
already go on between its chunks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from engine.composed import ComposedModel
from engine.decoding.inputs import Tick
from engine.decoding.loop import Generation, steps
from engine.errors import BadInput, Cancelled, ParetoscopeError, first_line
from engine.scoring.stops import StopWatch
from engine.serving.asking import Ask
from engine.serving.refused import Refused, failed
from engine.serving.served import Rows
from engine.serving.token_bytes import TokenBytes
from engine.serving.writing import Done, Piece, Writing
from engine.worker.messages import is_out_of_memory

log = logging.getLogger(__name__)

Heard = Piece | Done | Refused
"""What a client is told: pieces of a stream, then one of the others."""

AT_ONCE = 8
WAITING = 32

READING_SECONDS = 0.03
"""How long a prompt is read until the others get a turn between two of its chunks."""


def _ended() -> Refused:
    return Refused(503, "the server ends", kind="server_error", code="server_error")


class Work:
    """One request's place.

    Args:
        hear: takes what the client is told, on the model thread.
    """

    def __init__(self, hear: Callable[[Heard], None]) -> None:
        self.hear = hear
        self.left = False
        self.begun = False
        self.writing: Writing | None = None
        self.loop: Generator[None, None, list[Generation]] | None = None


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
        self._writing: list[Work] = []
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
        model = self.wait()
        text, stops = model.text, ask.stops
        work.writing = Writing(ask, len(rows.ids), text, self._spell, work.hear)
        work.loop = steps(
            model,
            rows.ids,
            own=rows.own,
            max_new_tokens=rows.limit,
            end_ids=text.end_ids,
            sampling=ask.sampling,
            stopped=StopWatch(stops, text.decode) if stops else None,
            tick=self._tick_of(work),
            on_tokens=work.writing.on_tokens,
            on_logits=work.writing.on_logits,
        )
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
            if work not in self._writing:
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
                for work in list(self._writing):
                    if work in self._writing:  # a turn within another's has not ended it
                        self._turn(work)
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
            while self._waiting and len(self._writing) < self._at_once:
                self._writing.append(self._waiting.popleft())
            return not self._closing

    def _turn(self, work: Work) -> None:
        """One step of a request, its first one with its prompts."""
        assert work.loop is not None and work.writing is not None
        try:
            if work.left:
                raise Cancelled("the client has gone")
            if not self._nested:
                self._since = time.monotonic()
            next(work.loop)
            work.begun = True
            work.writing.rest()
            return
        except StopIteration as end:
            heard = self._finished(work.writing, end.value)
        except Cancelled:
            heard = None
        except Exception as error:
            heard = _told(error)
        work.loop.close()
        with self._changed:
            self._writing.remove(work)
            self._taken.discard(work)
        if heard is not None:
            work.hear(heard)

    def _finished(self, writing: Writing, generations: list[Generation]) -> Heard:
        try:
            return writing.finish(generations)
        except Exception as error:
            return _told(error)

    def _tick_of(self, work: Work) -> Tick:
        def tick() -> None:
            self._while_open()
            if work.left:
                raise Cancelled("the client has gone")
            now = time.monotonic()
            if work.begun or self._nested or now - self._since < READING_SECONDS:
                return
            self._nested = True
            try:
                for other in [each for each in self._writing if each.begun]:
                    self._turn(other)
            finally:
                self._nested = False
                self._since = time.monotonic()

        return tick


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
