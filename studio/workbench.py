"""The one entry from the pages to store and engine: a study, its points, its jobs.

    pages ──► Workbench ─┬─► Store      points, read again when another process wrote some
                       └─► Executor   open, evaluate, export: in the worker, never in this process

Imports neither Streamlit nor torch. Thread safe: several browser sessions share one bench.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engine  # noqa: F401  (registers every method)
from cache.columns import Columns
from cache.rows import score_id
from cache.store import Store
from engine.bands import plain
from engine.family.compatibility import Family
from engine.jobs.executor import Executor
from engine.jobs.reported import reported as report_rows
from engine.recipe import Recipe, find_method, point_id, resolve, unmerged
from engine.scoring.harmful import names_in
from engine.study import Objective, Study
from engine.worker.messages import Job, Priority
from studio.combining import refresh
from studio.points.arrivals import Arrivals
from studio.points.held import Held
from studio.points.remarks import Remarks, names_of
from studio.points.view import Measured, measure
from studio.remembered import keys_before
from studio.task import Task, WorkerState


@dataclass(frozen=True)
class Opened:
    """How the study's scores are keyed: what the engine says when it has opened the study.

    Attributes:
        family: fingerprint of the family.
        objectives: name -> fingerprint.
        numerics: device kind, compute dtype and bucket version, as scores are keyed.
    """

    family: str
    objectives: Mapping[str, str]
    numerics: str


class Workbench:
    """A study on a store and an executor.

    Args:
        objectives: checked, directions filled in.
    """

    def __init__(
        self,
        study: Study,
        objectives: Sequence[Objective],
        family: Family,
        workspace: Path,
        store: Store,
        executor: Executor,
    ) -> None:
        self.study = study
        self.objectives = tuple(objectives)
        self.family = family
        self.names = names_in(study, family)
        self.workspace = workspace
        self.store = store
        self.executor = executor
        self.opened: Opened | None = None
        before = keys_before(family, self.objectives, store, workspace)
        self._remembered = Opened(*before) if before is not None else None
        self._lock = threading.RLock()
        self._tasks: dict[str, Task] = {}
        self._measured: tuple[Any, Columns | None, Measured] = ((), None, measure((), ()))
        self._earlier: tuple[Any, dict[str, tuple[str, ...]]] | None = None
        self._arrivals = Arrivals()
        self.held = Held()
        self.remarks = Remarks(store, study.path)
        self._singles_asked = False
        self._looked = False

    @property
    def objective_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.objectives)

    @property
    def known(self) -> Opened | None:
        """What the engine said, or until it has, what it said last time of the same files."""
        return self.opened or self._remembered

    # the worker

    def advance(self) -> None:
        """Called several times a second: open the study, then have the unmerged models scored; read
        what other processes wrote. Where points are known from before, the first call is left to
        the page that shows them, and the second starts the worker."""
        with self._lock:
            opening = self._tasks.get("open")
            page_first, self._looked = self._remembered is not None and not self._looked, True
            if opening is None or opening.status.failure == "cancelled":
                if not page_first:
                    self.submit("Opening the study", "open", {}, "open", of_browser=False)
            elif self.opened is None and opening.status.state == "done":
                self.take_opened(opening.handle.result(0))
            if self.opened is not None and not self._singles_asked:
                self._singles_asked = True
                self._score_singles()
        refresh(self)

    def take_opened(self, result: Mapping[str, Any]) -> None:
        """Take what the job "open" says."""
        self.opened = Opened(result["family"], dict(result["objectives"]), result["numerics"])

    @property
    def singles(self) -> list[Recipe]:
        """The models unmerged, as recipes."""
        models = (unmerged(each) for each in self.names.models)
        return [resolve(each, self.names) for each in models]

    def _score_singles(self) -> None:
        missing = self.lacking(self.singles, self.objective_names)
        if missing:
            what = f"Scoring {', '.join(map(str, missing))}"
            self.evaluate(missing, what, "singles", "sweep")  # makes way for what a user asks

    def restart(self) -> None:
        """Open the study again after a failure; the executor starts a new worker for it."""
        with self._lock:
            self._tasks.pop("open", None)
            self._tasks.pop("singles", None)
            self.opened = None
            self._singles_asked = False
        self.advance()

    def worker(self) -> WorkerState:
        """What the worker does now; why, where it failed."""
        state = self.executor.state()
        with self._lock:
            opening = self._tasks.get("open")
        status = opening.status if opening is not None else None
        if status is not None and status.failure not in (None, "cancelled"):
            return WorkerState("failed", status.reason or "")
        if state == "stopped" and self.opened is not None:
            return WorkerState("failed", self.executor.ended() or "the worker ended")
        if self.opened is None or state in ("starting", "stopped"):
            return WorkerState("starting")
        return WorkerState("ready" if state == "idle" else "busy")

    # points

    @property
    def version(self) -> int:
        """Of the points as pages show them (see held.py)."""
        with self._lock:
            tasks = list(self._tasks.values())
        over = [each.handle.id for each in tasks if each.status.over]
        return self.held.look(self.store.version, time.monotonic(), over)

    def measured(self) -> Measured:
        """The study's points as columns; built again only when there are others to show."""
        opened = self.known
        if opened is None:
            return measure((), self.objective_names)
        key = (self.version, opened, names_of(self.remarks.all()))
        with self._lock:
            before, columns, found = self._measured
            if before != key:
                prints = {each: opened.objectives[each] for each in self.objective_names}
                now = self.store.columns(opened.family, prints, "explore", opened.numerics)
                if now is not columns or before[1:] != key[1:]:  # else what came are no points
                    scorers = {each.name: each.scorer for each in self.objectives}
                    found = self._arrivals.measured(now, scorers, key[2])
                self._measured = (key, now, found)
            return found

    def earlier(self) -> dict[str, tuple[str, ...]]:
        """Objective -> points with a score as of an earlier definition alone; asked again only when
        rows came."""
        opened = self.known
        if opened is None:
            return {}
        with self._lock:
            key = (self.store.version, opened)
            if self._earlier is None or self._earlier[0] != key:
                prints = {each: opened.objectives[each] for each in self.objective_names}
                found = self.store.earlier(opened.family, prints, "explore", opened.numerics)
                self._earlier = (key, found)
            return self._earlier[1]

    def point_id(self, recipe: Recipe) -> str:
        """The id of a resolved recipe's point; only once points can be known."""
        assert self.known is not None
        return point_id(recipe, self.known.family)

    def lacking(self, recipes: Iterable[Recipe], objectives: Iterable[str]) -> list[Recipe]:
        """Those that were not measured on each of these objectives; a reason why there is no score
        is there, and is not asked for again by itself."""
        by_id = {self.point_id(each): each for each in recipes}
        scored, wanted = self._scored(by_id), set(objectives)
        return [each for point, each in by_id.items() if wanted - set(scored.get(point, ()))]

    def have(self, recipes: Iterable[Recipe], split: str = "explore") -> list[str]:
        """Ids of the score rows these recipes have, of those too that have no finite value."""
        opened = self.opened
        if opened is None:
            return []
        return [
            score_id(point, opened.objectives[name], split, opened.numerics)
            for point, names in self._scored(map(self.point_id, recipes), split).items()
            for name in names
        ]

    def _scored(self, points: Iterable[str], split: str = "explore") -> dict[str, list[str]]:
        """Of each of these points the objectives that were measured."""
        opened = self.opened
        assert opened is not None
        prints = {each: opened.objectives[each] for each in self.objective_names}
        found = self.store.points(opened.family, prints, split, opened.numerics, {*points})
        return {each.id: list(each.scores) for each in found}

    def reported(self, recipe: Recipe) -> list[dict[str, Any]]:
        """The recipe's scores on the report split: measured once, at its first export."""
        opened = self.opened
        if opened is None:
            return []
        return report_rows(
            self.store, opened.family, self.objectives, opened.objectives, opened.numerics,
            self.point_id(recipe),
        )  # fmt: skip

    # jobs

    def submit(
        self,
        what: str,
        kind: str,
        payload: Mapping[str, Any],
        session: str,
        priority: Priority = "interactive",
        of_browser: bool = True,
    ) -> Task:
        """Start a job, known by its session from then on; one that is not of a browser's session
        replaces no other, of another study either."""
        payload = {"study": str(self.study.path), **payload}
        job = Job(kind, payload, session if of_browser else None, priority)
        task = Task(what, self.executor.submit(job))
        with self._lock:
            self._tasks[session] = task
        return task

    def task(self, session: str) -> Task | None:
        """The latest job of a session; None if it has none."""
        with self._lock:
            return self._tasks.get(session)

    def tasks(self) -> dict[str, Task]:
        """Session -> its latest job."""
        with self._lock:
            return dict(self._tasks)

    def evaluate(
        self,
        recipes: Iterable[Recipe],
        what: str,
        session: str,
        priority: Priority = "interactive",
    ) -> Task:
        """Score recipes on every objective; what is scored already is not run again."""
        recipes = list(recipes)
        payload = {
            "recipes": [each.as_dict() for each in recipes],
            "split": "explore",
            "have": self.have(recipes),
        }
        return self.submit(what, "evaluate", payload, session, priority)

    def export_payload(self, recipe: Recipe, out: Path, *, adapter: bool) -> dict[str, Any]:
        """What the job "export" takes: the report scores that are there with it."""
        scores = self.reported(recipe)
        return {"recipe": recipe.as_dict(), "out": str(out), "adapter": adapter, "scores": scores}

    def export(self, recipe: Recipe, out: Path, *, adapter: bool, session: str) -> Task:
        """Write a recipe's checkpoint to a directory on this machine."""
        payload = self.export_payload(recipe, out, adapter=adapter)
        return self.submit(f"Exporting {recipe}", "export", payload, session)

    def adapter_only(self, recipe: Recipe) -> bool:
        """Whether a recipe can leave as one LoRA adapter: task vectors of adapters alone, added."""
        if not find_method(recipe.method).additive or recipe.prune is not None:
            return False  # its coefficients may be of others than experts: `base`
        used = {plain(name) for name, value in recipe.coefficients.items() if value}
        return bool(used) and all(self.family.experts[name].kind == "lora" for name in used)
