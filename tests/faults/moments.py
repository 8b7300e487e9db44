"""Every moment at which a program changes files, counted: at the n-th one it can be killed, or the
disk can be full.

A moment is a call of the operating system that writes: what Python code asks for through `os`. What
a library writes by itself is met by a limit on the size of files (`tests.faults.forks`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

WRITES = ("write", "pwrite", "fsync", "fdatasync", "rename", "replace", "mkdir", "truncate",
          "ftruncate", "link", "symlink", "sendfile")  # fmt: skip
"""What needs room, or makes something durable."""

CHANGES = (*WRITES, "unlink", "remove", "rmdir", "chmod", "utime")


class Counter:
    """How many moments there were so far."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""


@contextlib.contextmanager
def at_moment(
    turn: int, act: Callable[[], None], names: tuple[str, ...] = WRITES
) -> Iterator[Counter]:
    """Within it, `act` is called instead of the call number `turn` (from 1) and all later ones.

    Yields:
        The counter: whether the moment came at all.
    """
    counter = Counter()
    own = {name: getattr(os, name) for name in names}

    def counted(name: str) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            counter.count += 1
            counter.last = name
            if counter.count >= turn:
                act()
            return own[name](*words, **more)

        return call

    for name in names:
        setattr(os, name, counted(name))
    try:
        yield counter
    finally:
        for name, function in own.items():
            setattr(os, name, function)


def full() -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only() -> NoReturn:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until it has come
