"""The in-line executor: the same messages over a socket pair, with the engine on a thread.

For one-shot commands and tests. A crash takes everything with it, and a hang is not noticed; long
jobs, or jobs beside a page, belong in the local executor. torch is imported on the engine's thread
only.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from cache.claims import Claims
from engine.jobs import server
from engine.jobs.client import ConnectedExecutor
from engine.jobs.executor import OnRows
from engine.jobs.local import REAL_SERVICE
from engine.jobs.record import Ending, died
from engine.jobs.served import Service
from engine.worker.talking import FAREWELL_SECONDS


class InlineExecutor(ConnectedExecutor):
    """Runs jobs on a thread of this process.

    Args:
        service: import path of what runs the jobs, or a function that makes it.
        workspace, device, compute_dtype, on_rows, claims: as for `LocalExecutor`.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        device: str = "auto",
        compute_dtype: str | None = None,
        on_rows: OnRows | None = None,
        claims: Claims | None = None,
        service: str | Callable[[], Service] = REAL_SERVICE,
    ) -> None:
        super().__init__(on_rows, claims, math.inf, math.inf)
        if isinstance(service, str):
            service = partial(server.make_service, service, workspace, device, compute_dtype)
        self._make = service
        self._engine: threading.Thread | None = None

    def _connect(self) -> Connection:
        here, there = Pipe()
        engine = server.Server(there)
        self._engine = threading.Thread(
            target=engine.run, args=(self._make,), name="engine", daemon=True
        )
        self._engine.start()
        return here

    def _ending(self) -> Ending:
        if self._engine is not None:
            self._engine.join(FAREWELL_SECONDS)
        return died("the in-line engine ended")

    def _kill(self) -> None:
        """A thread cannot be killed; it ends at its next quantum because its connection is gone."""
