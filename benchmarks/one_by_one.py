"""A worker whose rows come one by one, as those of real models do: each waits until the shell has
followed the one before.

Rows of a tiny family come faster than a full workspace is read, and whoever looks at all there is
for each row then sees many at once. `benchmarks.earlier_store` runs the shells of two builds on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.jobs.service import Service as Real

LOOK_SECONDS = 0.03
LOOKS = 5
"""In so many looks in a row the shell does nothing."""

STATE, USER, SYSTEM = 0, 11, 12  # fields of /proc/PID/stat after the name
SPENT = 2  # ticks of 10 ms that heartbeats may take meanwhile


def _shell() -> tuple[str, int]:
    """What the shell does, and the CPU that it has used, in ticks."""
    fields = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
    return fields[STATE], int(fields[USER]) + int(fields[SYSTEM])


def wait_for_shell(tick: Callable[[], None]) -> None:
    """Return once the shell waits for the next row."""
    quiet, (_, start) = 0, _shell()
    while quiet < LOOKS:
        tick()
        time.sleep(LOOK_SECONDS)
        state, used = _shell()
        quiet = quiet + 1 if state == "S" and used - start <= SPENT else 0
        start = start if quiet else used


class _Emit:
    """`protocol.Emit` that waits behind each row."""

    def __init__(self, emit: Any, tick: Callable[[], None]) -> None:
        self._emit = emit
        self._tick = tick

    def __getattr__(self, name: str) -> Any:
        return getattr(self._emit, name)

    def __call__(self, kind: str, *data: Any) -> None:
        self._emit(kind, *data)
        if kind == "result":
            wait_for_shell(self._tick)


class Service(Real):
    """The real one, in step with the shell."""

    def run(self, job: Any, emit: Any, tick: Callable[[], None]) -> Mapping[str, Any]:
        return super().run(job, _Emit(emit, tick), tick)
