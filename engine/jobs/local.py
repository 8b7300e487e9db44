"""The local executor: one worker process owns the models and the device.

It ends when its connection does, so it cannot outlive the process that started it (see
`engine.worker.process`). Imports no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from cache.claims import Claims
from engine import unfinished
from engine.errors import JobFailed
from engine.jobs.client import ConnectedExecutor
from engine.jobs.executor import OnRows
from engine.jobs.record import Ending, died
from engine.worker.messages import Options
from engine.worker.process import Process, how

REAL_SERVICE = "engine.jobs.service:Service"
HANG_SECONDS = 120.0
LOAD_SECONDS = 900.0
START_SECONDS = 60.0  # until the process is heard, before it imports torch
SAVED = "Saved points are safe; the point being measured is lost until you request it again."


class LocalExecutor(ConnectedExecutor):
    """Runs jobs in a worker process, which starts with the first job and again whenever it dies.

    Args:
        workspace: the user's data directory.
        device: "auto", "cpu", "cuda", …
        compute_dtype: overrides the dtype of computation.
        on_rows: saves rows and returns once they are on disk.
        claims: of the store that `on_rows` saves to.
        hang_seconds: the longest time between two quanta; the worker is killed after it.
        load_seconds: the longest time without one while models load.
        service: import path of what runs the jobs.
        environment: added to the worker's environment.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        device: str = "auto",
        compute_dtype: str | None = None,
        on_rows: OnRows | None = None,
        claims: Claims | None = None,
        hang_seconds: float = HANG_SECONDS,
        load_seconds: float = LOAD_SECONDS,
        service: str = REAL_SERVICE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(on_rows, claims, hang_seconds, load_seconds)
        self._workspace = Path(workspace)
        self._options = Options(service, str(workspace), device, compute_dtype)
        self._environment = dict(environment or {})
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    def _connect(self) -> Connection:
        unfinished.clean(self._workspace)
        source = str(Path(__file__).resolve().parents[2])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_WAIT_POLICY": "PASSIVE",
            **self._environment,
        }
        command = [sys.executable, "-m", "engine.jobs.worker"]
        with self._lock:
            if self._closed:
                raise JobFailed("the executor is closed")
            self._process = process = Process(command, self._options, environment)
        if not process.heard(START_SECONDS):
            reason = how(process.end())
            raise JobFailed(
                f"the worker did not start ({reason}); its messages are on standard error"
            )
        return process.connection

    def _ending(self) -> Ending:
        return died(f"the worker {self._obituary()}")

    def _obituary(self) -> str:
        """How it ended, and what happens to its work."""
        code = self._end()
        left = unfinished.clean(self._workspace)
        return f"{how(code)}. {SAVED}" + (f" {unfinished.told(left)}" if left else "")

    def _end(self) -> int:
        process, self._process = self._process, None
        return process.end() if process is not None else 0

    def _kill(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        super().close()
        if self._process is not None:
            self._obituary()
