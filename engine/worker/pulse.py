"""Heartbeats of an engine, and when their absence means that it hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.worker.messages import Heartbeat


class Pulse:
    """What the engine last said of itself.

    While a job runs, the longest time between two quanta is `hang_seconds`; while models load
    (before a job's first quantum, and whenever the service says so) it is `load_seconds`. Each
    quantum starts the clock again.
    """

    def __init__(
        self, hang_seconds: float, load_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hang_seconds = hang_seconds
        self._load_seconds = load_seconds
        self._clock = clock
        self._ticks = -1
        self._moved = clock()
        self.state = "stopped"

    def change(self, state: str) -> None:
        self.state = state
        self._ticks = -1
        self._moved = self._clock()

    def moved(self) -> None:
        self._moved = self._clock()

    def heard(self, beat: Heartbeat) -> None:
        """Take a heartbeat; one without a new quantum in a running job is no sign that it moves."""
        if beat.state == "idle" or beat.state != self.state or beat.ticks != self._ticks:
            self.moved()
        self.state, self._ticks = beat.state, beat.ticks

    @property
    def limit(self) -> float:
        return self._hang_seconds if self.state in ("idle", "running") else self._load_seconds

    @property
    def stopped(self) -> bool:
        return self._clock() - self._moved > self.limit
