"""Which work a living process is doing, so that another process does not take it for abandoned.

    <workspace>/claims/ID.work     its process holds an flock on it; the kernel lets go of the lock
                                   however the process ends

On a file system without locks, no work counts as somebody else's.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cache.journal import make_directory, try_lock

SUFFIX = ".work"
TRIES = 10


class Living:
    """The work that this process has in hand. One thread at a time.

    Args:
        directory: `claims` of the workspace; made when first needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._held: dict[str, int] = {}

    def hold(self, work: str) -> bool:
        """Take work in hand; False if another process has it.

        Raises:
            BadInput, NotSaved: the workspace cannot be written.
        """
        make_directory(self.directory)
        path = self._path(work)
        for _ in range(TRIES if work not in self._held else 0):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:  # it can be run all the same, only not be told of
                return True
            with contextlib.suppress(OSError):  # without locks, or removed meanwhile
                if not try_lock(descriptor):
                    os.close(descriptor)
                    return False
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    self._held[work] = descriptor
                    return True
            os.close(descriptor)
        return True

    def let_go(self, work: str) -> None:
        """It is over."""
        descriptor = self._held.pop(work, None)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                self._path(work).unlink()
            os.close(descriptor)

    def let_go_all(self) -> None:
        """Nothing is in hand any more."""
        for each in list(self._held):
            self.let_go(each)

    def elsewhere(self, work: str) -> bool:
        """Whether another living process has it; what a dead one left is removed."""
        if work in self._held:
            return False
        try:
            descriptor = os.open(self._path(work), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if not try_lock(descriptor):
                return True
            self._path(work).unlink(missing_ok=True)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return False

    def _path(self, work: str) -> Path:
        return self.directory / f"{work}{SUFFIX}"
