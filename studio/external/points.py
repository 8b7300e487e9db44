"""External points of a study: what others measured, beside its own points.

They are no points of the store: they have no recipe, so no slider, no surrogate, no export and no
front knows them. Each is a row of the journal under the study and its name, written whole; the
newest one counts.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cache.store import Store
from engine.errors import bad, unknown
from engine.front.bounds import Bounds, sides_of
from engine.front.pareto import as_maximize
from engine.recipe import FrozenDict
from engine.scoring.intervals import with_interval
from engine.study import Objective
from studio.shared import once
from studio.workbench import Workbench

KIND = "external"
WORD = "external"
"""What table, chart and JSON say of where such a point comes from."""
MOST_NAME = 120
"""Characters."""


@dataclass(frozen=True)
class Score:
    """What a file says of one model on one objective.

    Attributes:
        stderr, n: None where the file does not say.
        value: what it is called there, "task:metric,filter" or a column.
        file, sha256: where it comes from.
        form: what wrote it.
        scorer, direction: of the objective it was mapped to, as that was defined then.
    """

    mean: float
    stderr: float | None
    n: int | None
    value: str
    file: str
    sha256: str
    form: str
    scorer: str
    direction: str

    def of(self, objective: Objective) -> bool:
        """Whether the objective is still the one that it was mapped to."""
        return (self.scorer, self.direction) == (objective.scorer, objective.direction)

    def document(self) -> dict[str, Any]:
        """mean, stderr, n, low, high as any score has them, and where they come from."""
        numbers = {"mean": self.mean, "stderr": self.stderr, "n": self.n}
        origin = {name: getattr(self, name) for name in ("form", "value", "file", "sha256")}
        return {"low": None, "high": None, **with_interval(self.scorer, numbers), "origin": origin}


@dataclass(frozen=True)
class External:
    """A model that others measured.

    Attributes:
        scores: objective -> score.
        origin: the word for where it comes from.
    """

    id: str
    name: str
    scores: Mapping[str, Score]
    origin: str = WORD

    def document(self) -> dict[str, Any]:
        """As commands print it."""
        scores = {name: each.document() for name, each in self.scores.items()}
        return {"id": self.id, "name": self.name, "origin": self.origin, "scores": scores}


class Externals:
    """The external points of one study. Thread safe; those of other processes are read too."""

    def __init__(self, store: Store, study: Path) -> None:
        self._store = store
        self._study = str(study)
        self._lock = threading.Lock()
        self._found: tuple[int, tuple[External, ...]] = (-1, ())

    def all(self) -> tuple[External, ...]:
        """Every one, the earliest first; the same object until rows came."""
        version = self._store.version
        with self._lock:
            if self._found[0] != version:
                rows = self._store.records(KIND)
                found = [_external(row) for row in rows if row.get("study") == self._study]
                there = tuple(each for each in found if each is not None)
                self._found = version, there if there != self._found[1] else self._found[1]
            return self._found[1]

    def shown(self, objectives: Sequence[Objective]) -> tuple[External, ...]:
        """Those with a score of an objective as it is defined now, and these scores alone."""
        by_name = {each.name: each for each in objectives}
        found = []
        for external in self.all():
            scores = {
                name: score
                for name, score in external.scores.items()
                if name in by_name and score.of(by_name[name])
            }
            if scores:
                found.append(External(external.id, external.name, FrozenDict(scores)))
        return tuple(found)

    def add(self, scores: Mapping[str, Mapping[str, Score]]) -> list[External]:
        """Keep scores by the name of their model: those of other objectives, that it has from an
        earlier file, stay.

        Raises:
            BadInput: a name that cannot be shown.
        """
        there = {each.id: each for each in self.all()}
        found = []
        for given, each in scores.items():
            name = name_of(given)
            key = self._id(name)
            before = there[key].scores if key in there else {}
            found.append(External(key, name, FrozenDict({**before, **each})))
        self._store.append([self._row(each) for each in found])
        return found

    def remove(self, ids: Sequence[str]) -> list[External]:
        """Take them off the study; raises `BadInput` for an id that there is none of."""
        there = {each.id: each for each in self.all()}
        for each in ids:
            if each not in there:
                raise unknown("--remove", "external point", each, there)
        gone = [there[each] for each in dict.fromkeys(ids)]
        rows = [self._row(External(each.id, each.name, FrozenDict())) for each in gone]
        self._store.append(rows)
        return gone

    def _id(self, name: str) -> str:
        return hashlib.sha256(f"{KIND}\n{self._study}\n{name}".encode()).hexdigest()[:12]

    def _row(self, external: External) -> dict[str, Any]:
        scores = {name: asdict(each) for name, each in external.scores.items()}
        return {
            "kind": KIND, "id": external.id, "study": self._study, "name": external.name,
            "scores": scores,
        }  # fmt: skip


def name_of(text: str) -> str:
    """A model's name as it is kept: one line, spaces as one; raises `BadInput`."""
    found = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if not found or len(found) > MOST_NAME:
        what = f"{text[:40]!r} is no name of 1 to {MOST_NAME} characters"
        raise bad("--name", what, "Give another with --name.")
    return found


def _external(row: Mapping[str, Any]) -> External | None:
    """A row's point; None where it was taken off, or a newer version wrote what is not known."""
    names = {each.name for each in fields(Score)}
    scores, found = row.get("scores"), {}
    for name, each in scores.items() if isinstance(scores, Mapping) else ():
        if isinstance(each, Mapping) and names <= each.keys():
            found[str(name)] = Score(**{key: each[key] for key in names})
    known = isinstance(row.get("name"), str) and found
    return External(str(row["id"]), str(row["name"]), FrozenDict(found)) if known else None


def values_of(externals: Sequence[External], names: Sequence[str]) -> np.ndarray:
    """Means, float64 [externals, names]; NaN where there is none."""
    found = [
        [each.scores[name].mean if name in each.scores else np.nan for name in names]
        for each in externals
    ]
    return np.array(found, dtype=np.float64).reshape(len(found), len(names))


def within(externals: Sequence[External], bounds: Bounds) -> list[External]:
    """Those that meet every bound; one without that score does not."""
    found = list(externals)
    for name, side in sides_of(bounds):
        there = [each for each in found if name in each.scores]
        met = side.met(values_of(there, [name])[:, 0])
        found = [each for each, good in zip(there, met.tolist(), strict=True) if good]
    return found


def dominating(
    externals: Sequence[External],
    front: np.ndarray,
    names: Sequence[str],
    directions: Sequence[str],
) -> list[int | None]:
    """How many points of the front dominate each external one: at least as good on every objective
    and better on one; None where it lacks one of them.

    Args:
        front: float64 [k, names], means.
        directions: "maximize" or "minimize" of each.
    """
    sign = np.where(as_maximize(tuple(directions)), 1.0, -1.0)
    found: list[int | None] = []
    for own in values_of(externals, names):
        if not np.isfinite(own).all():
            found.append(None)
            continue
        gain = (front - own) * sign
        found.append(int(((gain >= 0).all(axis=1) & (gain > 0).any(axis=1)).sum()))
    return found


def externals_of(bench: Workbench) -> Externals:
    """Those of the study that is open."""
    found: Externals = once(bench, KIND, lambda: Externals(bench.store, bench.study.path))
    return found
