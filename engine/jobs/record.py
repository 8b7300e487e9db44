"""What the app's end of a connection keeps of a job and of the engine's end, and its two plain
socket loops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

from engine.jobs.executor import Handle
from engine.jobs.protocol import Job

BATCH = 100  # frames taken at once, so that rows that come together share one fsync


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


def receive(connection: Connection) -> list[bytes] | None:
    """The frames that are there, waiting a moment for the first; None once the connection has
    ended."""
    frames: list[bytes] = []
    try:
        if wait([connection], 0.1):
            frames.append(connection.recv_bytes())
            while len(frames) < BATCH and connection.poll(0):
                frames.append(connection.recv_bytes())
    except (EOFError, OSError):
        return frames or None
    return frames


def send(connection: Connection, outgoing: SimpleQueue[bytes | None]) -> None:
    """Send frames until a None comes or the connection is gone."""
    while (frame := outgoing.get()) is not None:
        try:
            connection.send_bytes(frame)
        except OSError:
            return
