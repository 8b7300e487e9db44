"""Who owns the index of a workspace: the first process to open it, by a lock that dies with it."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from cache.journal import make_directory, storage_error, try_lock
from cache.modes import secure_workspace

log = logging.getLogger(__name__)


def own(workspace: Path) -> int | None:
    """Make a workspace ready; the open lock of its index, None if another process holds it.

    Raises:
        BadInput: the workspace cannot be written.
    """
    make_directory(workspace)
    secure_workspace(workspace)
    try:
        place = workspace / "index.lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error(error, workspace) from error
    try:
        if try_lock(lock):
            with contextlib.suppress(OSError):  # the pid is for messages only
                os.truncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
            return lock
        owner = os.pread(lock, 32, 0).decode(errors="replace") or "?"
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    log.info("%s: process %s owns the index, this one has it in memory", workspace, owner)
    return None
