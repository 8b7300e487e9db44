"""Damaged data of a workspace, set aside under `damaged/` and reported.

    damaged/<id>.bytes    the bytes as they were found (none where a file is gone)
    damaged/<id>.json     which file, line and byte; what it held; what became of it; when

An id comes from the place and the bytes, so the same damage found again, by any process, is one.
The program does not need any of it: you can delete the directory after looking at it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cache.journal import UNFINISHED, make_directory, sync_directory
from cache.lines import Bad
from engine.errors import MOST, ParetoscopeError

log = logging.getLogger(__name__)

DIRECTORY = "damaged"
LEFT_OUT = "it is skipped"
# of a row, as far as it can still be read; printable ASCII alone, so that it may be shown
_FIELD = r'"{}":"([ !#-\[\]-~]{{1,80}})"'
_TEXTS = {name: re.compile(_FIELD.format(name)) for name in ("kind", "objective", "point", "error")}
_MEAN = re.compile(r'"mean":(-?[0-9.]+(?:[eE][+-]?[0-9]+)?)[,}]')


@dataclass(frozen=True)
class Damage:
    """One damaged place.

    Attributes:
        file: its path within the workspace.
        line: counted from 1, None if the file has no lines.
        byte: where it begins, counted from 0; None for a whole file.
        size: how many bytes were set aside.
        held: what it held, as far as that can be read.
        outcome: what became of it.
        found: unix seconds.
    """

    id: str
    file: str
    line: int | None
    byte: int | None
    size: int
    held: str
    outcome: str
    found: float

    def __str__(self) -> str:
        place = self.file
        place += f", line {self.line}" if self.line is not None else ""
        place += f", byte {self.byte}" if self.byte is not None else ""
        return f"{place}: {self.held}; {self.outcome}"


def told(workspace: Path, damages: Sequence[Damage]) -> list[str]:
    """The newest damages in words, a line each, and where their bytes are; none for none."""
    if not damages:
        return []
    lines = [f"damaged: {each}" for each in damages[-MOST:]]
    if (more := len(damages) - MOST) > 0:
        lines.insert(0, f"damaged: {more} more places found earlier")
    place = workspace / DIRECTORY
    return [*lines, f"The damaged data is kept in {place}; delete it once you have looked at it."]


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "file", "held", "outcome"), (str,)),
    **dict.fromkeys(("line", "byte"), (int, type(None))),
    "size": (int,),
    "found": (int, float),
}


class Damaged:
    """The damaged places of a workspace, found by this process and by others."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.directory = workspace / DIRECTORY
        self._read: dict[str, Damage] = {}
        self._unsaved: dict[str, Damage] = {}

    def all(self) -> tuple[Damage, ...]:
        """Every damaged place known, the earliest found first."""
        names = []
        with contextlib.suppress(OSError), os.scandir(self.directory) as entries:
            names = [each.name for each in entries if each.name.endswith(".json")]
        found = {name: self._read.get(name) or self._load(name) for name in names}
        self._read = found
        known = {each.id for each in found.values()}
        unsaved = [each for each in self._unsaved.values() if each.id not in known]
        return tuple(sorted((*found.values(), *unsaved), key=lambda each: (each.found, each.id)))

    def _load(self, name: str) -> Damage:
        path = self.directory / name
        try:
            found = Damage(**json.loads(path.read_text(encoding="utf-8")))
            for name_of, kinds in _KINDS.items():
                if not isinstance(getattr(found, name_of), kinds):
                    raise TypeError(f"{name_of} is {getattr(found, name_of)!r}"[:80])
            return found
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read (%s)", path, error)
            identity = name.removesuffix(".json")
            held = "the record of a damaged place"
            file = f"{DIRECTORY}/{name}"
            return Damage(identity, file, None, None, 0, held, "it cannot be read", 0.0)

    def lines(self, journal: Path, bad: Iterable[Bad], outcome: str = LEFT_OUT) -> bool:
        """Set aside what is damaged in a journal; once it returns true, that is on disk."""
        saved = True
        for each in bad:
            saved &= self.keep(
                journal,
                each.data,
                held=held_by(each.data, each.start),
                byte=each.start,
                line=_line_of(journal, each.start),
                outcome=outcome,
            )
        return saved

    def keep(
        self,
        file: Path,
        data: bytes,
        *,
        held: str,
        outcome: str,
        byte: int | None = None,
        line: int | None = None,
    ) -> bool:
        """Set bytes of a file aside; False if the disk does not take them."""
        named = file.relative_to(self.workspace).as_posix()
        key = f"{named}\n{byte}\n".encode() + data
        identity = hashlib.sha256(key).hexdigest()[:16]
        damage = Damage(identity, named, line, byte, len(data), held, outcome, time.time())
        if (self.directory / f"{identity}.json").exists():
            known = self._load(f"{identity}.json")
            if outcome in (LEFT_OUT, known.outcome):
                return True
        elif identity not in self._unsaved:
            log.info("%s: damaged: %s", self.workspace, damage)
        return self._save(damage, data)

    def move(self, file: Path, *, held: str, outcome: str) -> bool:
        """Move a whole file, of any size or kind, aside; False if that fails."""
        stat = file.lstat()
        named = file.relative_to(self.workspace).as_posix()
        identity = hashlib.sha256(f"{named}\n{stat.st_ino}\n{stat.st_mtime_ns}".encode())
        name = identity.hexdigest()[:16]
        about = Damage(name, named, None, None, stat.st_size, held, outcome, time.time())
        log.info("%s: damaged: %s", self.workspace, about)
        try:
            make_directory(self.directory)
            os.rename(file, self.directory / f"{name}.bytes")
            sync_directory(file.parent)
        except OSError as error:
            log.warning("%s could not be moved (%s)", file, error)
            return False
        return self._save(about, None)

    def _save(self, damage: Damage, data: bytes | None) -> bool:
        try:
            make_directory(self.directory)
            if data:
                self._write(self.directory / f"{damage.id}.bytes", data)
            about = json.dumps(asdict(damage), indent=1).encode()
            self._write(self.directory / f"{damage.id}.json", about)
        except (OSError, ParetoscopeError) as error:  # a disk that takes nothing
            log.warning("%s: the damaged data cannot be set aside (%s)", self.directory, error)
            self._unsaved[damage.id] = damage
            return False
        self._unsaved.pop(damage.id, None)
        return True

    def _write(self, path: Path, data: bytes) -> None:
        unfinished = path.with_name(f".{secrets.token_hex(4)}-{path.name}{UNFINISHED}")
        try:
            descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            raise
        sync_directory(self.directory)


def held_by(data: bytes, start: int = 1) -> str:
    """What damaged bytes of a journal held, as far as that can be read."""
    if len(data) == 1:
        return "the end of a line; the neighbouring rows are intact"
    if start == 0 and not data[1:].startswith(b'"kind":"score"'):
        return "the first line of this journal, which names its schema and holds no points"
    text = data.decode("latin-1")
    found = {name: pattern.search(text) for name, pattern in _TEXTS.items()}
    words = {name: match[1] for name, match in found.items() if match}
    told = words.get("kind", "a row")
    told += f" of {words['objective']}" if "objective" in words else ""
    told += f" of point {words['point']}" if "point" in words else ""
    told += f", mean {mean[1]}" if (mean := _MEAN.search(text)) else ""
    told += f", {words['error']}" if "error" in words else ""
    return told if words else "a row that cannot be read at all"


def _line_of(file: Path, byte: int) -> int | None:
    """The number of the line in which a byte lies, counted from 1."""
    try:
        with open(file, "rb") as opened:
            line = 1
            while byte > 0 and (data := opened.read(min(byte, 1 << 20))):
                line += data.count(b"\n")
                byte -= len(data)
            return line
    except OSError:
        return None
