"""What the app's end of a connection records about a job and about the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.jobs.executor import Handle
from engine.worker.messages import Job


@dataclass
class Record:
    """A job that is not over: its handle, the ids of its rows that are saved, and whether its
    owner asked for its end."""

    job: Job
    handle: Handle
    saved: list[str] = field(default_factory=list)
    cancelled: bool = False

    def to_submit(self) -> Job:
        """The job as an engine that starts afresh should see it: without what is already saved."""
        if not self.saved:
            return self.job
        payload = {**self.job.payload, "have": [*self.job.payload.get("have", ()), *self.saved]}
        return replace(self.job, payload=payload)


@dataclass(frozen=True)
class Ending:
    """Why the engine is gone.

    Attributes:
        blame: whether the job that had the device is at fault and fails; the others are kept.
        refused: the engine cannot start at all: every job fails.
    """

    data: Mapping[str, Any]
    blame: bool = True
    refused: bool = False


def died(reason: str) -> Ending:
    """The engine is gone of itself."""
    return Ending({"failure": "died", "reason": reason})
