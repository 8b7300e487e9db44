"""Which files of a model's directory are its own: regular ones that lie in it.

    model/tokenizer.json -> ../base/tokenizer.json        leaves the directory
    models--ORG--NAME/snapshots/REV/config.json -> ../../blobs/HASH    the hub cache's own

What an export copies must not lead out of the directory: whoever made the link would choose which
of our files are handed on. A pipe, a socket or a device is no part of a model at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from engine.errors import Problem
from engine.plain_file import irregular


def special_files(path: Path, name: str) -> list[Problem]:
    """The problem of a pipe, a socket or a device in a model's directory; none is opened."""
    for entry in sorted(os.scandir(path), key=lambda each: each.name):
        try:
            what = irregular(entry.stat().st_mode)
        except OSError:  # a link that leads nowhere
            continue
        if what is not None and what != "a directory":
            where = f"{name} ({path})"
            return [Problem(where, f"{entry.name} is {what}, not a regular file", "Remove it.")]
    return []


def _homes(path: Path) -> tuple[Path, ...]:
    """Where the files of a directory may lie: in it, or in the hub cache among its blobs."""
    home = path.resolve()
    snapshots = home.parent
    if snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--"):
        return home, snapshots.parent / "blobs"
    return (home,)


def leaving(path: Path, files: Iterable[Path]) -> list[Problem]:
    """The problem of each file that a link of the directory has elsewhere, with where it points."""
    homes = _homes(path)
    problems = []
    for file in files:
        found = file.resolve()
        if any(found.is_relative_to(home) for home in homes):
            continue
        what = f"{file.relative_to(path)} is a link to outside the directory: it is {found}"
        fix = "If it belongs to the model, replace the link with a copy of that file."
        problems.append(Problem(str(path), what, fix))
    return problems
