"""Safetensors files that the program keeps for itself: each whole or not at all, and believed only
while they are as they were written.

    NAME.safetensors      the tensors
    NAME.sha256           of that file
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from engine import unfinished

log = logging.getLogger(__name__)

_STEP = 4 << 20


def nothing() -> None:
    """The tick of work that is never interrupted."""


def digest_file(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _sha256(file: Path, tick: Callable[[], None]) -> str:
    found, buffer = hashlib.sha256(), memoryview(bytearray(_STEP))
    with file.open("rb", buffering=0) as handle:
        while count := handle.readinto(buffer):
            found.update(buffer[:count])
            tick()
    return found.hexdigest()


def sound(file: Path, tick: Callable[[], None] = nothing) -> bool:
    """Whether a file is there as it was written; it is read, with a tick every few megabytes."""
    try:
        said = digest_file(file).read_text(encoding="ascii").strip()
        if said == _sha256(file, tick):
            return True
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s cannot be read (%s)", file, error)
        return False
    log.warning("%s is damaged and will be rebuilt", file)
    return False


def write(file: Path, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """The file and its digest."""
    directory, lock = unfinished.make_temporary(".new-", file.parent)
    try:
        fresh = directory / file.name
        save_file(dict(tensors), fresh, metadata={"format": "pt", **metadata})
        digest = digest_file(fresh)
        digest.write_text(_sha256(fresh, nothing) + "\n", encoding="ascii")
        os.replace(fresh, file)
        os.replace(digest, digest_file(file))
    finally:
        unfinished.drop(directory, lock)


def remove(file: Path) -> None:
    """The file and its digest, where they are there."""
    file.unlink(missing_ok=True)
    digest_file(file).unlink(missing_ok=True)


def oldest_first(place: Path) -> list[Path]:
    """The files of a directory in the order of their last use (`os.utime`)."""
    found = []
    for file in place.glob("*.safetensors"):
        try:
            found.append((file.stat().st_mtime_ns, file))
        except FileNotFoundError:  # another process removed it meanwhile
            continue
    return [file for _, file in sorted(found)]
