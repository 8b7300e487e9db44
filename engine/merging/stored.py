"""Bases in a workspace: what one process computes is there for the others and the next start.

    <workspace>/bases/<key>.safetensors     a sparse W or its thin factors, and its digest beside it
                      <key>.lock            held by the process that computes it; the others wait

The key says the family, the method with its structural parameters, the code that computed it, and
the processor, whose vector instructions round some functions differently. A file that is damaged or
of something else is computed again. Together the files take `LIMIT` bytes; the least recently used
goes first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.merging import checked_file

log = logging.getLogger(__name__)

FOLDER = "bases"
LIMIT = 16 << 30
LEAST = 1 << 20
"""Weights of a model from which on its bases are kept: a smaller one's are computed as fast."""

WAIT_SECONDS = 0.05
_FORMAT = 1

_computing: set[Path] = set()
"""Locks that this process holds: within a tick it may want the same basis again."""


@cache
def _code() -> str:
    """sha256 of the modules that compute bases."""
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


class Stored:
    """The bases of one family.

    Args:
        family: its fingerprint, and the order of its experts.
        device: where the arithmetic runs.
    """

    def __init__(self, workspace: Path, family: tuple[str, ...], device: torch.device) -> None:
        self.place = workspace / FOLDER
        name = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
        vectors = torch.backends.cpu.get_cpu_capability()
        self._same = [_FORMAT, *family, _code(), torch.__version__, name, vectors]

    def file(self, method: str, parameters: Mapping[str, Any]) -> Path:
        """Where a method's basis lies."""
        data = json.dumps([*self._same, method, dict(parameters)], sort_keys=True)
        return self.place / f"{hashlib.sha256(data.encode()).hexdigest()[:40]}.safetensors"

    def read(self, file: Path, tick: Callable[[], None]) -> dict[str, Tensor] | None:
        """What a file holds, mapped; None where it is not there or not as it was written."""
        if not checked_file.sound(file, tick):
            return None
        try:
            os.utime(file)
            with safe_open(str(file), framework="pt", device="cpu") as opened:
                if (opened.metadata() or {}).get("basis") != file.stem:
                    log.warning("%s is not what its name says and will be rebuilt", file)
                    return None
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except FileNotFoundError:  # another process needed the room
            return None
        except (OSError, SafetensorError) as error:
            log.warning("%s cannot be read (%s)", file, error)
            return None

    def write(self, file: Path, tensors: Mapping[str, checked_file.Pieces]) -> None:
        """Keep a basis where there is room; the least recently used make it."""
        size = checked_file.size_of(tensors)
        try:
            if size > LIMIT or 2 * size > shutil.disk_usage(self.place).free:
                return
            checked_file.write(file, tensors, basis=file.stem)
            files = checked_file.oldest_first(self.place)
            used = [each.stat().st_size for each in files if each.exists()]
            over = sum(used) - LIMIT
            for old in files:
                if over <= 0 or old == file:
                    break
                over -= old.stat().st_size
                checked_file.remove(old)
        except OSError as error:  # it is computed again where it is needed again
            log.warning("a basis cannot be kept in %s (%s)", self.place, error)

    @contextmanager
    def alone(self, file: Path, tick: Callable[[], None]) -> Iterator[None]:
        """No other process computes this basis while the block runs.

        Args:
            tick: called while another one does; may raise.
        """
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = file.with_suffix(".lock")
        if lock in _computing:
            yield
            return
        descriptor = _locked(lock, tick)
        _computing.add(lock)
        try:
            yield
        finally:
            _computing.discard(lock)
            if descriptor is not None:
                lock.unlink(missing_ok=True)
                os.close(descriptor)


def _locked(lock: Path, tick: Callable[[], None]) -> int | None:
    """The descriptor that holds a lock; None on a file system without locks."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
            os.close(descriptor)  # its owner has removed it meanwhile
        except BlockingIOError:
            os.close(descriptor)
            tick()
            time.sleep(WAIT_SECONDS)
        except OSError:
            os.close(descriptor)
            return None
