"""What the worker is doing and what is queued, in order: one line each.

running ──► parked for it ──► asked for by a user ──► sweeps that wait
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from engine.jobs.executor import Status
from engine.recipe import Recipe
from studio.sweeps import queue as sweeping
from studio.sweeps.pace import duration
from studio.sweeps.sweep import Sweep, there, words_of
from studio.sweeps.words import left_words
from studio.task import Task, fraction, words
from studio.workbench import Workbench

ORDER = {"running": 0, "parked": 1, "queued": 2, "waiting": 3}
MEASURING = ("evaluate", "sweep", "estimate")
"""Kinds of jobs that measure recipes."""
SURE = 0.02
"""The part of a job from which its pace says how long the rest takes."""


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        key: another one for every other piece.
        what: what it is for, in words.
        stands: how far it is, and how long it still takes.
        part: how much is done, from 0 to 1.
        cancel: ends it; None if it cannot be done without.
    """

    key: str
    what: str
    state: str
    stands: str
    part: float
    cancel: Callable[[], None] | None


def at_work(bench: Workbench, but: Collection[str] = ()) -> list[Work]:
    """All of a study's work that is not over.

    Args:
        but: pieces whose keys hold one of these are left out.
    """
    found = [
        _of_task(bench, key, task)
        for key, task in bench.tasks().items()
        if not task.status.over and not key.startswith("sweep:")
    ]
    queue = sweeping.queue(bench)
    if queue is not None:
        found += [_of_sweep(bench, each) for each in queue.of_state("running", "waiting")]
    found = [each for each in found if not any(part in each.key for part in but)]
    return sorted(found, key=lambda each: ORDER[each.state])


def is_measured_now(bench: Workbench, recipe: Recipe) -> bool:
    """Whether a recipe is among what is measured, or waits for it."""
    said = recipe.as_dict()
    jobs = (each.handle.job for each in bench.tasks().values() if not each.status.over)
    return any(said in each.payload.get("recipes", ()) for each in jobs if each.kind in MEASURING)


def time_left(status: Status, part: float, now: float) -> str:
    """How long a job still takes at its pace so far; empty if that says nothing yet."""
    if status.since is None or status.state != "running" or part < SURE:
        return ""
    return f"about {duration((now - status.since) * (1 - part) / part)} left"


def _of_task(bench: Workbench, key: str, task: Task) -> Work:
    status = task.status
    part = fraction(status, bench.objective_names)
    stands = filter(None, [words(status), time_left(status, part, time.monotonic())])
    cancel = None if key == "open" else task.handle.cancel
    state = "queued" if status.over else status.state  # it has ended this moment
    return Work(f"{key}:{task.handle.id}", task.what, state, ", ".join(stands), part, cancel)


def _of_sweep(bench: Workbench, sweep: Sweep) -> Work:
    key, what = f"sweep:{sweep.id}", f"Sweep: {words_of(sweep)}"
    cancel = partial(sweeping.cancel, bench, sweep)
    run = sweep.run
    if run is None:
        return Work(key, what, "waiting", "waiting for the previous sweep", 0.0, cancel)
    status = run.task.status
    measured = there(bench, sweep)
    stands = f"{measured} of {sweep.count} points, {left_words(run, status)}"
    state = "queued" if status.over else status.state
    return Work(key, what, state, stands, measured / max(1, sweep.count), cancel)
