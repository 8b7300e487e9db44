"""A result directory that appears whole or not at all.

Everything is written to `OUT.tmp-…`, flushed to disk and renamed; whatever goes wrong before, the
partial directory is removed and OUT is as it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ParetoscopeError, bad


def check_output(out: Path, needed: int = 0) -> None:
    """Refuse an output that is not absent or empty, not writable, or has no room.

    Args:
        needed: bytes that will be written.

    Raises:
        BadInput: before anything is written.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise bad(str(out), "exists and is not a directory", "Choose another output.")
    if out.is_dir() and any(out.iterdir()):
        raise bad(str(out), "the output directory is not empty", "Choose another, or empty it.")
    parent = _existing(out)
    if not os.access(parent, os.W_OK):
        raise bad(
            str(parent), "is not writable", "Choose another output or change its permissions."
        )
    free = shutil.disk_usage(parent).free
    if free < needed:
        what = f"{needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free"
        raise bad(str(out), what, "Free some space or choose another disk.")


def _existing(path: Path) -> Path:
    path = path.absolute().parent if not path.is_dir() else path
    while not path.exists():
        path = path.parent
    return path


@contextmanager
def new_directory(out: Path, needed: int = 0) -> Iterator[Path]:
    """A temporary directory that becomes `out` when the block ends well.

    Raises:
        BadInput: as `check_output`.
        ParetoscopeError: the disk filled up; nothing is left behind.
    """
    out = out.absolute()
    check_output(out, needed)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.tmp-{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        yield partial
        for file in sorted(partial.rglob("*")):
            if file.is_file():
                _flush(file)
        _flush(partial)
        os.rename(partial, out)  # replaces an empty directory, refuses any other
        _flush(out.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = f"{out}: the disk is full. Nothing was kept; free some space and try again."
            raise ParetoscopeError(what) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
