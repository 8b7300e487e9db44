"""What the engine sent, in its order: rows are saved before anything behind them is looked at.

result, result … ──► saved together (one fsync) ──► their jobs' handles
claim            ──► the workspace's claims ──► reply
all others       ──► the job's handle
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.jobs.ledger import Ledger
from engine.jobs.saving import Saving
from engine.worker.messages import FINAL, Answer, Event, Message, Reply

log = logging.getLogger(__name__)


class Inbox:
    """Events of one engine; used by the thread that reads.

    Args:
        put: sends a message.
        cancel: asks for a job's end.
    """

    def __init__(
        self,
        jobs: Ledger,
        saving: Saving,
        put: Callable[[Message], None],
        cancel: Callable[[str], None],
    ) -> None:
        self._jobs = jobs
        self._saving = saving
        self._put = put
        self._cancel = cancel
        self._rows: list[Event] = []

    def take(self, event: Event) -> None:
        """Take an event; rows wait for `save`."""
        if event.kind == "result":
            self._rows.append(event)
            return
        self.save()
        if event.kind == "claim":
            self._answer(event)
        elif event.kind in FINAL:
            self._jobs.finish(event)
        else:
            record = self._jobs.get(event.job)
            if event.kind == "started":
                self._jobs.started(event.job)
            if record is not None:
                record.handle.take(event)

    def save(self) -> None:
        """Save the rows that came, then tell their jobs."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            self._saving.save([event.data["row"] for event in rows])
        except Exception as error:
            log.error("rows could not be saved", exc_info=error)
            for job in {event.job for event in rows}:
                self._break_off(job, "saved", error)
            return
        for event in rows:
            record = self._jobs.get(event.job)
            if record is not None:
                if "id" in event.data["row"]:
                    record.saved.append(event.data["row"]["id"])
                record.handle.take(event)

    def _answer(self, event: Event) -> None:
        answer = Answer()
        try:
            if self._jobs.get(event.job) is not None:
                answer = self._saving.claim(event.job, event.data["wanted"])
        except Exception as error:
            log.error("the recipes could not be claimed", exc_info=error)
            self._break_off(event.job, "claimed", error)
        self._put(Reply(event.data["question"], answer))

    def _break_off(self, job: str, what: str, error: Exception) -> None:
        self._cancel(job)
        reason = f"a result could not be {what} ({type(error).__name__}: {error})"
        self._jobs.finish(Event("failed", job, {"failure": "error", "reason": reason}))
