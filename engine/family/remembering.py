"""Digests of files seen before, remembered in the workspace: `fingerprints.json`, one line with a
checksum. A file keeps its digest while its real path, size, mtime and inode are the same.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cache.damage import Damaged
from cache.journal import make_directory
from cache.lines import seal, sealed
from engine.errors import ParetoscopeError

logger = logging.getLogger(__name__)

MEMORY = "fingerprints.json"
VERSION = 2  # the first one had no checksum
# a file changed this recently may change again within one step of its clock: hashed, not remembered
SETTLED_SECONDS = 2.0


def file_identity(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def remembered(text: bytes) -> dict[str, list[Any]] | None:
    """Path -> size, mtime, inode and digest, as a memory's file says; None of a damaged one."""
    try:
        data = json.loads(text)
        if not sealed(text.removesuffix(b"\n")) and (data["version"] != 1 or "crc" in data):
            return None
        return {
            str(path): [*map(int, entry[:3]), str(entry[3])]
            for path, entry in data["files"].items()
            if len(entry) == 4 and len(str(entry[3])) == 64
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


class Digests:
    """Digests of files seen before; losing it costs time, never truth."""

    def __init__(self, workspace: Path) -> None:
        self.file = workspace / MEMORY
        self.known = self._load()

    def _load(self) -> dict[str, list[Any]]:
        try:
            text = self.file.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            logger.warning("%s is unreadable and will be rewritten (%s)", self.file, error)
            return {}
        if (known := remembered(text)) is None:
            Damaged(self.file.parent).keep(
                self.file, text, held="digests of model files", outcome="the files are read again"
            )
        return known or {}

    def find(self, path: Path) -> str | None:
        entry = self.known.get(os.path.realpath(path))
        return entry[3] if entry is not None and entry[:3] == file_identity(path) else None

    def add(self, digests: Mapping[Path, str]) -> None:
        """Remember digests of settled files, beside what another process has added meanwhile."""
        fresh = {}
        for path, digest in digests.items():
            identity = file_identity(path)
            if time.time() - identity[1] / 1e9 >= SETTLED_SECONDS:
                fresh[os.path.realpath(path)] = [*identity, digest]
        if not fresh:
            return
        self.known = {**self.known, **self._load(), **fresh}
        try:
            make_directory(self.file.parent)
            handle, name = tempfile.mkstemp(dir=self.file.parent, prefix=".fingerprints-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(seal(json.dumps({"version": VERSION, "files": self.known})))
                os.replace(name, self.file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except (OSError, ParetoscopeError) as error:
            logger.warning("fingerprints cannot be saved in %s (%s)", self.file, error)
