"""Executors as the app and the command line see them: submit a job, hold on to its handle.

Imports no torch: the engine lives behind the executor, in a process (`local`), a thread (`inline`)
or a cluster.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from engine.errors import JobFailed
from engine.worker.messages import FINAL, Event, Job, error_of

JobState = Literal["queued", "running", "parked", "done", "failed"]

OnRows = Callable[[Sequence[dict[str, Any]]], object]
"""Saves rows and returns once they are on disk (usually `Store.append`); only then are they
acknowledged."""


@dataclass(frozen=True)
class Status:
    """Where a job stands, for polling pages.

    Attributes:
        progress: data of the latest progress event, empty before the first.
        texts: output index -> the text so far, of a job that generates.
        rows: how many score and failure rows are saved.
        reason: why it failed; None otherwise.
        since: when it first had the device, seconds, monotonic; None before.
        failure: the kind of failure (`messages.FailureKind`); None otherwise.
    """

    state: JobState = "queued"
    progress: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    rows: int = 0
    reason: str | None = None
    failure: str | None = None
    since: float | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")


class Handle:
    """One job as its owner sees it. Thread safe; made by an executor."""

    def __init__(self, job: Job, cancel: Callable[[str], None]) -> None:
        self.job = job
        self._cancel = cancel
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._final: Event | None = None
        self._state: JobState = "queued"
        self._progress: Mapping[str, Any] = {}
        self._texts: dict[int, str] = {}
        self._rows = 0
        self._since: float | None = None

    @property
    def id(self) -> str:
        return self.job.id

    def status(self) -> Status:
        """A snapshot; never waits."""
        with self._changed:
            failed = self._final is not None and self._final.kind == "failed"
            data = self._final.data if failed and self._final else {}
            return Status(
                self._state,
                self._progress,
                dict(self._texts),
                self._rows,
                data.get("reason"),
                data.get("failure"),
                self._since,
            )

    def first_text(self, timeout: float) -> Status:
        """The status once there is a text or the end, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._texts or self._final is not None, timeout)
        return self.status()

    def cancel(self) -> None:
        """Request cancellation: immediate if the job waits, within one quantum if it runs."""
        self._cancel(self.job.id)

    def result(self, timeout: float | None = None) -> Mapping[str, Any]:
        """Wait for the job's result.

        Raises:
            BadInput: the job's input cannot be used.
            Cancelled: it was cancelled or superseded.
            JobFailed: it failed otherwise; the reason is the message.
            TimeoutError: it is not over after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._final is not None, timeout):
                raise TimeoutError(f"the job did not finish within {timeout:g} s")
        assert self._final is not None
        if self._final.kind == "failed":
            raise error_of(self._final.data)
        return self._final.data

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Events as they come, the last one done or failed. One consumer: an event is given once.

        A result event's row is saved when it is given, and comes without its per-example values.

        Raises:
            TimeoutError: nothing came for `timeout` seconds.
        """
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._events), timeout):
                    raise TimeoutError(f"no event for {timeout:g} s")
                event = self._events.popleft()
            yield event
            if event.kind in FINAL:
                return

    def take(self, event: Event) -> None:
        """Called by the executor for each event, in order; what comes after the end is ignored."""
        with self._changed:
            if self._final is not None:
                return
            if event.kind == "progress":
                self._progress = event.data
                if self._events and self._events[-1].kind == "progress":
                    self._events.pop()
            elif event.kind == "text":
                self._texts.update(
                    {int(index): text for index, text in event.data["texts"].items()}
                )
                if self._events and self._events[-1].kind == "text":
                    earlier = self._events.pop().data["texts"]
                    event = Event("text", event.job, {"texts": {**earlier, **event.data["texts"]}})
            elif event.kind == "started":
                self._state = "running"
                self._since = self._since or time.monotonic()
            elif event.kind == "result":
                self._rows += 1
                row = {name: value for name, value in event.data["row"].items() if name != "values"}
                event = Event("result", event.job, {"row": row})
            elif event.kind in FINAL:
                self._final = event
                self._state = "done" if event.kind == "done" else "failed"
            self._events.append(event)
            self._changed.notify_all()

    def move(self, state: JobState) -> None:
        """Called by the executor when the job is parked, resumed, or requeued after a restart."""
        with self._changed:
            if self._final is None:
                self._state = state


class Executor(Protocol):
    """Where jobs run. Context manager; closing it cancels what is left."""

    def submit(self, job: Job) -> Handle:
        """Queue a job; returns at once."""

    def state(self) -> str:
        """What the engine does now: "stopped", "starting", "idle", "loading" or "running"."""

    def ended(self) -> str:
        """Why the engine last ended or could not start; empty if it never did."""

    def close(self) -> None: ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, *_: object) -> None: ...


def wait_until_ready(executor: Executor, timeout: float = 60.0) -> None:
    """Wait until the engine takes jobs; raises `JobFailed` after `timeout` seconds."""
    limit = time.monotonic() + timeout
    while executor.state() not in ("idle", "running"):
        if time.monotonic() > limit:
            raise JobFailed(f"the engine was not ready after {timeout:g} s ({executor.state()})")
        time.sleep(0.02)
