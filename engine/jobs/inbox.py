"""What the engine sent, in its order: rows are saved before anything behind them is looked at.

    result, result … ──► saved together (one fsync) ──► ack ──► their jobs' handles
    claim            ──► the workspace's claims ──► answer, which is its ack
    all others       ──► ack ──► the job's handle

An event that the engine sends again after a reconnect is acknowledged, or answered, again and
otherwise passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cache.claims import Answer
from engine.jobs.ledger import Ledger
from engine.jobs.protocol import FINAL, Event, answer_message, pack
from engine.jobs.saving import Saving

log = logging.getLogger(__name__)


class Inbox:
    """Events of one engine; used by the thread that reads.

    Args:
        put: sends a frame.
        cancel: asks for a job's end.
    """

    def __init__(
        self,
        jobs: Ledger,
        saving: Saving,
        put: Callable[[bytes], None],
        cancel: Callable[[str], None],
    ) -> None:
        self._jobs = jobs
        self._saving = saving
        self._put = put
        self._cancel = cancel
        self._rows: list[tuple[int, Event]] = []
        self._last_number = 0

    def start_over(self) -> None:
        """The next engine counts from one."""
        self._rows, self._last_number = [], 0

    def take(self, event: Event, number: int) -> None:
        """Take an event, `number` 0 where it has none; rows wait for `save`."""
        if event.kind == "result":
            self._rows.append((number, event))
            return
        self.save()
        if event.kind == "claim":
            self._answer(event, number)
            return
        if number:
            again = number <= self._last_number
            self._acknowledge([number])
            if again:
                return
        if event.kind in FINAL:
            self._jobs.finish(event)
            return
        record = self._jobs.get(event.job)
        if event.kind == "started":
            self._jobs.started(event.job)
        if record is not None:
            record.handle.take(event)

    def save(self) -> None:
        """Save the rows that came, then acknowledge them, then tell their jobs; a row that came
        before is only acknowledged."""
        rows, self._rows = self._rows, []
        fresh = [(number, event) for number, event in rows if number > self._last_number]
        if fresh:
            try:
                self._saving.save([event.data["row"] for _, event in fresh])
            except Exception as error:
                log.error("rows could not be saved", exc_info=error)
                for job in {event.job for _, event in fresh}:
                    self._break_off(job, "saved", error)
                return
        if rows:
            self._acknowledge([number for number, _ in rows])
        for _, event in fresh:
            record = self._jobs.get(event.job)
            if record is not None:
                if "id" in event.data["row"]:
                    record.saved.append(event.data["row"]["id"])
                record.handle.take(event)

    def _answer(self, event: Event, number: int) -> None:
        self._last_number = max(self._last_number, number)
        answer = Answer()
        try:
            if self._jobs.get(event.job) is not None:
                answer = self._saving.claim(event.job, event.data["wanted"])
        except Exception as error:
            log.error("what is to be measured could not be claimed", exc_info=error)
            self._break_off(event.job, "claimed", error)
        self._put(answer_message(number, event.data["question"], answer))

    def _break_off(self, job: str, what: str, error: Exception) -> None:
        self._cancel(job)
        reason = f"a result could not be {what} ({type(error).__name__}: {error})"
        self._jobs.finish(Event("failed", job, {"failure": "error", "reason": reason}))

    def _acknowledge(self, numbers: list[int]) -> None:
        self._last_number = max(self._last_number, *numbers)
        self._put(pack({"op": "ack", "numbers": numbers}))
