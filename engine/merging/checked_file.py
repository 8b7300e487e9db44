"""Safetensors files that the program keeps for itself: each whole or not at all, and believed only
while they are as they were written.

    NAME.safetensors      the tensors
    NAME.sha256           of that file
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import unfinished

log = logging.getLogger(__name__)

_STEP = 4 << 20

Pieces = Tensor | Sequence[Tensor]
"""A tensor, or flat ones of one type that are one after another in a file."""

_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.uint8: "U8",
}  # fmt: skip


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


def write(file: Path, tensors: Mapping[str, Pieces], **metadata: str) -> None:
    """The file and its digest; nothing of it is copied in memory."""
    directory, lock = unfinished.make_temporary(".new-", file.parent)
    try:
        fresh = directory / file.name
        fresh.touch(0o600)
        with fresh.open("wb") as handle:
            for part in _laid(tensors, {"format": "pt", **metadata}):
                handle.write(part)
        digest = digest_file(fresh)
        digest.write_text(_sha256(fresh, nothing) + "\n", encoding="ascii")
        os.replace(fresh, file)
        os.replace(digest, digest_file(file))
    finally:
        unfinished.drop(directory, lock)


def size_of(tensors: Mapping[str, Pieces]) -> int:
    """Bytes of these tensors."""
    return sum(each.nbytes for pieces in tensors.values() for each in _pieces(pieces))


def _pieces(given: Pieces) -> Sequence[Tensor]:
    return [given] if isinstance(given, Tensor) else given


def _laid(tensors: Mapping[str, Pieces], metadata: Mapping[str, str]) -> Iterator[Any]:
    """The bytes of a safetensors file: wide types first, so that every tensor is aligned."""
    header: dict[str, Any] = {"__metadata__": metadata}
    order = sorted(tensors, key=lambda name: (-_pieces(tensors[name])[0].itemsize, name))
    end = 0
    for name in order:
        given = tensors[name]
        count = sum(each.numel() for each in _pieces(given))
        start, end = end, end + sum(each.nbytes for each in _pieces(given))
        header[name] = {
            "dtype": _TYPES[_pieces(given)[0].dtype],
            "shape": list(given.shape) if isinstance(given, Tensor) else [count],
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        for each in _pieces(tensors[name]):
            yield each.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


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
