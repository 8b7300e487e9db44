"""Finds what a killed process left behind, and removes it at the next start.

    OUT.tmp-1f2e3d4c/            what is being written, until it is renamed to OUT
      .unfinished                marks it as ours; its lock is held as long as its process lives
    <workspace>/unfinished/…     says where such a directory lies; locked in the same way

The kernel lets go of a lock however its process ends. So nothing is removed that is not marked, or
whose lock is held: a living process's work, and what is somebody else's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

MARK = ".unfinished"
RECORDS = "unfinished"
INSIDE = (".demo-", ".fingerprints-", ".new-")
"""What the names of what is being written in a workspace begin with."""
TEMPORARY = re.compile(r"paretoscope-[a-z]+-[a-z0-9_]{8}")
"""The names of our directories in the folder for temporary files."""

EARLIER = re.compile(r"paretoscope-adapters-(\d{1,9})-\w+")
"""What they were before they were marked: with a process id."""


@dataclass(frozen=True)
class Left:
    """Something that a dead process left.

    Attributes:
        removed: whether it is gone now; otherwise it needs a user's hand.
    """

    path: Path
    removed: bool


def _locked(path: Path, *, new: bool) -> int | None:
    """The open descriptor of a file with its lock; None if another process holds it, or where
    it is gone."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if new else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        if new:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except OSError:  # held, or removed meanwhile, or a file system without locks
        pass
    os.close(descriptor)
    return None


def mark(directory: Path) -> int | None:
    """Mark a new directory as ours and unfinished.

    Returns:
        The descriptor that holds the lock; closing it, or dying, lets go. None on a file system
        that has no locks: what lies there is then never taken for a dead process's.
    """
    descriptor = _locked(directory / MARK, new=True)
    if descriptor is None:
        (directory / MARK).unlink(missing_ok=True)
    return descriptor


@contextmanager
def begun(directory: Path) -> Iterator[None]:
    """A directory is written in its own place while the block runs, and stays marked where the
    block does not end well: `remove` takes it then."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = mark(directory)
    try:
        yield
        (directory / MARK).unlink(missing_ok=True)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove(directory: Path) -> Left | None:
    """Remove a directory that is marked and whose process is dead; None if it is not."""
    if directory.is_symlink() or not directory.is_dir():
        return None
    if directory.stat().st_uid != os.geteuid():
        return None
    descriptor = _locked(directory / MARK, new=False)
    if descriptor is None:
        if (directory / MARK).exists():
            return None
        try:
            directory.rmdir()  # killed before the mark; nothing is in it
        except OSError:
            return None
        return Left(directory, True)
    try:
        return _emptied(directory)
    finally:
        os.close(descriptor)


def _emptied(directory: Path) -> Left:
    shutil.rmtree(directory, ignore_errors=True)
    return Left(directory, not directory.exists())


def beside(out: Path) -> list[Left]:
    """Remove what dead processes left of the output `out`."""
    name = re.compile(re.escape(out.name) + r"\.tmp-[0-9a-f]{8}")
    places = (out.parent, out)  # in it, where it is a mount point
    found = [each for place in places for each in listed(place) if name.fullmatch(each.name)]
    return [left for each in found if (left := remove(each)) is not None]


@contextmanager
def recorded(workspace: Path | None, path: Path, made: Sequence[Path]) -> Iterator[None]:
    """The workspace knows, while the block runs, that `path` is being written.

    Args:
        workspace: None if there is none to record it in.
        made: the directories above it that do not exist yet, the nearest first.
    """
    if workspace is None:
        yield
        return
    record = workspace / RECORDS / uuid.uuid4().hex
    try:
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _locked(record, new=True)
    except OSError as error:  # a workspace that cannot be written stops no work beside it
        log.warning("%s cannot be recorded in %s (%s)", path, workspace, error.strerror)
        yield
        return
    try:
        record.write_text(json.dumps({"path": str(path), "made": [str(each) for each in made]}))
        yield
    finally:
        record.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def clean(workspace: Path) -> list[Left]:
    """Remove what dead processes left of their outputs, in the workspace, in the folder for
    temporary files. A few directories are listed: every start does it."""
    found = []
    for record in listed(workspace / RECORDS):
        found += _by_record(record)
    for each in (*listed(workspace), *listed(workspace / "adapters"), *listed(workspace / "bases")):
        if each.name.startswith(INSIDE):
            left = remove(each) if each.is_dir() else remove_file(each)
            found += [left] if left is not None else []
    found += clean_temporary()
    for kept in (each for each in found if not each.removed):
        log.warning("%s was left by a process that was killed; remove it", kept.path)
    return found


def clean_temporary() -> list[Left]:
    """Remove what dead processes left in the folder for temporary files."""
    found = []
    for each in listed(Path(tempfile.gettempdir())):
        if TEMPORARY.fullmatch(each.name):
            left = remove(each)
        elif (earlier := EARLIER.fullmatch(each.name)) and _is_dead(int(earlier[1])):
            left = _emptied(each)
        else:
            continue
        found += [left] if left is not None else []
    return found


def _is_dead(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OverflowError, PermissionError):  # another user's, alive
        return False
    return False


@contextmanager
def temporary_directory(kind: str) -> Iterator[Path]:
    """A private directory of this process, gone at the end or, after a kill, at the next start."""
    path, descriptor = make_temporary(kind)
    try:
        yield path
    finally:
        drop(path, descriptor)


def make_temporary(kind: str, within: Path | None = None) -> tuple[Path, int | None]:
    """(a new private directory, the descriptor of its lock), for `drop`.

    Args:
        kind: a word in its name.
        within: where; the folder for temporary files by default.
    """
    if within is None:
        clean_temporary()
    prefix = kind if within else f"paretoscope-{kind}-"
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        with contextlib.suppress(FileNotFoundError):  # taken for a dead process's, still empty
            return path, mark(path)


def drop(path: Path, descriptor: int | None) -> None:
    """Remove a directory of this process."""
    shutil.rmtree(path, ignore_errors=True)
    if descriptor is not None:
        os.close(descriptor)


def told(left: Iterable[Left]) -> str:
    """What is left of a killed process's work, and where, in words."""
    found = list(left)
    there = [str(each.path) for each in found if not each.removed]
    if there:
        return f"Left unfinished and could not be removed: {', '.join(there)}. Remove it by hand."
    gone = ", ".join(str(each.path) for each in found)
    return f"Removed what it left unfinished: {gone}." if gone else "Nothing was left behind."


def listed(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir())
    except OSError:
        return []


def remove_file(file: Path) -> Left | None:
    """Remove a file that no living process has locked."""
    descriptor = _locked(file, new=False)
    if descriptor is None:
        return None
    try:
        file.unlink()
    except OSError:
        return Left(file, False)
    finally:
        os.close(descriptor)
    return Left(file, True)


def _by_record(record: Path) -> list[Left]:
    descriptor = _locked(record, new=False)
    if descriptor is None:
        return []
    try:
        said = json.loads(record.read_text(encoding="utf-8") or "null") or {"path": "", "made": []}
        path, made = Path(said["path"]), [Path(each) for each in said["made"]]
    except (OSError, ValueError, KeyError, TypeError):
        path, made = Path(""), []
    found = []
    try:
        if re.search(r"\.tmp-[0-9a-f]{8}$", path.name) and path.is_dir():
            found.append(_emptied(path))
        for each in made:
            with contextlib.suppress(OSError):  # something else came to lie in it
                each.rmdir()
        if all(each.removed for each in found):
            record.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
    return found
