"""One sweep: its designs and recipes, how it stands, and its rows in the journal.

kind "sweep"              how it stands now; the newest row counts
kind "sweep_recipes/ID"   its recipes, written once: a study file that changes later does not
                          change what is resumed
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np

from engine.prune import prune_from_dict
from engine.recipe import Recipe
from engine.search.strategies import STRATEGIES
from studio.points.view import Measured
from studio.sweeps.pace import Pace
from studio.task import Task
from studio.workbench import Workbench

State = Literal["waiting", "running", "done", "failed", "cancelled", "unfinished"]

KIND = "sweep"


KEPT = (
    "id", "designs", "objectives", "created", "expected", "state", "seconds", "failed", "dismissed",
    "search",
)  # fmt: skip


@dataclass
class Run:
    """A sweep's job while it runs: what it was asked for, how fast it goes, and the thread that
    looks. A search's next batch is asked for by a job without recipes."""

    task: Task
    recipes: tuple[Recipe, ...]
    pace: Pace
    follower: threading.Thread
    cancelled: bool = False
    asking: bool = False


@dataclass(eq=False)
class Sweep:
    """A sweep, as a queue knows it; changed only under the queue's lock.

    Attributes:
        family: fingerprint of the family that its points are on.
        designs: {"method", "points", "strategy", "seed", "parameters"} each.
        objectives: names of those that it measures.
        count: recipes; of a search, as many as it may ask for.
        search: how a search stands (searching.py); None of a design.
        created, seconds: when it was started (Unix time), and how long it has had the device.
        expected: method -> seconds a point, as the estimate measured it.
        failed: recipes that failed when it last ran.
        dismissed: whether a user said that it need not be resumed.
        elsewhere: whether another living process has it, a shell's or another app's.
        recipes, ids: None until they are needed.
    """

    id: str
    family: str
    designs: tuple[Mapping[str, Any], ...]
    objectives: tuple[str, ...]
    count: int
    created: float
    expected: Mapping[str, float] = field(default_factory=dict)
    state: State = "waiting"
    reason: str = ""
    seconds: float = 0.0
    failed: int = 0
    dismissed: bool = False
    search: dict[str, Any] | None = None
    elsewhere: bool = False
    recipes: tuple[Recipe, ...] | None = None
    ids: tuple[str, ...] | None = None
    run: Run | None = None


# the journal


def write(bench: Workbench, sweep: Sweep) -> None:
    """Save how a sweep stands."""
    row = {name: getattr(sweep, name) for name in KEPT}
    row |= {"recipes": sweep.count, "error": sweep.reason, "family": sweep.family}
    row |= {"kind": KIND, "study": str(bench.study.path), "at": time.time()}
    bench.store.append([row])


def write_recipes(bench: Workbench, sweep: Sweep, recipes: Iterable[Recipe]) -> None:
    """Save what a sweep measures; ten thousand recipes take 200 KB."""
    row = {"kind": f"{KIND}_recipes/{sweep.id}", "id": sweep.id, "family": sweep.family}
    bench.store.append([row | {"recipes": _packed(recipes)}])


def read(bench: Workbench, family: str) -> list[Sweep]:
    """The sweeps of a study as the journal has them, in the order of their last change."""
    found = []
    for row in bench.store.records(KIND, family):
        if row["study"] != str(bench.study.path):
            continue
        sweep = Sweep(
            family=family, count=row["recipes"], **{name: row[name] for name in KEPT if name in row}
        )
        sweep.designs, sweep.objectives = tuple(sweep.designs), tuple(sweep.objectives)
        sweep.reason = row["error"] or ""
        found.append(sweep)
    return found


def _packed(recipes: Iterable[Recipe]) -> list[dict[str, Any]]:
    """Runs of recipes of one shape: their coefficients as rows of numbers."""

    def shape(each: Recipe) -> tuple[Any, ...]:
        return each.method, each.parameters, tuple(each.coefficients), each.prune

    return [
        {
            "method": method,
            "parameters": dict(parameters),
            "names": list(names),
            "rows": [list(each.coefficients.values()) for each in group],
            **({} if prune is None else {"prune": prune.as_dict()}),
        }
        for (method, parameters, names, prune), group in groupby(recipes, key=shape)
    ]


def _unpacked(packed: Sequence[Mapping[str, Any]]) -> tuple[Recipe, ...]:
    prunes = [prune_from_dict(run.get("prune"), "sweep") for run in packed]
    return tuple(
        Recipe(run["method"], dict(zip(run["names"], row, strict=True)), run["parameters"], prune)
        for run, prune in zip(packed, prunes, strict=True)
        for row in run["rows"]
    )


# what is there of a sweep


def recipes_of(bench: Workbench, sweep: Sweep) -> tuple[Recipe, ...]:
    """Its recipes, read from the journal when first needed."""
    if sweep.recipes is None:
        rows = bench.store.records(f"{KIND}_recipes/{sweep.id}", sweep.family)
        sweep.recipes = _unpacked(rows[-1]["recipes"]) if rows else ()
    return sweep.recipes


def ids_of(bench: Workbench, sweep: Sweep) -> tuple[str, ...]:
    """The ids of its points."""
    if sweep.ids is None:
        sweep.ids = tuple(map(bench.point_id, recipes_of(bench, sweep)))
    return sweep.ids


def lacking(measured: Measured, ids: Sequence[str], objectives: Sequence[str]) -> np.ndarray:
    """bool [ids, objectives]: which scores are not there; a reason why there is none is there."""
    rows = np.array([measured.row_of.get(each, -1) for each in ids], dtype=np.int64)
    columns = [measured.column(name) for name in objectives if name in measured.names]
    found = np.ones((len(rows), len(columns)), dtype=bool)
    there = rows >= 0
    found[there] = ~np.isfinite(measured.mean[rows[there]][:, columns])
    for place, column in np.argwhere(found & there[:, None]).tolist():
        name = measured.names[columns[column]]
        found[place, column] = measured.without(int(rows[place]), name) is None
    return found


def update(sweep: Sweep, newer: Sweep) -> None:
    """What another process wrote of a sweep since it was read."""
    for name in (*KEPT, "reason"):
        setattr(sweep, name, getattr(newer, name))
    sweep.count = newer.count
    if sweep.search is not None:  # it has asked for more
        sweep.recipes = sweep.ids = None


def there(bench: Workbench, sweep: Sweep) -> int:
    """How many of its points have every score now; while it runs, how many are done, which the
    points that pages hold (held.py) do not say yet."""
    run = sweep.run
    if run is not None:
        asked = sweep.count if sweep.search is None else len(recipes_of(bench, sweep))
        return asked - len(run.recipes) + int(run.task.status.progress.get("done", 0))
    gaps = lacking(bench.measured(), ids_of(bench, sweep), sweep.objectives)
    return int((~gaps.any(axis=1)).sum())


def words_of(sweep: Sweep) -> str:
    """What it measures, in one line."""
    return ", ".join(design_words(each) for each in sweep.designs)


def design_words(design: Mapping[str, Any]) -> str:
    """A design in words: method, the parameters that are not the default, and which points."""
    values = (
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in (design.get("parameters") or {}).items()
    )
    extra = ", ".join(values)
    words = f"{design['method']} [{extra}]" if extra else str(design["method"])
    words += f" {design['strategy']} {design['points']}"
    strategy = STRATEGIES.get(design["strategy"])
    seed = design.get("seed") if strategy is not None and strategy.seeded else None
    return f"{words} seed {seed}" if seed else words
