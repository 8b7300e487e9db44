"""The local executor: one worker process owns the models and the device.

    Popen(python -m engine.jobs.worker) ── stdin: options and key ──► worker listens, says where on
    stdout connect with the key ◄─────────── AF_UNIX in a private directory ──────────►

The worker ends when its stdin does, so it cannot outlive the process that started it. Imports no
torch.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, wait
from pathlib import Path
from typing import Any

from cache.claims import Claims
from engine import unfinished
from engine.errors import JobFailed
from engine.jobs.client import ConnectedExecutor
from engine.jobs.executor import OnRows
from engine.jobs.record import Ending, died

log = logging.getLogger(__name__)

REAL_SERVICE = "engine.jobs.service:Service"
HANG_SECONDS = 120.0
LOAD_SECONDS = 900.0
START_SECONDS = 60.0  # until the process listens, before it imports torch
SAVED = "Points that were saved stay; the one it was measuring is lost until you ask for it again."
END_SECONDS = 0.5  # a process whose connection ended has ended by then, or lives on


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
        self._options = {
            "workspace": str(workspace),
            "device": device,
            "compute_dtype": compute_dtype,
            "service": service,
        }
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._address: Any = None
        self._directory: tuple[Path, int | None] | None = None
        self._key = b""

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _connect(self) -> Connection:
        if self.pid is None:
            self._start()
        try:
            return Client(self._address, authkey=self._key)
        except (OSError, EOFError, AuthenticationError) as error:
            reason = (
                self._obituary(*self._end()) if self.pid is None else f"cannot be reached ({error})"
            )
            self._kill()
            raise JobFailed(f"the worker {reason}") from error

    def _start(self) -> None:
        """Start the process and learn where it listens."""
        self._key = secrets.token_bytes(32)
        unfinished.clean(self._workspace)
        self._directory = unfinished.make_temporary("worker")
        directory = str(self._directory[0])
        source = str(Path(__file__).resolve().parents[2])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_WAIT_POLICY": "PASSIVE",
            **self._environment,
        }
        with self._lock:
            if self._closed:
                raise JobFailed("the executor is closed")
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "engine.jobs.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        assert process.stdin is not None and process.stdout is not None
        try:
            options = {**self._options, "key": self._key.hex(), "directory": directory}
            process.stdin.write(json.dumps(options).encode() + b"\n")
            process.stdin.flush()
            ready = wait([process.stdout.fileno()], START_SECONDS)
            line = process.stdout.readline() if ready else b""
            self._address = json.loads(line)["address"] if line else None
        except (OSError, ValueError) as error:
            self._address = None
            log.warning("the worker's start failed: %s", error)
        if self._address is None:
            reason = _how(self._end()[0])
            raise JobFailed(
                f"the worker did not start ({reason}); its messages are on standard error"
            )
        if isinstance(self._address, list):
            self._address = tuple(self._address)

    def _ending(self) -> Ending | None:
        process = self._process
        if process is None:
            return died("the worker is gone")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        if process.returncode is None and self._leaving is None:
            return None
        return died(f"the worker {self._obituary(*self._end())}")

    def _end(self) -> tuple[int, list[unfinished.Left]]:
        """Make sure that the process has ended, and remove what it left unfinished; its exit code,
        and what that was."""
        process, self._process = self._process, None
        if process is None:
            return 0, []
        if process.poll() is None:
            process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._directory is not None:
            unfinished.drop(*self._directory)
            self._directory = None
        return code, unfinished.clean(self._workspace)

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def close(self) -> None:
        super().close()
        self._end()

    @staticmethod
    def _obituary(code: int, left: list[unfinished.Left]) -> str:
        """How it ended, and what is left of its work."""
        return f"{_how(code)}. {SAVED}" + (f" {unfinished.told(left)}" if left else "")


def _how(code: int) -> str:
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "was killed, probably out of memory"
    if code < 0:
        return f"died of {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
