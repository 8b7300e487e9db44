"""Memory that no file backs (Linux's RssAnon), of this process and of commands."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

EVERY = 0.005
"""Seconds between two looks."""


def anonymous(process: int | str = "self") -> int:
    """Bytes of a process's memory that no file backs; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return 1024 * next((int(each.split()[1]) for each in lines if each.startswith("RssAnon")), 0)


def peak(run: Callable[[], object], every: float = EVERY) -> int:
    """The most anonymous memory of this process during a run, above that before it, in bytes."""
    start, most, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(every):
            most = max(most, anonymous() - start)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        run()
    finally:
        done.set()
        watching.join()
    return most


def command(given: Sequence[str], more: Mapping[str, str] | None = None) -> tuple[float, int]:
    """CPU-seconds of a command, user and system, and its peak of anonymous memory in bytes.

    Args:
        more: environment variables besides this process's.

    Raises:
        SystemExit: it failed, with the end of what it said.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        given, env=os.environ | dict(more or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    said, most = b"", 0
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        said += process.stdout.read() or b""
        time.sleep(EVERY)
    said += process.stdout.read() or b""
    if process.returncode:
        raise SystemExit(said.decode()[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, most
