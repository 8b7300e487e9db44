"""What the export page needs to know of the disk: where to write, whether it may, what came."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from engine.errors import Problem


def default_place(workspace: Path, study: str, point: str) -> Path:
    """A directory of its own for each point, in the workspace."""
    return workspace / "exports" / f"{study}-{point}"


def refusal(out: Path) -> Problem | None:
    """Why nothing can be written there, seen before the engine starts; None where it can."""
    if not out.is_absolute():
        return Problem(str(out), "not an absolute path", "Start it with / or ~.")
    if out.exists() and not out.is_dir():
        return Problem(str(out), "this is a file", "Choose a directory.")
    if out.is_dir() and any(out.iterdir()):
        return Problem(str(out), "this directory is not empty", "Choose a new or empty one.")
    parent = out
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        return Problem(str(parent), "this is not a directory", "Choose another.")
    if not os.access(parent, os.W_OK):
        return Problem(str(parent), "this directory cannot be written", "Choose another.")
    return None


def written(out: Path, files: Iterable[str]) -> list[tuple[str, int]]:
    """Name and bytes of each file of an export that is there."""
    found = []
    for name in files:
        path = out / name
        if path.is_file():
            found.append((name, path.stat().st_size))
    return found


def size_text(size: int) -> str:
    """Bytes in words: 1.2 MB."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} bytes"
