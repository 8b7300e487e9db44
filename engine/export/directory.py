"""A result directory that appears whole or not at all.

Everything is written to `OUT.tmp-…`, flushed to disk and renamed; whatever goes wrong before, the
partial directory is removed and OUT is as it was.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from engine.errors import ParetoscopeError, bad


def check_output(out: Path, needed: int = 0) -> None:
    """Refuse an output that is not absent or empty, not writable, or has no room.

    Args:
        needed: bytes that will be written.

    Raises:
        BadInput: before anything is written.
    """
    if "\0" in str(out):
        raise bad(str(out), "holds a null byte, which no path does", "Choose another output.")
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
        what = f"cannot be an output ({error.strerror or error})"
        raise bad(str(out), what, "Choose another output.") from None
    if free < needed:
        what = f"{needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free"
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
def new_directory(out: Path, needed: int = 0) -> Iterator[Path]:
    """A temporary directory that becomes `out` when the block ends well.

    A mount point cannot be renamed over; its files are moved in one by one.

    Raises:
        BadInput: as `check_output`.
        ParetoscopeError: the disk filled up; nothing is left behind.
    """
    out = out.absolute()
    check_output(out, needed)
    mounted = os.path.ismount(out)
    partial = out.with_name(f"{out.name}.tmp-{uuid.uuid4().hex[:8]}")
    if mounted:
        partial = out / partial.name
    made = [each for each in out.parents if not each.exists()]
    done = False
    try:
        partial.mkdir(parents=True)
        yield partial
        for file in sorted(partial.rglob("*")):
            if file.is_file():
                _flush(file)
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
            what = f"{out}: the disk is full. Nothing was kept; free some space and try again."
            raise ParetoscopeError(what) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for each in () if done else made:
            with contextlib.suppress(OSError):  # something else came to lie in it
                each.rmdir()


def _is_full(error: OSError | SafetensorError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"os error {errno.ENOSPC}" in str(error)  # safetensors gives no number of its own


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
