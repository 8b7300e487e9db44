"""A process of a checkout that answers questions, for two builds that take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class Worker:
    """A script with the engine of a checkout: one question a line in, one JSON line out.

    Args:
        script: run with `place --threads N --work`; it must import nothing of ours but the engine,
            which is the checkout's, before it is asked.
        place: what it measures.
    """

    def __init__(self, script: str, checkout: Path, place: Path, threads: int) -> None:
        arguments = [sys.executable, str(Path(script).resolve()), str(place), "--work"]
        self.process = subprocess.Popen(
            [*arguments, "--threads", str(threads)],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, what: str) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{what}: {self.process.args} ended")
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
