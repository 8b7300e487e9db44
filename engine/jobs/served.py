"""What runs jobs in the worker, and how it reports from inside one. Knows no sockets, no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from engine.worker.messages import Answer, Job


class Emit(Protocol):
    """How a service reports from a job: "progress", "result", "text" or "loading"."""

    def __call__(self, kind: str, data: Mapping[str, Any] | None = None) -> None: ...

    def claim(self, wanted: Sequence[Collection[str]], tick: Callable[[], None]) -> Answer:
        """Which of these scores the job may measure (`cache.claims.Claims.ask`); `tick` is called
        until the answer is there."""

    @property
    def asked(self) -> int:
        """How many claims any job of this engine has asked for. Where it has grown over a tick,
        what the job was granted may be another's, and it has to ask again."""


class Service(Protocol):
    """What an executor runs jobs on; lives on the engine thread, which makes every call."""

    on_cpu: bool

    def run(self, job: Job, emit: Emit, tick: Callable[[], None]) -> Mapping[str, Any]:
        """The job's result. Calls `tick` at every quantum; it may raise `Cancelled` or run a
        job."""

    def park(self) -> Callable[[], None]:
        """Called before another job runs inside a tick; what it returns is called after, to put
        back what was live."""

    def rest(self) -> None:
        """Called once after a moment of idleness: may load what the next job will need."""

    def close(self) -> None: ...
