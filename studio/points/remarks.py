"""A user's remarks on the points of a study: name, star, note, hidden.

Each is a row of the journal under the study and the point, written whole; the newest one counts.
A row names its point beside the index's own column of points: no score changes with it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cache.store import Store
from engine.counted import counted
from engine.errors import bad

KIND = "remark"
MOST_NAME = 60
MOST_NOTE = 2000
"""Characters."""


@dataclass(frozen=True)
class Remark:
    """What is said of a point.

    Attributes:
        asked: whether a user had it measured by itself, not a sweep.
        best: the objective on which it was computed to be its method's best.
    """

    name: str = ""
    note: str = ""
    star: bool = False
    hidden: bool = False
    asked: bool = False
    best: str = ""

    @property
    def mine(self) -> bool:
        """Whether a user has dealt with the point."""
        return bool(self.name or self.star or self.asked)


NOTHING = Remark()


def name_of(text: str) -> str:
    """A name as it is kept: one line, spaces as one.

    Raises:
        BadInput: it is longer than `MOST_NAME`.
    """
    found = "".join(each if each.isprintable() else " " for each in text)
    found = " ".join(found.split())
    if len(found) > MOST_NAME:
        raise bad("name", counted(len(found), "character"), f"Give one of at most {MOST_NAME}.")
    return found


class Remarks:
    """The remarks of one study. Thread safe; those of other processes are read too."""

    def __init__(self, store: Store, study: Path) -> None:
        self._store = store
        self._study = str(study)
        self._lock = threading.Lock()
        self._found: tuple[int, Mapping[str, Remark]] = (-1, {})

    def all(self) -> Mapping[str, Remark]:
        """Point id -> remark; the same object until rows came."""
        version = self._store.version
        with self._lock:
            if self._found[0] != version:
                found = {
                    str(row["of"]): _remark(row)
                    for row in self._store.records(KIND)
                    if row.get("study") == self._study
                }
                self._found = version, found if found != self._found[1] else self._found[1]
            return self._found[1]

    def of(self, point: str | None) -> Remark:
        """What is said of one point."""
        return self.all().get(point or "", NOTHING)

    def say(self, remarks: Mapping[str, Remark]) -> None:
        """Keep remarks, by the ids of their points, in place of what was said before."""
        self._store.append([self._row(point, remark) for point, remark in remarks.items()])

    def _row(self, point: str, remark: Remark) -> dict[str, Any]:
        key = hashlib.sha256(f"{self._study}\n{point}".encode()).hexdigest()
        return {"kind": KIND, "id": key, "study": self._study, "of": point, **asdict(remark)}


def _remark(row: Mapping[str, Any]) -> Remark:
    """A row's remark; what has not its type is left out."""
    texts = (row.get(each) for each in ("name", "note", "best"))
    name, note, best = (value if isinstance(value, str) else "" for value in texts)
    star, hidden, asked = (row.get(each) is True for each in ("star", "hidden", "asked"))
    return Remark(name, note, star, hidden, asked, best)


def names_of(remarks: Mapping[str, Remark]) -> dict[str, str]:
    """Point id -> name, of those that have one."""
    return {point: each.name for point, each in remarks.items() if each.name}


def hidden_of(remarks: Mapping[str, Remark], measured: Mapping[str, Any]) -> frozenset[str]:
    """The points that are hidden, of those measured."""
    return frozenset(point for point, each in remarks.items() if each.hidden and point in measured)
