"""A study opened for one command: its family, objectives, store and executor."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cache.damage import told
from cache.joining import Joined
from cache.point import Point
from cache.rows import score_id
from cache.store import Store
from engine.errors import bad, shown, unknown
from engine.family.compatibility import Family, open_family
from engine.family.fingerprint import family_fingerprint
from engine.jobs.executor import Executor, Handle
from engine.jobs.inline import InlineExecutor
from engine.jobs.local import LocalExecutor
from engine.jobs.protocol import Job
from engine.recipe import Recipe, point_id, read_recipe, recipe_from_dict, resolve
from engine.scoring.objectives import copies_notes, objective_fingerprint, prepare
from engine.study import Objective, load_study


class Progress:
    """Progress on standard error: one line rewritten on a terminal, a line per step elsewhere."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, line: str, detail: str = "") -> None:
        """Show where the work stands.

        Args:
            detail: changes too often for a log; shown on a terminal only.
        """
        if sys.stderr.isatty():
            text = shown(f"{line} · {detail}" if detail else line)
            sys.stderr.write(f"\033[2K{text}\r")
        elif line != self._last:
            sys.stderr.write(shown(line) + "\n")
        self._last = line
        sys.stderr.flush()

    def job(self, data: Mapping[str, Any]) -> None:
        """Show a job's progress event."""
        detail = str(data.get("objective") or "")
        if data.get("waiting"):
            detail = "other processes measure the rest"
        if data.get("of_rows"):
            detail += f" {data['rows']} of {data['of_rows']}"
        total = data.get("total")
        self(f"{data.get('done', 0)} of {total}" if total else "working", detail)


progress = Progress()


class Session:
    """A study opened for one command: its family, objectives, store and executor."""

    def __init__(self, args: SimpleNamespace, *, executor: str = "inline") -> None:
        self.args = args
        self.study = load_study(args.study)
        self.family = open_family(self.study.family)
        self.objectives = prepare(self.study, chat_template=self.family.has_chat_template)
        for note in copies_notes(self.objectives):
            sys.stderr.write(f"{shown(note)}\n")
        self.store = Store.open(args.workspace)
        for line in told(self.store.workspace, self.store.damages):
            sys.stderr.write(shown(line) + "\n")
        self._kind = executor
        self._executor: Executor | None = None
        self._fingerprints: tuple[str, dict[str, str]] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.close()
        self.store.close()

    @property
    def executor(self) -> Executor:
        """Made when first needed: it imports torch."""
        if self._executor is None:
            options = {
                "device": self.args.device,
                "compute_dtype": self.args.compute_dtype,
                "on_rows": self.store.append,
                "claims": self.store.claims,
            }
            if self._kind == "local":
                self._executor = LocalExecutor(self.args.workspace, **options)
            elif self._kind == "ray":
                raise bad("--executor", "ray is not part of this version", "Use local or inline.")
            else:
                self._executor = InlineExecutor(self.args.workspace, **options)
        return self._executor

    @property
    def family_fingerprint(self) -> str:
        return self._prints()[0]

    @property
    def objective_fingerprints(self) -> dict[str, str]:
        return self._prints()[1]

    def _prints(self) -> tuple[str, dict[str, str]]:
        if self._fingerprints is None:
            self._fingerprints = fingerprints_of(self.family, self.objectives, self.args.workspace)
        return self._fingerprints

    @property
    def scorers(self) -> dict[str, str]:
        """Objective -> its scorer."""
        return {each.name: each.scorer for each in self.objectives}

    def chosen(self) -> tuple[Objective, ...]:
        """The objectives of --objectives, in its order, with scorer defaults filled in."""
        by_name = {each.name: each for each in self.objectives}
        return tuple(by_name[each.name] for each in self.study.select(self.args.objectives))

    def recipes(self) -> list[Recipe]:
        """The recipes of --recipe and --point, in the order of the arguments."""
        found = []
        for kind, value in self.args.wanted:
            if kind == "recipe":
                found.append(resolve(read_recipe(Path(value)), self.study.family.names, value))
            else:
                found.append(self.recipe_of(value))
        return found

    def recipe_of(self, point: str) -> Recipe:
        """The recipe of a point of this workspace; raises `BadInput` where there is none."""
        data = self.store.point(point)
        if data is None:
            known = [each.id for each in self.points(self.numerics_there())]
            raise unknown("--point", "point", point, known[-20:])
        return resolve(recipe_from_dict(data, point), self.study.family.names, point)

    def numerics_there(self, split: str = "explore") -> str | None:
        """The numerics of the newest scores of this family; None where there are none."""
        found = self.store.numerics(self.family_fingerprint, split)
        return found[0] if found else None

    def points(
        self,
        numerics: str | None,
        split: str = "explore",
        only: Collection[str] | None = None,
    ) -> list[Point]:
        """Points of this family, all or those of the ids given, over the study's objectives as
        they are now."""
        if numerics is None:
            return []
        return self.store.points(
            self.family_fingerprint, self.objective_fingerprints, split, numerics, only
        )

    def means(self, numerics: str | None) -> Joined | None:
        """The means of all points, as columns; None where there is no score."""
        if numerics is None:
            return None
        return self.store.means(
            self.family_fingerprint, self.objective_fingerprints, "explore", numerics
        )

    def tell_earlier(self, numerics: str | None, split: str = "explore") -> None:
        """Say on standard error which scores are as of an earlier definition, and left out."""
        if numerics is None:
            return
        found = self.store.earlier(
            self.family_fingerprint, self.objective_fingerprints, split, numerics
        )
        for name, points in found.items():
            sys.stderr.write(
                f"{name}: scores as of an earlier definition, left out: {len(points)};"
                " evaluate their points again\n"
            )

    def submit(
        self, kind: str, payload: Mapping[str, Any], priority: str = "interactive"
    ) -> Handle:
        job = Job(kind, {"study": str(self.study.path), **payload}, "command", priority)  # type: ignore[arg-type]
        return self.executor.submit(job)

    def run(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Submit a job, show its progress, wait for its result; an interrupt cancels it."""
        handle = self.submit(kind, payload)
        with cancelling(handle):
            for event in handle.events():
                if event.kind == "progress":
                    progress.job(event.data)
            return handle.result()

    def have(self, recipes: Sequence[Recipe], split: str, numerics: str) -> list[str]:
        """Ids of the score rows that are there already."""
        family, prints = self.family_fingerprint, self.objective_fingerprints
        points = {point_id(each, family): None for each in recipes}
        return [
            score_id(point.id, prints[name], split, numerics)
            for point in self.store.points(family, prints, split, numerics, points)
            for name in point.scores
        ]


@contextlib.contextmanager
def cancelling(handle: Handle) -> Iterator[None]:
    """Cancel the job when the block is interrupted."""
    try:
        yield
    except BaseException:
        handle.cancel()
        raise


def fingerprints_of(
    family: Family, objectives: Sequence[Objective], workspace: Path
) -> tuple[str, dict[str, str]]:
    """(family fingerprint, objective name -> fingerprint)."""
    assert family.tokenizer is not None
    prints = {each.name: objective_fingerprint(each, family.tokenizer.hash) for each in objectives}
    return family_fingerprint(family, workspace), prints
