"""Who may read what is written: its owner only, except for output meant for others.

A workspace holds prompts, answers and scores that may be private: its directories are 0700 and its
files 0600. An export, a merge, the shipped study are for others: they get the modes that the user's
own umask gives.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "PARETOSCOPE_UMASK"
"""The user's own umask, octal, for the processes that this one starts."""

PRIVATE = 0o077
FOR_OTHERS = ("exports", "demo")
"""What in a workspace is nobody's secret."""


def keep_private() -> None:
    """From now on this process, and those it starts, create files for their owner alone."""
    before = os.umask(PRIVATE)
    os.environ.setdefault(VARIABLE, f"{before:o}")


@contextmanager
def kept_private() -> Iterator[None]:
    """The same while the block runs: for a process that does other things too."""
    before, said = os.umask(PRIVATE), os.environ.get(VARIABLE)
    os.environ.setdefault(VARIABLE, f"{before:o}")
    try:
        yield
    finally:
        os.umask(before)
        if said is None:
            del os.environ[VARIABLE]


def users_umask() -> int | None:
    """The umask that the user came with; None if nothing changed it."""
    try:
        return int(os.environ[VARIABLE], 8) & 0o777
    except (KeyError, ValueError):
        return None


def share(paths: Iterable[Path]) -> None:
    """Give files and directories the modes that the user's own umask gives."""
    umask = users_umask()
    if umask is None:
        return
    for path in paths:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            path.chmod(0o777 & ~umask)
        elif stat.S_ISREG(mode):
            path.chmod(0o666 & ~umask)


def tighten(workspace: Path) -> None:
    """Take from others what an earlier version, or another umask, let them read in a workspace.

    A directory that is its owner's alone already is not looked into: what lies in it is out of
    reach.
    """
    with suppress(OSError):
        for each in list(workspace.iterdir()):
            if each.name not in FOR_OTHERS:
                _tighten(each)


def _tighten(path: Path) -> None:
    with suppress(OSError):  # gone meanwhile, or another user's
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) or not mode & PRIVATE or path.lstat().st_uid != os.geteuid():
            return
        path.chmod(stat.S_IMODE(mode) & ~PRIVATE)
        if stat.S_ISDIR(mode):
            for each in list(path.iterdir()):
                _tighten(each)
