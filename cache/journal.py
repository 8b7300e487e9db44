"""Append-only journals: the source of truth for every point that was ever scored.

    <workspace>/journal/<started>-<pid>-<random>.jsonl    one file a writer, one JSON row a line

A writer holds an exclusive `flock` on its file as long as it lives; the kernel releases it however
the process ends. So the lock, never a process id that may have been reused, tells whether the
writer is dead.

`Journal.append` returns once its rows are fsynced: they are *acknowledged*. A row is a line with
its newline (`cache.lines`); what follows the last one was never acknowledged and is never read,
unless its newline is what was damaged. After a failed write the file is cut back to its last whole
line and left, and the next append starts a new one: a reader may have seen the whole lines already,
and after a failed fsync nothing more can be known about a file's pages.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cache.lines import SCHEMA, UNSEALED, Bad, schema_of, seal, whole
from cache.rows import clean, pack
from engine.errors import ParetoscopeError, bad

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
UNFINISHED = ".new"
BATCH = 100
CHUNK = 8 << 20
FIRST = 1024
WRITABLE = "Choose another workspace (--workspace, PARETOSCOPE_HOME) or make this one writable."


class NotSaved(ParetoscopeError):
    """The disk did not take the rows; none of those named in the failed call counts as saved."""


def storage_error(error: OSError, path: Path, fix: str = WRITABLE) -> ParetoscopeError:
    """The error of this tree for a file that cannot be written: who can repair it, and how.

    Args:
        fix: where it may not be written: what to do.
    """
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NotSaved(
            f"{path}: the disk is full ({reason}). This could not be saved; "
            "everything acknowledged before it is safe. Free some space and try again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return bad(str(path), f"cannot be written ({reason})", fix)
    return NotSaved(f"{path}: writing failed ({reason}). This could not be saved.")


def sync_directory(path: Path) -> None:
    """Make names durable: a new file is only there once its directory is synced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory, and those above it, readable by its owner alone (0700).

    Raises:
        BadInput: it cannot be created, or something that is not a directory has its name.
    """
    try:
        if not path.is_dir():
            if not path.parent.exists():
                make_directory(path.parent)
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            if not path.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, "something other than a file has this name", str(path)
                )
            sync_directory(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock of an open file; False if another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Journal:
    """This process's own journal file, created by the first append. Thread safe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path: Path | None = None
        self._descriptor = -1
        self._size = 0
        self._sequence = 0
        self._lock = threading.Lock()

    def append(self, rows: Iterable[Mapping[str, Any]], after: int = 0) -> None:
        """Write rows and return once they are on disk, in batches of at most 100 rows an fsync.

        Args:
            after: the largest sequence that was read; those of the rows are larger.

        Raises:
            ValueError: a row is not one (`cache.rows.clean`); nothing was written.
            NotSaved: the disk is full or failed. Rows of earlier batches may be on disk; writing
                them again is harmless, since rows of one id count once.
            BadInput: the workspace cannot be written.
        """
        packed = [pack(clean(row)) for row in rows]
        with self._lock:
            first = max(self._sequence, after) + 1
            lines = [_line(row, first + place) for place, row in enumerate(packed)]
            for start in range(0, len(lines), BATCH):
                batch = lines[start : start + BATCH]
                self._sequence = first + start + len(batch) - 1
                self._write(b"".join(batch))

    def restore(self, packed: Iterable[dict[str, Any]]) -> None:
        """Write rows as they were packed before, their sequences kept.

        Raises:
            NotSaved, BadInput: as `append`.
        """
        lines = [seal(_text(row)) for row in packed]
        with self._lock:
            for start in range(0, len(lines), BATCH):
                self._write(b"".join(lines[start : start + BATCH]))

    def close(self) -> None:
        """Let go of the file and its lock; a later append starts a new one."""
        with self._lock:
            self._leave()

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            if self._descriptor < 0 or os.fstat(self._descriptor).st_nlink == 0:
                self._start()
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
        except BaseException as error:
            whole = data.rfind(b"\n", 0, written) + 1
            if self._descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size + whole)
            path = self.path or self.directory
            self._leave()
            if isinstance(error, OSError):
                raise storage_error(error, path) from error
            raise
        self._size += written

    def _start(self) -> None:
        """Create the file under another name, lock it, then rename: no one sees it unlocked."""
        self._leave()
        make_directory(self.directory)
        name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
        unfinished = self.directory / f".{name}{UNFINISHED}"
        about = {"kind": "journal", "schema": SCHEMA, "pid": os.getpid(), "at": time.time()}
        header = seal(_text(about))
        self._descriptor = os.open(
            unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(self._descriptor, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
            path = self.directory / f"{name}{SUFFIX}"
            os.rename(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            self._leave()
            raise
        sync_directory(self.directory)
        self.path, self._size = path, len(header)

    def _leave(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self.path, self._size = -1, None, 0


def _line(packed: dict[str, Any], sequence: int) -> bytes:
    packed["sequence"] = sequence
    return seal(_text(packed))


def _text(packed: Mapping[str, Any]) -> str:
    return json.dumps(packed, allow_nan=False, separators=(",", ":"))


def read_journal(path: Path, start: int = 0, chunk: int = CHUNK) -> bytes:
    """About `chunk` bytes of whole lines from byte `start`; empty if there is none (yet).

    Raises:
        FileNotFoundError: the journal is gone (compacted).
    """
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read(chunk)
        while b"\n" not in data and (more := file.read(chunk)):
            data += more
    return data[: whole(data)]


def end_of(path: Path) -> Bad | None:
    """The bytes after the last whole line of a dead writer's journal; None if there are none.

    Raises:
        FileNotFoundError: the journal is gone (compacted).
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        if file.read(1) in (b"", b"\n") or not try_lock(file.fileno()):
            return None
        start, found = size, b""
        while start and b"\n" not in found:
            start = max(start - CHUNK, 0)
            file.seek(start)
            found = file.read(size - start)
    begin = found.rfind(b"\n") + 1
    begin += whole(found[begin:])
    return Bad(start + begin, found[begin:]) if begin < len(found) else None


def cut_short(end: Bad) -> bool:
    """Whether what stands at a journal's end may be a row whose writing was cut short."""
    return all(0x20 <= byte < 0x7F for byte in end.data)


def journal_schema(path: Path) -> int | None:
    """The schema of a journal, None if its header is damaged.

    Raises:
        FileNotFoundError: the journal is gone (compacted).
        BadInput: the journal was written by a newer version.
    """
    with open(path, "rb") as file:
        schema = schema_of(file.readline(FIRST).removesuffix(b"\n"))
    if schema is not None and not UNSEALED <= schema <= SCHEMA:
        raise bad(
            str(path),
            f"this journal has schema {schema!r}, this version reads up to {SCHEMA}",
            "Use the newer Paretoscope that wrote it, or a different workspace.",
        )
    return schema


def list_journals(directory: Path) -> dict[str, int]:
    """Name (without suffix) -> size in bytes of every journal there is, oldest first.

    What is no file (a directory, a pipe, which would be waited for) is none.
    """
    found: dict[str, int] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and entry.is_file():
                    with contextlib.suppress(FileNotFoundError):
                        found[entry.name.removesuffix(SUFFIX)] = entry.stat().st_size
    except FileNotFoundError:
        return {}
    return dict(sorted(found.items()))
