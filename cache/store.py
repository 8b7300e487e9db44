"""The store of one workspace: journals are the source of truth, the index answers queries.

    append ──► journal (fsync = acknowledged) ──► refresh ──► index ──► points, scores
    other processes' journals, segments ─────────────┘

The first process to open a workspace owns `index.duckdb`, held by an `flock` that dies with it;
every other one replays segments and journals into memory. Both see the same rows in the same order.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cache.asking import has_score, numerics_of, recipe_of, records, scores
from cache.checking import Checking
from cache.claims import Claims
from cache.columns import Columns, join
from cache.compaction import compact
from cache.damage import Damage, Damaged
from cache.earlier import earlier
from cache.examples import examples
from cache.follow import Follower
from cache.joining import Joined, join_means
from cache.journal import Journal
from cache.keeping import Keeper
from cache.owning import own
from cache.point import Point
from engine.errors import ParetoscopeError

log = logging.getLogger(__name__)

T = TypeVar("T")

REMEMBERED = 8


class Store:
    """Points and scores of a workspace; open with `Store.open`. Thread safe.

    Attributes:
        workspace: its directory.
        owner: whether this store holds `index.duckdb`, or has it in memory.
        claims: what this process measures now, and others do not.
    """

    def __init__(self, workspace: Path, lock: int | None) -> None:
        self.workspace = workspace
        self.owner = lock is not None
        self._lock_file = lock
        self._lock = threading.Lock()
        self._behind = False
        self._joins: OrderedDict[Any, tuple[int, Columns]] = OrderedDict()
        self._recipes: dict[str, Mapping[str, Any]] = {}
        journals, segments = workspace / "journal", workspace / "segments"
        self._journal = Journal(journals)
        self._damaged = Damaged(workspace)
        journal = self._journal if self.owner else None
        keeper = Keeper(journals, segments, self._damaged, journal)
        if self.owner:
            keeper.clear()
        file = workspace / "index.duckdb" if self.owner else None
        self._follower = Follower(file, keeper)
        if self.owner:
            try:
                compact(journals, segments, set_aside=keeper.set_aside, mend=keeper.mended)
            except (ParetoscopeError, OSError) as error:  # what it did not pack is still there
                log.warning("journals not compacted: %s", error)
        self._follower.refresh()
        self._checking = Checking(self._follower.check, self._follower.unchecked)
        self.claims = Claims(workspace / "claims", self._read_others)

    @classmethod
    def open(cls, workspace: str | Path) -> Store:
        """Open a workspace, creating its directory (0700) if there is none.

        Raises:
            BadInput: the workspace cannot be written, or a newer version wrote it.
        """
        workspace = Path(workspace).expanduser().absolute()
        lock = own(workspace)
        try:
            return cls(workspace, lock)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    def close(self) -> None:
        """Close index and journal, and let another process own the index."""
        if self.owner:
            self._level()
        self.claims.close()
        self._checking.close()
        with self._lock:
            self._journal.close()
            self._follower.close()
            if self._lock_file is not None:
                os.close(self._lock_file)
                self._lock_file = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What is damaged in this workspace and set aside, the earliest found first."""
        return self._damaged.all()

    @property
    def version(self) -> int:
        """Grows whenever new rows are there, by `append` or `refresh`."""
        self._level()
        return self._follower.version

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Save rows; once this returns they are on disk and survive anything.

        The index takes them before the next question, together with others that came until then.

        Raises:
            ValueError: a row is not one (`cache.rows.clean`); nothing was written.
            NotSaved: the disk is full or failed.
            BadInput: the workspace cannot be written.
        """
        try:
            self._read_others()
        except Exception as error:
            log.warning("%s: could not be read before writing (%s)", self.workspace, error)
        try:
            self._journal.append(rows, self._follower.sequence)
        finally:  # a failed append may have saved some
            self._behind = True

    def refresh(self) -> bool:
        """Read what any process wrote since; two directory listings where nothing was.

        Returns:
            Whether there were new rows.
        """
        return self._follower.refresh()

    def _level(self) -> None:
        """Let the index take what this process wrote, before a question."""
        if self._behind:
            self._behind = False
            try:
                self.refresh()
            except Exception:
                # the rows are saved, and what was read before can still be asked for; the next
                # question tries again, so that none is answered without them for good
                self._behind = True
                log.exception("%s: saved, but not added to the index", self.workspace)

    def _ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """The answer of the index, which knows by then what this process wrote."""
        self._level()
        return self._follower.ask(lambda index: question(index, *arguments))

    def _read_others(self) -> set[str]:
        """Ids of scores that came since this was opened; its own, when there was a question."""
        own = self._journal.path
        self._follower.refresh(own.name if own is not None else None)
        return self._follower.arrived

    def has(self, point: str, objective_fingerprint: str, split: str, numerics: str) -> bool:
        """Whether this score is there: adding an objective evaluates only what is not."""
        return self._ask(has_score, point, objective_fingerprint, split, numerics)

    def point(self, point_id: str) -> dict[str, Any] | None:
        """The recipe of a point by its id, None if there is none."""
        return self._ask(recipe_of, point_id)

    def numerics(self, family: str, split: str = "explore") -> list[str]:
        """The numerics that a family has scores of, the most recent first."""
        return self._ask(numerics_of, family, split)

    def scores(
        self,
        family: str,
        *,
        objectives: Mapping[str, str] | None = None,
        split: str = "explore",
        numerics: str | None = None,
        point: str | None = None,
        values: bool = True,
    ) -> list[dict[str, Any]]:
        """Current score rows as they were appended, oldest first.

        Args:
            objectives: name -> fingerprint; rows of other fingerprints are left out.
            values: whether to read the per-example results too.
        """
        return self._ask(scores, family, split, objectives, numerics, point, values)

    def records(self, kind: str, family: str | None = None) -> list[dict[str, Any]]:
        """Rows of any kind, the newest of each id, oldest first."""
        return self._ask(records, kind, family)

    def columns(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> Columns:
        """The points of a family that have a score of an objective or failed, the earliest first.

        Remembered between calls: only points with new rows are joined again.

        Args:
            objectives: name -> fingerprint now; scores of an older fingerprint do not count.
        """
        key = (family, tuple(objectives.items()), split, numerics)
        version = self.version
        with self._lock:
            before, found = self._joins.get(key, (-1, None))
        if found is None or before != version:
            changed = self._follower.changed_since(before) if found is not None else None
            ask = family, objectives, split, numerics
            if found is None or changed is None:
                found = self._ask(join, *ask)
            elif changed:
                found = found.updated(self._ask(join, *ask, changed), changed)
        with self._lock:
            self._joins[key] = (version, found)
            self._joins.move_to_end(key)
            while len(self._joins) > REMEMBERED:
                self._joins.popitem(last=False)
        return found

    def means(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> Joined:
        """`columns` without recipes, and of the numbers `MEANS` alone; nothing is remembered."""
        return self._ask(join_means, family, objectives, split, numerics)

    def examples(
        self, objective_fingerprint: str, split: str, numerics: str, points: Sequence[str]
    ) -> np.ndarray:
        """Newest per-example values of points, float64 [points, rows]; NaN if there is none."""
        return self._ask(examples, objective_fingerprint, split, numerics, points)

    def earlier(
        self, family: str, objectives: Mapping[str, str], split: str, numerics: str
    ) -> dict[str, tuple[str, ...]]:
        """Objective -> points with a score as of an earlier definition alone (`cache.earlier`)."""
        return self._ask(earlier, family, objectives, split, numerics)

    def points(
        self,
        family: str,
        objectives: Mapping[str, str],
        split: str,
        numerics: str,
        only: Collection[str] | None = None,
    ) -> list[Point]:
        """`columns`, point by point.

        Args:
            only: ids; these points alone are looked at, and nothing is remembered of them.
        """
        if only is not None:
            found = self._ask(join, family, objectives, split, numerics, only)
            return found.points({})
        return self.columns(family, objectives, split, numerics).points(self._recipes)
