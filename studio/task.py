"""A job as the pages speak of it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.jobs.executor import Handle, Status


@dataclass(frozen=True)
class Task:
    """A job with what it is for, in words."""

    what: str
    handle: Handle

    @property
    def status(self) -> Status:
        return self.handle.status()
