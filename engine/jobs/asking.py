"""The engine's requests to its owner: which scores may be measured here.

    engine thread ── claim ──► owner, who asks the workspace (`cache.claims`)
                  ◄── reply ──

The answer takes less than a millisecond as a rule; ticks go on until it is there, so that a job can
be cancelled, and parked, while it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from engine.worker.messages import Answer, Event, Job

TICK_SECONDS = 0.05


class Questions:
    """Asked on the engine thread, answered by the thread that talks.

    Attributes:
        asked: how many there were, of any job.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._changed = threading.Condition()
        self._open: set[int] = set()
        self._answers: dict[int, Answer] = {}
        self.asked = 0

    def ask(self, job: str, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        """Wait for what becomes of these ids; asked again where another job asked meanwhile, since
        its answer may have taken back what this one was granted."""
        while True:
            question = self.asked = self.asked + 1
            answer = self._ask(job, question, wanted, tick)
            if self.asked == question:
                return answer

    def _ask(
        self,
        job: str,
        question: int,
        wanted: Sequence[Collection[str]],
        tick: Callable[[], None],
    ) -> Answer:
        with self._changed:
            self._open.add(question)
        data = {"question": question, "wanted": [sorted(each) for each in wanted]}
        self._emit(Event("claim", job, data))
        try:
            while True:
                with self._changed:
                    if self._changed.wait_for(lambda: question in self._answers, TICK_SECONDS):
                        return self._answers[question]
                tick()
        finally:
            with self._changed:
                self._open.discard(question)
                self._answers.pop(question, None)

    def answer(self, question: int, answer: Answer) -> None:
        """Taken once; one to a question that nobody waits for any more is dropped."""
        with self._changed:
            if question in self._open:
                self._answers[question] = answer
                self._changed.notify_all()


class Reporter:
    """`served.Emit` for one job."""

    def __init__(
        self,
        job: Job,
        emit: Callable[[Event], None],
        loading: Callable[[], None],
        questions: Questions,
    ) -> None:
        self._job = job
        self._emit = emit
        self._loading = loading
        self._questions = questions

    def __call__(self, kind: str, data: Mapping[str, Any] | None = None) -> None:
        if kind == "loading":
            self._loading()
        else:
            self._emit(Event(kind, self._job.id, data or {}))  # type: ignore[arg-type]

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        return self._questions.ask(self._job.id, wanted, tick)

    @property
    def asked(self) -> int:
        return self._questions.asked
