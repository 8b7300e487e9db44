"""A result directory that appears whole or not at all.

Everything is written to `OUT.tmp-…`, flushed to disk and renamed; whatever goes wrong before, the
partial directory is removed and OUT is as it was. After a kill the next start removes it (see
`engine.unfinished`): one on the same output, or in the workspace that it was recorded in.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from safetensors import SafetensorError

from engine import unfinished
from engine.counted import size_text
from engine.errors import ParetoscopeError, bad
from engine.private import share

_workspace: ContextVar[Path | None] = ContextVar("workspace", default=None)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_output(out: Path, needed: int = 0) -> None:
    """Refuse an output that is not absent or empty, not writable, or has no room.

    Args:
        needed: bytes that will be written.

    Raises:
        BadInput: before anything is written.
    """
    if "\0" in str(out):
        raise bad(str(out), "contains a null byte, which no path can", "Choose another output.")
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise bad(str(out), "exists and is not a directory", "Choose another output.")
        if out.is_dir() and any(out.iterdir()):
            raise bad(str(out), "the output directory is not empty", "Choose another, or empty it.")
        parent = _existing(out)
        if not parent.is_dir():
            raise bad(str(out), f"{parent} is not a directory", "Choose another output.")
        if not os.access(parent, os.W_OK):
            fix = "Choose another output or change its permissions."
            raise bad(str(parent), "is not writable", fix)
        free = free_bytes(out)
    except OSError as error:
        what = f"cannot be used as output ({error.strerror or error})"
        raise bad(str(out), what, "Choose another output.") from None
    if free < needed:
        what = f"{size_text(needed)} are needed and {size_text(free)} are free"
        raise bad(str(out), what, "Free some space or choose another disk.")


def free_bytes(out: Path) -> int:
    """Bytes free on the disk that `out` would lie on; raises `OSError` where it cannot be told."""
    return shutil.disk_usage(_existing(out)).free


def _existing(out: Path) -> Path:
    """The directory that is written in: beside `out`, or in it where it is a mount point."""
    if os.path.ismount(out):
        return out
    path = out.absolute().parent
    while not path.exists():
        path = path.parent
    return path


@contextmanager
def recording_in(workspace: Path) -> Iterator[None]:
    """While the block runs, directories that are begun are recorded in a workspace."""
    token = _workspace.set(workspace)
    try:
        yield
    finally:
        _workspace.reset(token)


@contextmanager
def new_directory(out: Path, needed: int = 0) -> Iterator[Path]:
    """A temporary directory that becomes `out` when the block ends well.

    A mount point cannot be renamed over; its files are moved in one by one. What is written is for
    others, by the user's umask.

    Raises:
        BadInput: as `check_output`.
        ParetoscopeError: the disk filled up; nothing is left behind.
    """
    out = out.absolute()
    unfinished.beside(out)
    check_output(out, needed)
    made = [each for each in out.parents if not each.exists()]
    name = f"{out.name}.tmp-{uuid.uuid4().hex[:8]}"
    partial = out / name if os.path.ismount(out) else out.with_name(name)
    with unfinished.recorded(_workspace.get(), partial, made):
        yield from _written(out, partial, made)


def _written(out: Path, partial: Path, made: Sequence[Path]) -> Iterator[Path]:
    mounted = partial.parent == out
    lock: int | None = None
    done = False
    try:
        partial.mkdir(parents=True)
        lock = unfinished.mark(partial)
        yield partial
        mark = partial / unfinished.MARK
        written = [each for each in sorted(partial.rglob("*")) if each != mark]
        for file in written:
            if file.is_file():
                _flush(file)
        share([partial, *written, *made])
        mark.unlink(missing_ok=True)
        _flush(partial)
        if mounted:
            for each in sorted(partial.iterdir()):
                each.rename(out / each.name)
        else:
            partial.rename(out)  # replaces an empty directory, refuses any other
        done = True
        _flush(out.parent)
    except (OSError, SafetensorError) as error:
        if _is_full(error):
            what = f"{out}: the disk is full. Nothing was written; free some space and try again."
            raise ParetoscopeError(what) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        for each in () if done else made:
            with contextlib.suppress(OSError):  # something else came to lie in it
                each.rmdir()


def _is_full(error: OSError | SafetensorError) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    # safetensors gives no number of its own
    return any(f"os error {number}" in str(error) for number in FULL)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
