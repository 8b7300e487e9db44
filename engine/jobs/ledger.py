"""The jobs of an executor that are not over, and which of them has the device.

add ──► queued ── started ──► on top of the stack (what was there is parked)
                                 └── finish ──► gone; what it stood on runs again
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine.jobs.executor import JobState
from engine.jobs.record import Record
from engine.worker.messages import Event

CANCELLED = {"failure": "cancelled", "reason": "cancelled"}


class Ledger:
    """Records of jobs by their ids. Thread safe.

    Args:
        ended: called with the id of a job that is over, before its handle says so.
    """

    def __init__(self, lock: threading.Condition, ended: Callable[[str], None]) -> None:
        self._lock = lock
        self._ended = ended
        self._records: dict[str, Record] = {}
        self._stack: list[str] = []

    def add(self, record: Record) -> None:
        with self._lock:
            self._records[record.job.id] = record

    def get(self, job: str) -> Record | None:
        return self._records.get(job)

    def all(self) -> list[Record]:
        """In the order in which they were submitted."""
        with self._lock:
            return list(self._records.values())

    @property
    def top(self) -> str | None:
        """The job that has the device; None if none has."""
        return self._stack[-1] if self._stack else None

    def started(self, job: str) -> None:
        with self._lock:
            self._move_top("parked")
            self._stack.append(job)

    def queue_again(self) -> None:
        """The engine is gone: nothing runs, and everything waits for the next engine."""
        with self._lock:
            self._stack = []
            for record in self._records.values():
                record.handle.move("queued")

    def finish(self, event: Event) -> None:
        """Take a job's last event."""
        with self._lock:
            record = self._records.pop(event.job, None)
            if event.job in self._stack:
                self._stack.remove(event.job)
                self._move_top("running")
        if record is not None:
            self._ended(event.job)
            record.handle.take(event)

    def fail(self, job: str, data: Mapping[str, Any]) -> None:
        """A job ends with the engine; one that was cancelled before says that it was."""
        record = self._records.get(job)
        self.finish(Event("failed", job, CANCELLED if record and record.cancelled else data))

    def fail_all(self, data: Mapping[str, Any]) -> None:
        for record in self.all():
            self.fail(record.job.id, data)

    def _move_top(self, state: JobState) -> None:
        if self._stack and self._stack[-1] in self._records:
            self._records[self._stack[-1]].handle.move(state)
