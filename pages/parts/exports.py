"""What the export page needs to know of the disk: where to write, whether it may, what came."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.errors import BadInput, Problem
from engine.export.directory import check_output


def default_place(workspace: Path, study: str, point: str) -> Path:
    """A directory of its own for each point, in the workspace."""
    return workspace / "exports" / f"{study}-{point}"


def refusal(out: Path) -> Problem | None:
    """Why nothing can be written there, seen before the engine starts; None where it can."""
    if not out.is_absolute():
        return Problem(str(out), "not an absolute path", "Start it with / or ~.")
    try:
        check_output(out)
    except BadInput as error:
        return error.problems[0]
    return None


def written(out: Path, files: Iterable[str]) -> list[tuple[str, int]]:
    """Name and bytes of each file of an export that is there."""
    found = []
    for name in files:
        path = out / name
        if path.is_file():
            found.append((name, path.stat().st_size))
    return found


def listing(files: Iterable[tuple[str, int]]) -> str:
    """Files as lines, their sizes in a column."""
    found = [(name, size_text(size)) for name, size in files]
    width = max((len(name) for name, _ in found), default=0)
    return "\n".join(f"{name:<{width}}  {size:>10}" for name, size in found)


def size_text(size: int) -> str:
    """Bytes in words: 1.2 MB."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} bytes"
