"""Who may read a workspace: its owner alone. Files 0600, directories 0700."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

KEPT = {
    "journal", "segments", "damaged", "blobs", "claims", "fingerprints.json",
    "adapters", "bases", "feedings", "fits", "tokenizers", "unfinished",
}  # fmt: skip


def secure(*paths: Path) -> None:
    """Take from group and others what they may do with these, where they are there."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            found = path.lstat().st_mode
            if (stat.S_ISDIR(found) or stat.S_ISREG(found)) and found & 0o077:
                os.chmod(path, stat.S_IMODE(found) & 0o700)


def secure_workspace(workspace: Path) -> None:
    """The same for what the program keeps in a workspace; links are not followed.

    The directory itself is closed where it holds nothing else: somebody's own files may lie beside.
    Blobs may be many, and earlier builds alone wrote them readable: they are gone through where
    their database still is.
    """
    with os.scandir(workspace) as entries:
        names = {entry.name for entry in entries}
    kept = {name for name in names if name in KEPT or name.startswith("index.")}
    if names - {*kept, "demo", "exports"} == set():
        secure(workspace)
    database = workspace / "blobs" / "cache.db"
    if database.exists() and not database.stat().st_mode & 0o077:
        kept.discard("blobs")
    for name in kept:
        secure(workspace / name)
        if not (workspace / name).is_symlink():
            _secure_below(workspace / name)


def _secure_below(directory: Path) -> None:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            secure(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                _secure_below(Path(entry.path))
