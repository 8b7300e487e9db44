"""A study file's successor, written beside it until it takes its place.

.study-1a2b3c4d.unfinished.yaml     locked as long as the process that writes it lives
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.unfinished import Left, listed, remove_file

END = ".unfinished.yaml"


@contextmanager
def successor(file: Path) -> Iterator[tuple[Path, int]]:
    """A new file beside `file`, to be renamed to it: its path and descriptor; gone at the end."""
    clean_beside(file)
    descriptor, name = tempfile.mkstemp(END, f".{file.stem}-", file.parent)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(name), descriptor
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(descriptor)


def clean_beside(file: Path) -> list[Left]:
    """Remove the successors that killed processes left beside `file`."""
    name = re.compile(rf"\.{re.escape(file.stem)}-[a-z0-9_]{{8}}{re.escape(END)}")
    found = [each for each in listed(file.parent) if name.fullmatch(each.name)]
    return [left for each in found if (left := remove_file(each)) is not None]
