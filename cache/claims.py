"""Claims: each score is measured by one process, even if several want it.

    <workspace>/claims/lock          held for the moment in which a process asks
    <workspace>/claims/PID-….ids     the ids that a process is measuring, one per line; the process
                                     holds an flock on it as long as it lives

    ask ── under the lock ──► there        its row has arrived: nothing to measure
                              elsewhere    another live process measures it: ask again later
                              granted      to this process, until its row is saved, its job asks for
                                           the next or ends, or the process does

A claim ends with its owner: the kernel releases the flock however a process ends, and the next
process to ask removes the file. An owner that is alive but stopped (by a signal) renews nothing;
its claims lapse after another process has seen no renewal for `LEASE_SECONDS`. When it continues,
its results are saved only if nobody else has saved them (`there`). Clocks of different processes
are never compared: the waiting process counts the seconds itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.journal import make_directory, storage_error, try_lock
from engine.worker.messages import Answer

LEASE_SECONDS = 600.0
RENEW_SECONDS = 30.0
LOOK_SECONDS = 60.0
"""At most so much between two looks counts as waited: the one who looks may have been stopped."""

WAIT_SECONDS = 1.0
"""How long one waits for the lock, which is held for a millisecond."""

SUFFIX = ".ids"

Arrived = Callable[[], Collection[str]]
"""Reads what others wrote; gives the ids of all scores that have arrived since the start."""


@dataclass
class _Watch:
    """What was seen of another process's file."""

    renewed: int
    looked: float
    waited: float = 0.0


class Claims:
    """The claims of this process in a workspace. Thread safe.

    Args:
        directory: `claims` of the workspace; made when first needed.
    """

    def __init__(
        self,
        directory: Path,
        arrived: Arrived,
        *,
        lease: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.directory = directory
        self._arrived = arrived
        self._lease = lease
        self._clock = clock
        self._saved: set[str] = set()
        self._held: dict[str, frozenset[str]] = {}
        self._written: frozenset[str] = frozenset()
        self._watched: dict[str, _Watch] = {}
        self._jammed = _Watch(0, 0.0)
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        self._descriptor = -1
        self._renewed = clock()
        self._lock = threading.Lock()
        if directory.is_dir():
            with contextlib.suppress(OSError), self._turn() as mine:
                if mine:
                    self._others()

    def ask(self, job: str, wanted: Sequence[Collection[str]]) -> Answer:
        """Claim what is free of the first group that has something free.

        A job holds what it was granted last and nothing else. One that is granted nothing and has
        to wait for others ends every claim of this process: the jobs that are parked under it
        have to ask again, so that no two processes wait for each other.

        Raises:
            BadInput, NotSaved: the workspace cannot be written.
        """
        with self._lock, self._errors():
            make_directory(self.directory)
            with self._turn() as mine:
                if not mine:
                    return Answer(elsewhere=frozenset().union(*wanted))
                others = self._others()
                # asked after the claims were read: what is no longer claimed is saved by now
                there = self.there(frozenset().union(*wanted))
                elsewhere: set[str] = set()
                granted: frozenset[str] = frozenset()
                for group in wanted:
                    left = frozenset(group) - there
                    elsewhere |= left & others
                    granted = left - others
                    if granted:
                        break
                if granted or not elsewhere:
                    self._held = {name: ids - granted for name, ids in self._held.items()}
                    self._held[job] = granted
                else:
                    self._held = {}
                self._write()
        return Answer(granted, there, frozenset(elsewhere))

    def there(self, ids: Collection[str]) -> frozenset[str]:
        """Which of these have a row by now."""
        arrived = self._arrived() if ids else ()
        return frozenset(each for each in ids if each in arrived or each in self._saved)

    def saved(self, ids: Collection[str]) -> None:
        """These have a row now, which this process wrote: their claims have ended."""
        self._saved.update(ids)

    def end(self, job: str) -> None:
        """A job is over: what it held and did not measure is free."""
        with self._lock:
            self._held.pop(job, None)
            self._let_go()

    def end_all(self) -> None:
        """The engine is gone, and with it all that it measured."""
        with self._lock:
            self._held = {}
            self._let_go()

    def renew(self) -> None:
        """Called about once a second while the engine lives."""
        with self._lock:
            self._let_go()
            if self._descriptor >= 0 and self._clock() - self._renewed >= RENEW_SECONDS:
                os.utime(self._descriptor)
                self._renewed = self._clock()

    def close(self) -> None:
        """Everything is free."""
        with self._lock:
            self._held, self._written = {}, frozenset()
            if self._descriptor >= 0:
                with contextlib.suppress(OSError):
                    self._path.unlink()
                os.close(self._descriptor)
                self._descriptor = -1

    def _let_go(self) -> None:
        """Write down that less is held; where the lock cannot be had, `renew` tries again."""
        if self._wanted() != self._written:
            with contextlib.suppress(OSError), self._turn() as mine:
                if mine:
                    self._write()

    def _wanted(self) -> frozenset[str]:
        return frozenset().union(*self._held.values())

    def _write(self) -> None:
        """The file says what is held; only under the lock, so that nobody reads half of it."""
        ids = self._wanted()
        if ids == self._written:
            return
        if self._descriptor < 0:
            self._descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = "".join(f"{each}\n" for each in sorted(ids)).encode()
        self._written = ids
        if os.pwrite(self._descriptor, data, 0) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(self._descriptor, len(data))
        self._renewed = self._clock()

    def _others(self) -> frozenset[str]:
        """What live processes measure; the files of dead ones are removed. Only under the lock."""
        found: set[str] = set()
        watched: dict[str, _Watch] = {}
        with os.scandir(self.directory) as entries:
            names = [each.name for each in entries if each.name.endswith(SUFFIX)]
        for name in names:
            if name == self._path.name:
                continue
            try:
                descriptor = os.open(self.directory / name, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:  # its owner closed it just now
                continue
            try:
                if try_lock(descriptor):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.directory / name)
                    continue
                status = os.fstat(descriptor)
                watched[name] = self._watch(self._watched.get(name), status.st_mtime_ns)
                if status.st_size and watched[name].waited < self._lease:
                    text = os.pread(descriptor, status.st_size, 0).decode(errors="replace")
                    found.update(text.splitlines())
            finally:
                os.close(descriptor)
        self._watched = watched
        return frozenset(found)

    def _watch(self, before: _Watch | None, renewed: int) -> _Watch:
        now = self._clock()
        if before is None or before.renewed != renewed:
            return _Watch(renewed, now)
        return _Watch(renewed, now, before.waited + min(now - before.looked, LOOK_SECONDS))

    @contextlib.contextmanager
    def _turn(self) -> Iterator[bool]:
        """Hold the lock; gives False if it cannot be had.

        Whoever is stopped while it holds the lock would stop everybody: after a lease the file is
        replaced.
        """
        place = self.directory / "lock"
        descriptor = self._take(place)
        if descriptor is None:
            with contextlib.suppress(FileNotFoundError):
                inode = os.stat(place).st_ino
                before = self._jammed if self._jammed.renewed == inode else None
                self._jammed = self._watch(before, inode)
                if self._jammed.waited >= self._lease:
                    os.unlink(place)
            yield False
            return
        self._jammed = _Watch(0, 0.0)
        try:
            yield True
        finally:
            os.close(descriptor)

    def _take(self, place: Path) -> int | None:
        limit = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < limit:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if try_lock(descriptor):
                with contextlib.suppress(FileNotFoundError):
                    if os.stat(place).st_ino == os.fstat(descriptor).st_ino:
                        return descriptor
            os.close(descriptor)
            time.sleep(0.001)
        return None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise storage_error(error, self.directory) from error
