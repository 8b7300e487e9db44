"""Before a sweep starts: which recipes it would measure, and how long that takes.

    form ── job "design" ──► recipes ── which are missing? ── job "estimate" ──► Estimate

One point of each method is measured; its scores stay, and the sweep need not measure it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.family.memory import Memory
from engine.recipe import Recipe, find_method, recipe_from_dict
from engine.search.strategies import STRATEGIES, is_search
from studio.sweeps.searching import Options
from studio.sweeps.sizes import Size
from studio.sweeps.sweep import lacking
from studio.task import Task
from studio.workbench import Workbench

SAMPLE = 8
"""Sobol points of a method, of which the first that is not measured says how long a search's take;
there is no time where all are."""

TRIES = 3
"""Recipes of a method that are tried until one can be measured."""


@dataclass(frozen=True)
class Form:
    """What a user asks for.

    Attributes:
        designs: {"method", "points", "strategy", "seed", "parameters"} each.
        objectives: names.
        options: of a search; None of a design.
    """

    designs: tuple[Mapping[str, Any], ...]
    objectives: tuple[str, ...]
    options: Options | None = None


def form_of(
    filled: Mapping[str, Any], sizes: Mapping[str, Size], options: Options | None = None
) -> Form | None:
    """The form from what is filled in; None while it lacks a method or an objective.

    Args:
        filled: "methods", "objectives", "strategy", "seed", and "parameters" by method.
        sizes: of each method's design. A grid is asked for as large as it will be.
        options: what a search is asked for.
    """
    if not filled["methods"] or not filled["objectives"]:
        return None
    designs = []
    for name in filled["methods"]:
        defaults = {each.name: each.default for each in find_method(name).parameters}
        values = filled["parameters"].get(name, {})
        designs.append(
            {
                "method": name,
                "points": sizes[name].same,
                "strategy": filled["strategy"],
                "seed": int(filled["seed"]) if STRATEGIES[filled["strategy"]].seeded else 0,
                "parameters": {k: v for k, v in values.items() if v != defaults[k]},
            }
        )
    return Form(tuple(designs), tuple(filled["objectives"]), options)


@dataclass(frozen=True)
class Line:
    """What is known of one design.

    Attributes:
        recipes: of the whole design; new of them are still to be measured. Of a search nothing is
            known before it is measured: a few to time one by, and new is what it may ask for.
        seconds: a point, measured; None if nothing had to be, or nothing could.
        prepare: seconds that the first point of the method took longer.
        total: seconds for what is new.
        error: why no time could be measured.
    """

    design: Mapping[str, Any]
    recipes: tuple[Recipe, ...]
    new: int
    seconds: float | None = None
    prepare: float = 0.0
    total: float | None = None
    error: str | None = None
    search: bool = False


@dataclass
class Estimating:
    """One browser session's estimate in progress; `step` advances it.

    Attributes:
        session: name under which its jobs run.
        recipes, ids: of each design, once they are known.
        timings: of each design that lacked a point, by its place.
        cancelled: whether a user stopped it, whichever of its jobs that met.
    """

    form: Form
    session: str
    recipes: list[tuple[Recipe, ...]] | None = None
    ids: list[tuple[str, ...]] = field(default_factory=list)
    timings: dict[int, Mapping[str, Any]] | None = None
    asked: list[int] = field(default_factory=list)
    taken: str = ""
    cancelled: bool = False

    def start(self, bench: Workbench) -> None:
        payload = {"designs": [_timed_by(each) for each in self.form.designs]}
        bench.submit("Placing the points", "design", payload, self.session)

    def cancel(self, bench: Workbench) -> None:
        """Stop it: the job that runs, and where that has just ended, the one that would follow."""
        self.cancelled = True
        task = self.task(bench)
        if task is not None:
            task.handle.cancel()

    def step(self, bench: Workbench) -> None:
        """Process the latest job's result, and submit the next job."""
        task = self.task(bench)
        if task is None or task.status.state != "done" or task.handle.id == self.taken:
            return
        result = task.handle.result(0)
        self.taken = task.handle.id
        if self.recipes is None:
            self.recipes = [
                tuple(recipe_from_dict(each) for each in group) for group in result["recipes"]
            ]
            self.ids = [tuple(map(bench.point_id, group)) for group in self.recipes]
            if not self.cancelled:
                self._measure(bench)
        else:
            self.timings = dict(zip(self.asked, result["timings"], strict=True))

    def _measure(self, bench: Workbench) -> None:
        groups = []
        for place, recipes in enumerate(self.recipes or ()):
            gaps = self._gaps(bench, place).sum(axis=1)
            if gaps.any():  # the first that lacks most: it says how long each objective takes
                chosen = np.argsort(-gaps, kind="stable")[: min(TRIES, int((gaps > 0).sum()))]
                groups.append([recipes[index] for index in chosen.tolist()])
                self.asked.append(place)
        if not groups:
            self.timings = {}
            return
        payload = {
            "groups": [[each.as_dict() for each in group] for group in groups],
            "objectives": list(self.form.objectives),
            "have": bench.have(each for group in groups for each in group),
        }
        points = "1 point" if len(groups) == 1 else f"{len(groups)} points, one per method"
        bench.submit(f"Measuring {points}", "estimate", payload, self.session)

    def _gaps(self, bench: Workbench, place: int) -> np.ndarray:
        """bool [recipes, objectives]: which scores of a design are not there."""
        return lacking(bench.measured(), self.ids[place], self.form.objectives)

    def task(self, bench: Workbench) -> Task | None:
        return bench.task(self.session)

    @property
    def finished(self) -> bool:
        return self.timings is not None

    def busy(self, bench: Workbench) -> bool:
        """Whether a job runs, or what it brought is not taken yet."""
        task = self.task(bench)
        if task is None or self.finished:
            return False
        return not task.status.over or (task.status.state == "done" and not self.cancelled)

    def lines(self, bench: Workbench) -> list[Line]:
        """The estimate, with what is measured by now."""
        assert self.recipes is not None and self.timings is not None
        found = []
        for place, (design, recipes) in enumerate(
            zip(self.form.designs, self.recipes, strict=True)
        ):
            gaps = self._gaps(bench, place)
            search = is_search(design["strategy"])
            new = int(design["points"]) if search else int(gaps.any(axis=1).sum())
            timing = self.timings.get(place)
            if timing is None or timing["error"]:
                error = None if timing is None else timing["error"]
                found.append(Line(design, recipes, new, error=error, search=search))
                continue
            known = timing["objectives"]
            seconds = timing["compose"] + sum(known.values())
            # an objective that the measured point had already takes as long as the others do
            usual = sum(known.values()) / max(1, len(known))
            each = np.array([known.get(name, usual) for name in self.form.objectives])
            total = timing["compose"] * new + float((gaps * each).sum())
            if search:
                total = new * (timing["compose"] + float(each.sum()))
            found.append(
                Line(design, recipes, new, seconds, timing["prepare"], total, search=search)
            )
        return found


def _timed_by(design: Mapping[str, Any]) -> dict[str, Any]:
    """The design of which a point is measured; of a search, Sobol points."""
    if not is_search(design["strategy"]):
        return dict(design)
    return {**design, "strategy": "sobol", "points": min(SAMPLE, int(design["points"]))}


def memory(bench: Workbench, methods: Sequence[str]) -> Memory | None:
    """What the methods need, and what there was before any model was loaded; None until the study
    is open."""
    task = bench.task("open")
    if task is None or task.status.state != "done":
        return None
    found = task.handle.result(0).get("memory")
    if not found:
        return None
    spaces = {find_method(name).space for name in methods}
    needed = max(found[f"{space}_space_bytes"] for space in spaces)
    return Memory(needed, found["available_bytes"])


def expected(lines: Sequence[Line]) -> dict[str, float]:
    """Method -> seconds a point, of what is still to be measured."""
    return {
        line.design["method"]: line.total / line.new
        for line in lines
        if line.total is not None and line.new
    }
